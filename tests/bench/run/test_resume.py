import math
from types import SimpleNamespace
from typing import Any

import pytest

from bench.results.select import newest_per_trial
from bench.results.store import Store
from bench.run.history import tuning_trials
from bench.run.resume import _curves, known_of
from bench.run.rows import trial_row
from medseg.training.outcome import TrialResult

ROW: dict[str, Any] = {
    "status": "complete",
    "value": 0.5,
    "attempt": 2,
    "detail": "",
    "device_s": 12.0,
    "gmacs": 1.5,
    "parameters": 1000,
    "peak_memory_mb": None,
    "stale": True,
}


def test_a_row_says_how_its_trial_ended():
    known = known_of(ROW)
    assert (known.status, known.value, known.attempt, known.stale, known.device_s) == (
        "complete",
        0.5,
        2,
        True,
        12,
    )
    assert known.cost == {"device_s": 12, "gmacs": 1.5, "parameters": 1000}


@pytest.mark.parametrize(
    ("change", "value", "device_s"),
    [
        ({"status": "diverged"}, None, 12),
        ({"value": math.nan}, None, 12),
        ({"value": None}, None, 12),
        ({"device_s": math.nan}, 0.5, 0),
        ({"device_s": None}, 0.5, 0),
    ],
)
def test_what_is_not_known_is_no_number(change, value, device_s):
    known = known_of({**ROW, **change})
    assert (known.value, known.device_s) == (value, device_s)


def test_what_a_worker_reports_is_a_row_as_far_as_it_goes():
    known = known_of({"status": "infra_lost", "value": None, "attempt": 1, "detail": "the worker died"})
    assert (known.stale, known.cost, known.detail) == (False, {}, "the worker died")


def test_a_pruner_sees_the_curve_of_the_row_that_counts(job, worker, tmp_path):
    """Other code may have trained the same trial for longer."""
    store = Store(tmp_path)
    for code, epochs in (("a" * 64, 8), ("0" * 64, 2)):
        ran = worker.model_copy(update={"code": code})
        curve = [
            {"trial": job.trial, "epoch": n, "step": n, "train_loss": 1.0, "learning_rate": 0.1, "score": score,
             "wall_s": 1.0}
            for n, score in enumerate([0.1 * epochs] * epochs, start=1)
        ]  # fmt: skip
        store.write(trial_row(job, ran, TrialResult("pruned")), [], curve)
    study: Any = SimpleNamespace(id=job.study, pruner=SimpleNamespace(name="asha"))
    for code, scores in (("0" * 64, {1: 0.2, 2: 0.2}), ("a" * 64, dict.fromkeys(range(1, 9), 0.8))):
        trials = newest_per_trial(store.trials(), code)
        curves = _curves(store, trials, [study])[job.study]
        (tried,) = tuning_trials(trials, job.study, lambda trial: False, curves)
        assert tried.curve == pytest.approx(scores)
