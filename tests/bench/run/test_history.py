from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from bench.run.history import costs, outcome_of, tuning_trials
from bench.run.sampling import Outcome, Tried

START = datetime(2026, 1, 2, tzinfo=UTC)


def row(number, status="complete", value=0.5, minutes=0, **changes):
    return {
        "trial": f"trial{number}",
        "study": "s",
        "phase": "tune",
        "number": number,
        "setting_json": f'{{"train.learning_rate": 0.{number + 1}, "model.features": [8, 16]}}',
        "status": status,
        "value": value,
        "gmacs": 1.5,
        "parameters": 100,
        "peak_memory_mb": np.nan,
        "device_s": 2.0,
        "finished_at": START + timedelta(minutes=minutes),
        **changes,
    }


def setting(number):
    return {"train.learning_rate": float(f"0.{number + 1}"), "model.features": [8, 16]}


COST = {"gmacs": 1.5, "parameters": 100.0, "device_s": 2.0}


def test_rows_become_trials_in_the_order_of_their_numbers():
    rows = [
        row(2, "pruned", np.nan),
        row(0),
        row(1, "interrupted", np.nan),
        row(3, study="other"),
        row(-1, phase="final"),
    ]
    curves = pd.DataFrame(
        {"trial": ["trial0", "trial0", "trial2"], "epoch": [2, 1, 1], "score": [0.5, 0.4, None]}
    )
    found = tuning_trials(pd.DataFrame(rows), "s", lambda trial: trial == "trial1", curves)
    assert found == [
        Tried(0, setting(0), Outcome("complete", 0.5, COST), {1: 0.4, 2: 0.5}),
        Tried(1, setting(1)),
        Tried(2, setting(2), Outcome("pruned", None, COST)),
    ]


def test_of_two_rows_of_a_number_the_first_counts():
    rows = [row(0, minutes=5, value=0.9), row(0, minutes=1, value=0.1, trial="older")]
    (found,) = tuning_trials(pd.DataFrame(rows), "s", lambda trial: False)
    assert found.outcome == Outcome("complete", 0.1, COST)


def test_no_rows_are_no_trials():
    assert tuning_trials(pd.DataFrame([row(0)]).iloc[:0], "s", lambda trial: False) == []


@pytest.mark.parametrize(
    ("status", "value", "kept"),
    [("complete", 0.5, 0.5), ("complete", np.nan, None), ("complete", None, None), ("oom", 0.5, None)],
)
def test_only_a_complete_trial_has_a_score(status, value, kept):
    assert outcome_of(row(0, status, value)) == Outcome(status, kept, COST)


def test_costs_are_what_is_known():
    assert costs({"gmacs": None, "parameters": 3, "device_s": float("nan"), "other": 1.0}) == {
        "parameters": 3.0
    }
