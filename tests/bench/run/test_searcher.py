import copy
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray.tune.search import Searcher

from bench.run.job import Job, WorkerConfig
from bench.run.searcher import SuiteSearcher
from bench.run.tracker import StudyState, Tracker
from medseg.config import Component
from medseg.tasks import TASKS
from medseg.training.config import TrialSpec


def make_job(study: str, trial: str) -> Job:
    spec = TrialSpec(
        task=TASKS.load("phantom-lung"), model=Component(name="unet"), loss=Component(name="ce"), phase="tune"
    )
    return Job(
        trial=trial,
        study=study,
        entry="e",
        model="unet",
        loss="ce",
        number=0,
        setting={},
        setting_id="x",
        spec=spec,
        data_fingerprint="d",
        split_hash="h",
    )


class FakeQueue:
    """A queue with a row of jobs; remembers how they ended."""

    def __init__(self, name: str, jobs: int):
        self.study = SimpleNamespace(id=name)
        self.jobs = [make_job(name, f"{name}{n}") for n in range(jobs)]
        self.total, self.ends, self.running = jobs, [], 0

    @property
    def progress(self) -> float:
        return 1 - len(self.jobs) / self.total

    @property
    def exhausted(self) -> bool:
        return not self.jobs and not self.running

    def next_job(self) -> Job | None:
        if not self.jobs:
            return None
        self.running += 1
        return self.jobs.pop(0)

    def ended(self, job, known) -> None:
        self.running -= 1
        self.ends.append((job.trial, known.status, known.value))


@pytest.fixture
def make(tmp_path):
    def build(*sizes: int, stopping=lambda: False):
        queues = [FakeQueue("abc"[i], size) for i, size in enumerate(sizes)]
        worker = WorkerConfig(
            suite="s",
            results=tmp_path,
            cache=tmp_path,
            roots={},
            code="c" * 64,
            cpus=1,
            gpus=0,
            memory_gb=1,
            stop_file=Path("stop"),
        )
        states = {q.study.id: StudyState("t", "e", q.total, 0, 1, 1) for q in queues}
        lost = []
        searcher = SuiteSearcher(
            queues, dict.fromkeys(states, worker), Tracker(states, 1), stopping, lost.append
        )
        return searcher, queues, lost

    return build


def study_of(suggestion) -> str:
    return Job.model_validate_json(suggestion["job"]).study


def test_free_slots_go_to_the_study_that_is_furthest_behind(make):
    searcher, _, _ = make(2, 4)
    order = [study_of(searcher.suggest(str(n))) for n in range(6)]
    assert order == ["a", "b", "b", "a", "b", "b"]


def test_later_while_something_runs_and_finished_when_nothing_does(make):
    searcher, _, _ = make(1)
    searcher.suggest("t0")
    assert searcher.suggest("t1") is None
    searcher.on_trial_complete("t0", {"status": "complete", "value": 0.5, "device_s": 1.0})
    assert searcher.suggest("t1") == Searcher.FINISHED


@pytest.mark.parametrize(
    ("result", "error", "ended"),
    [
        ({"status": "complete", "value": 0.5, "device_s": 1.0}, False, ("a0", "complete", 0.5)),
        ({"status": "diverged", "value": float("nan"), "device_s": float("nan")}, False, ("a0", "diverged", None)),
        ({"status": "running", "value": 0.5}, True, ("a0", "infra_lost", None)),
        (None, True, ("a0", "infra_lost", None)),
    ],
)  # fmt: skip
def test_how_a_job_ended_reaches_its_queue(make, result, error, ended):
    searcher, (queue,), lost = make(1)
    searcher.suggest("t0")
    searcher.on_trial_complete("t0", result, error)
    assert queue.ends == [ended]
    assert [job.trial for job in lost] == (["a0"] if ended[1] == "infra_lost" else [])


def test_a_row_that_the_worker_wrote_is_not_written_over(make):
    searcher, (queue,), lost = make(1)
    searcher.suggest("t0")
    searcher.on_trial_complete("t0", {"status": "infra_lost", "detail": "disk full", "value": None})
    assert queue.ends == [("a0", "infra_lost", None)]
    assert not lost


@pytest.mark.parametrize("where", ["lost", "ask"])
def test_once_results_cannot_be_written_nothing_is_handed_out(make, where, monkeypatch):
    searcher, (queue,), _ = make(3)

    def full(*job):
        raise OSError(28, "No space left on device")

    searcher.suggest("t0")
    if where == "lost":
        searcher.lost = full
        searcher.on_trial_complete("t0", None, error=True)
    else:
        monkeypatch.setattr(queue, "next_job", full)
        assert searcher.suggest("t1") == Searcher.FINISHED
    assert "No space left" in str(searcher.failure)
    assert searcher.suggest("t2") == Searcher.FINISHED


def test_nothing_is_handed_out_once_the_run_is_to_stop(make):
    searcher, _, _ = make(3, stopping=lambda: True)
    assert searcher.suggest("t0") == Searcher.FINISHED


def test_tune_may_copy_and_pickle_it(make):
    searcher, _, _ = make(1)
    assert copy.deepcopy(searcher) is searcher
    pickle.loads(pickle.dumps(searcher))
