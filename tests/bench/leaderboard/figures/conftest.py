"""Tables with known numbers, to draw."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.leaderboard.facts import metric_facts
from bench.leaderboard.table import Cost, EntryRow, Estimate, TaskBoard, Verdict

Boards = Callable[..., TaskBoard]


def make_values(array: Any, names: Sequence[str] = ()) -> pd.DataFrame:
    """Returns a table of entries x patients."""
    floats = np.asarray(array, float)
    return pd.DataFrame(
        floats,
        index=pd.Index(list(names) or [f"net{number} + dice" for number in range(len(floats))], name="entry"),
        columns=pd.Index([f"p{number}" for number in range(floats.shape[1])], name="patient"),
    )


def make_row(
    entry: str, mean: float, verdict: Verdict = "worse", metric: str = "dice", **changes: Any
) -> EntryRow:
    """Returns a row of a table."""
    row: dict[str, Any] = {
        "rank": 1.0,
        "entry": entry,
        "model": entry.partition(" + ")[0],
        "loss": entry.partition(" + ")[2],
        "metrics": {metric: Estimate(mean, mean - 0.02, mean + 0.01)},
        "difference": Estimate(mean - 0.9, mean - 0.92, mean - 0.89),
        "p": math.nan if verdict == "best" else 0.01,
        "verdict": verdict,
        "n_compared": 20,
        "cost": Cost(),
        "n_failed": 0,
        "n_valid": 20,
        "n_empty_reference": 0,
        "n_hallucinated": 0,
        "n_missed": 0,
        "tier": 1 if verdict in ("best", "tied") else 2,
    }
    return EntryRow(**{**row, **changes})


def make_board(rows: Sequence[EntryRow], metric: str = "dice", unit: str = "", **changes: Any) -> TaskBoard:
    """Returns a table."""
    board: dict[str, Any] = {
        "task": "lung",
        "metric": metric,
        "facts": (metric_facts(metric, unit),),
        "rows": tuple(rows),
        "n_patients": 20,
        "n_cases": 20,
        "n_folds": 1,
        "n_seeds": 1,
        "resamples": 999,
        "comparisons": len(rows) - 1,
    }
    return TaskBoard(**{**board, **changes})


@pytest.fixture(scope="session")
def table() -> Callable[..., pd.DataFrame]:
    return make_values


@pytest.fixture(scope="session")
def row() -> Callable[..., EntryRow]:
    return make_row


@pytest.fixture(scope="session")
def board() -> Boards:
    return make_board
