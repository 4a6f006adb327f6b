"""What `fit` makes of a run that cannot go on, without Ray's machinery."""

from io import StringIO
from types import SimpleNamespace

import pytest
from ray.exceptions import RaySystemError
from rich.console import Console

from bench.errors import EngineError
from bench.run import tuner
from bench.run.nodes import GIB, Node
from bench.run.progress import Display
from bench.run.resume import known_of
from bench.run.signals import Signals
from bench.run.tracker import StudyState, Tracker
from bench.suite.schema import Resources


class OneJob:
    """Stands for Tune: one job, whose worker dies."""

    def __init__(self, trainable, tune_config, run_config):
        self.searcher = tune_config.search_alg

    def fit(self):
        self.searcher.suggest("t0")
        self.searcher.on_trial_complete("t0", error=True)


class Queue:
    """A study with one job."""

    progress = 0.0

    def __init__(self, job):
        self.study, self._job = (
            SimpleNamespace(id=job.study, entry="e", resources=Resources(), tune_total=1, final_total=0),
            job,
        )

    def has_work(self):
        return True

    def next_job(self):
        return self._job

    def ended(self, job, known):
        assert known.status == "infra_lost"


def test_a_full_disk_is_said_as_it_is(job, worker, tmp_path, monkeypatch):
    monkeypatch.setattr(tuner.tune, "Tuner", OneJob)
    monkeypatch.setattr(tuner, "live_nodes", lambda: [Node("n0", "host", 4, 0, 8 * GIB)])
    tracker = Tracker({job.study: StudyState("t", "e", 1, 0, 1, 1)}, 1)
    display = Display(tracker, Console(file=StringIO()))

    def full(job, result):
        raise OSError(28, "No space left on device", "trials")

    def run(lost):
        tuner.fit(
            [Queue(job)],
            {job.study: worker},
            tracker,
            display,
            lambda: False,
            lost,
            tmp_path,
            Signals(tmp_path, worker.run),
        )

    with pytest.raises(OSError, match="No space left on device: 'trials'"):
        run(full)
    written = []

    def lost(job, result):
        assert result.status == "infra_lost"
        written.append(job)
        return known_of({"status": "infra_lost", "value": None, "attempt": 1})

    run(lost)
    assert written == [job]


def test_a_ray_that_is_lost_is_one_line(job, worker, tmp_path, monkeypatch):
    def lose(self):
        raise RaySystemError("the raylet is gone\nwith pages of its state")

    monkeypatch.setattr(tuner.tune, "Tuner", OneJob)
    monkeypatch.setattr(OneJob, "fit", lose)
    tracker = Tracker({job.study: StudyState("t", "e", 1, 0, 1, 1)}, 1)
    display = Display(tracker, Console(file=StringIO()))
    with pytest.raises(EngineError, match=r"^Ray was lost \(System error: the raylet is gone\)$"):
        tuner.fit(
            [Queue(job)],
            {job.study: worker},
            tracker,
            display,
            bool,
            print,
            tmp_path,
            Signals(tmp_path, worker.run),
        )
