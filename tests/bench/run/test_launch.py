"""Whose row stands when a worker dies without a word; runs as a whole are tested in test_engine.py."""

from types import SimpleNamespace

import pytest

from bench.results.store import Store
from bench.run.launch import Launch
from bench.run.rows import trial_row
from medseg.training.outcome import TrialResult

DIED = TrialResult("infra_lost", "the worker died")


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def launch(store) -> Launch:
    there = SimpleNamespace()
    return Launch(there, there, store, "c" * 64, there, there, there)


def end(store, job, worker, status: str, **changes) -> None:
    result = TrialResult(status, "", {"value": 0.7, "device_s": 5.0})
    store.write(trial_row(job.model_copy(update=changes), worker, result), [], [])


def test_a_lost_worker_leaves_a_row_with_what_it_cost(launch, store, job, worker):
    known = launch._lost(job, worker, 90.0, DIED)
    assert (known.status, known.device_s, known.detail) == ("infra_lost", 90.0, "the worker died")
    assert store.trials()["status"].tolist() == ["infra_lost"]


def test_a_result_that_the_worker_wrote_before_it_died_counts(launch, store, job, worker):
    end(store, job, worker, "complete")
    known = launch._lost(job, worker, 90.0, DIED)
    assert (known.status, known.value, known.device_s) == ("complete", 0.7, 5.0)
    assert store.trials()["status"].tolist() == ["complete"]


def test_an_earlier_result_says_nothing_about_a_second_try(launch, store, job, worker):
    end(store, job, worker, "complete")
    second = job.model_copy(update={"attempt": 2})
    assert launch._lost(second, worker, 90.0, DIED).status == "infra_lost"
    end(store, job, worker, "complete", attempt=2)
    assert launch._lost(second, worker, 90.0, DIED).status == "complete"


def test_a_worker_that_hung_leaves_a_row_with_what_it_cost(launch, store, job, worker):
    known = launch._lost(job, worker, 90.0, TrialResult("timeout", "hung"))
    assert (known.status, known.device_s, known.detail, known.failed) == ("timeout", 90.0, "hung", True)
    assert store.trials()["status"].tolist() == ["timeout"]
