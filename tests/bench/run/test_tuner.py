"""What `fit` makes of a run that cannot go on, without Ray's machinery."""

from io import StringIO

import pytest
from rich.console import Console

from bench.run import tuner
from bench.run.progress import Display
from bench.run.tracker import StudyState, Tracker


class OneJob:
    """Stands for Tune: one job, whose worker dies."""

    def __init__(self, trainable, tune_config, run_config):
        self.searcher = tune_config.search_alg

    def fit(self):
        self.searcher.suggest("t0")
        self.searcher.on_trial_complete("t0", error=True)


class Queue:
    """A study with one job."""

    progress, exhausted = 0.0, True

    def __init__(self, job):
        self.study, self._job = type("Study", (), {"id": job.study}), job

    def next_job(self):
        return self._job

    def ended(self, job, known):
        assert known.status == "infra_lost"


def test_a_full_disk_is_said_as_it_is(job, worker, tmp_path, monkeypatch):
    monkeypatch.setattr(tuner.tune, "Tuner", OneJob)
    tracker = Tracker({job.study: StudyState("t", "e", 1, 0, 1, 1)}, 1)
    display = Display(tracker, Console(file=StringIO()))

    def full(job):
        raise OSError(28, "No space left on device", "trials")

    def run(lost):
        tuner.fit([Queue(job)], {job.study: worker}, tracker, display, lambda: False, lost, tmp_path)

    with pytest.raises(OSError, match="No space left on device: 'trials'"):
        run(full)
    written = []
    run(written.append)
    assert written == [job]
