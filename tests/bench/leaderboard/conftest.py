"""A results folder with known numbers."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.leaderboard.facts import metric_facts
from bench.leaderboard.table import Cost, EntryRow, Estimate, TaskBoard
from bench.results.schema import TRIALS
from bench.results.store import Store

START = datetime(2026, 1, 2, tzinfo=UTC)


class World:
    """Writes trials whose Dice is `quality` minus a difficulty that each patient has for all entries."""

    def __init__(self, root: Path):
        self.store = Store(root)
        self.count = 0

    def trial(self, model: str, loss: str = "dice", **changes: Any) -> dict[str, Any]:
        self.count += 1
        then = START + timedelta(minutes=self.count)
        row: dict[str, Any] = {
            **{field.name: None for field in TRIALS if field.nullable},
            "suite": "quick",
            "study": f"{changes.get('task', 'lung')}-{model}-{loss}",
            "phase": "final",
            "number": -1,
            "setting": "s0",
            "setting_json": json.dumps({}),
            "spec_json": "{}",
            "task": "lung",
            "model": model,
            "loss": loss,
            "entry": f"{model} + {loss}",
            "fold": 0,
            "seed": 0,
            "status": "complete",
            "detail": "",
            "attempt": 1,
            "value": 0.8,
            "metric": "dice",
            "parameters": 482_000,
            "epochs": 2,
            "best_epoch": 1,
            "steps": 20,
            "batch_size": 4,
            "precision": "fp32",
            "wall_s": 100.0,
            "train_s": 92.0,
            "device_s": 95.0,
            "device": "cpu",
            "code": "today",
            "data": "data0",
            "split": "split0",
            "versions_json": "{}",
            "started_at": then,
            "finished_at": then,
        }
        row |= changes
        row.setdefault(
            "trial", "-".join(str(row[k]) for k in ("study", "phase", "number", "setting", "seed", "fold"))
        )
        return row

    def final(
        self,
        model: str,
        loss: str = "dice",
        *,
        quality: float = 0.8,
        patients: int = 8,
        noise: float = 0.01,
        missed: Iterable[int] = (),
        drop: Iterable[int] = (),
        metrics: tuple[str, ...] = ("dice", "iou", "hd95", "pixel_accuracy"),
        definitions: Mapping[str, Mapping[str, float]] | None = None,
        **changes: Any,
    ) -> None:
        """Writes a final trial.

        `definitions` says by metric which definitions it was measured by, and what each adds to its values.
        """
        row = self.trial(model, loss, **changes)
        rng = np.random.default_rng([len(model), len(loss), row["seed"]])
        cases = []
        if row["status"] == "complete":
            for patient in range(patients):
                if patient in set(drop):
                    continue
                dice = quality - 0.02 * patient + noise * rng.normal()
                values = {
                    "dice": dice,
                    "iou": dice / (2 - dice),
                    "hd95": 20 * (1 - dice),
                    "pixel_accuracy": 0.9,
                }
                for metric in metrics:
                    value, status = values[metric], "ok"
                    if patient in set(missed) and metric != "pixel_accuracy":
                        value, status = (float("inf") if metric == "hd95" else 0.0), "prediction_empty"
                    for name, shift in (definitions or {}).get(metric, {f"{metric}/v1": 0.0}).items():
                        case = self.case(row["trial"], patient, metric, value + shift, status)
                        cases.append(case | {"definition": name})
        self.store.write(row, cases, [])

    @staticmethod
    def case(trial: str, patient: int, metric: str, value: float, status: str = "ok") -> dict[str, Any]:
        return {
            "trial": trial,
            "part": "test",
            "case": f"p{patient}-img",
            "patient": f"p{patient}",
            "subgroup": "",
            "phase": "",
            "label": "all" if metric == "pixel_accuracy" else "lung",
            "metric": metric,
            "definition": f"{metric}/v1",
            "value": value,
            "status": status,
            "unit": "mm" if metric == "hd95" else "",
            "diagonal": 100.0,
        }

    def tune(self, model: str, loss: str = "dice", **changes: Any) -> None:
        self.store.write(self.trial(model, loss, **{"phase": "tune", "number": 0} | changes), [], [])


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "results" / "quick")


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """For the tests of a file that only read."""
    return World(tmp_path_factory.mktemp("leaderboard") / "results" / "quick")


DICE = metric_facts("dice", "")


def invented_row(entry: str, mean: float = 0.8, **changes: Any) -> EntryRow:
    """Returns a row without any results behind it."""
    model, _, loss = entry.partition(" + ")
    row: dict[str, Any] = {
        "rank": 1.0,
        "rank_low": 1.0,
        "rank_high": 2.0,
        "tier": 1,
        "entry": entry,
        "model": model,
        "loss": loss,
        "metrics": {"dice": Estimate(mean, mean - 0.02, mean + 0.02)},
        "median": Estimate(mean + 0.01, mean, mean + 0.03),
        "difference": Estimate(mean - 0.8, mean - 0.81, mean - 0.79),
        "p": math.nan,
        "verdict": "tied",
        "n_compared": 30,
        "mdd": 0.01,
        "cost": Cost(parameters=482_000, gpu_hours=0.5, devices=("gpu",)),
        "n_failed": 0,
        "n_valid": 30,
        "n_empty_reference": 0,
        "n_hallucinated": 0,
        "n_missed": 0,
    }
    return EntryRow(**row | changes)


def invented_board(*rows: EntryRow, **changes: Any) -> TaskBoard:
    """Returns a table without any results behind it."""
    board: dict[str, Any] = {
        "task": "lung",
        "metric": "dice",
        "facts": (DICE,),
        "rows": rows,
        "n_patients": 30,
        "n_cases": 30,
        "n_folds": 1,
        "n_seeds": 1,
        "comparisons": max(0, len(rows) - 1),
        "smallest_p": 1e-6,
        "resamples": 9999,
        "mdd": 0.01,
    }
    return TaskBoard(**board | changes)


@pytest.fixture(scope="session")
def make_row() -> Callable[..., EntryRow]:
    return invented_row


@pytest.fixture(scope="session")
def make_board() -> Callable[..., TaskBoard]:
    return invented_board
