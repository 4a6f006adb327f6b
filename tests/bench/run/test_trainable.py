"""What a worker makes of the ways in which a trial ends."""

from dataclasses import dataclass

import pytest
import torch

from bench.results.store import Store
from bench.run import process
from bench.run.trainable import TrialRunner
from medseg.training import trial
from medseg.training.checkpoint import save_state
from medseg.training.outcome import InterruptedTrialError, StorageError, TrialResult
from medseg.training.progress import Progress


def runner(job, worker, error):
    """A worker in the middle of a trial whose next epoch raises, without Ray around it."""

    def events():
        raise error
        yield

    found = TrialRunner.__new__(TrialRunner)
    found.setup({"job": job.model_dump_json(), "worker": worker.model_dump_json()})
    found._events = events()
    return found


@pytest.mark.parametrize("error", [SystemExit(1), ValueError("wrong")])
def test_whatever_a_trial_raises_becomes_a_row(job, worker, error):
    report = runner(job, worker, error).step()
    assert (report["done"], report["status"]) == (True, "crashed")
    (row,) = Store(worker.results).trials().to_dict("records")
    assert type(error).__name__ in row["detail"]


def test_a_disk_that_fails_is_not_the_trials_fault(job, worker):
    report = runner(job, worker, StorageError("/data: no space left")).step()
    assert (report["status"], report["detail"]) == ("infra_lost", "/data: no space left")
    assert Store(worker.results).trials()["detail"].tolist() == ["/data: no space left"]


def test_a_disk_that_takes_no_row_either_ends_the_worker(job, worker, monkeypatch):
    def full(self, *rows):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Store, "write", full)
    with pytest.raises(OSError, match="No space left"):
        runner(job, worker, StorageError("/data: no space left")).step()


def test_what_a_trial_returns_is_written_whatever_its_status(job, worker):
    curve = {"epoch": 1, "step": 2, "train_loss": 0.5, "learning_rate": 0.1, "score": 0.9, "wall_s": 1.0}
    end = StopIteration(TrialResult("timeout", "long", {"steps": 2, "notes": "n"}, curves=[curve]))
    found = runner(job, worker, None)
    found._events = iter(Ending(end))
    assert found.step()["status"] == "timeout"
    store = Store(worker.results)
    assert store.trials()[["steps", "notes"]].to_numpy().tolist() == [[2, "n"]]
    assert len(store.curves()) == 1


@dataclass
class Ending:
    """What a generator does that returns a result."""

    end: StopIteration

    def __iter__(self):
        return self

    def __next__(self):
        raise self.end


@pytest.fixture
def files(monkeypatch):
    """Returns what a worker hands to `run_trial` for a job: where the trial keeps its files."""
    monkeypatch.setattr(process, "open_data_of", lambda job, worker: None)
    monkeypatch.setattr(trial, "run_trial", lambda spec, data, files, *more, **named: files)
    return lambda job, worker: process.start(job, worker, lambda: False)


def test_predictions_of_final_trials_are_kept_where_asked(job, worker, files):
    keeping, final = (
        worker.model_copy(update={"keep_predictions": True}),
        job.model_copy(update={"number": -1}),
    )
    assert files(final, keeping).predictions == worker.results.folder / "predictions" / job.trial
    assert files(final, worker).predictions is None
    assert files(job, keeping).predictions is None


def test_another_attempt_goes_on_from_the_same_checkpoint(job, worker, files):
    """As `--only failed` does with a longer --timeout; other code starts anew."""
    again, patient = job.model_copy(update={"attempt": 2}), worker.model_copy(update={"timeout_s": 99.0})
    assert files(again, patient).checkpoint == files(job, worker).checkpoint
    assert (
        files(job, worker.model_copy(update={"code": "d" * 64})).checkpoint != files(job, worker).checkpoint
    )
    assert files(job, worker).checkpoint.parent == worker.results.folder / "checkpoints"


def test_a_worker_that_ray_ends_leaves_no_row(job, worker):
    """Ray raises this in its handler of SIGTERM; the trial goes on elsewhere, from its checkpoint."""
    from ray._raylet import raise_sys_exit_with_custom_error_message

    with pytest.raises(SystemExit) as caught:
        raise_sys_exit_with_custom_error_message("The process receives a SIGTERM.", exit_code=1)
    with pytest.raises(SystemExit):
        runner(job, worker, caught.value).step()
    assert not list(worker.results.folder.rglob("*.parquet"))


class Led:
    """Processes that died twice in the trial before this one."""

    losses = 2

    def run(self, job, worker, limits):
        raise ValueError("cannot begin")


def test_what_died_in_the_trial_before_is_no_attempt_of_this_one(job, worker, monkeypatch):
    two = worker.model_copy(update={"cpus": 2, "processes": 2})
    found = TrialRunner.__new__(TrialRunner)
    found._group = Led()
    found.setup({"job": job.model_dump_json(), "worker": two.model_dump_json()})
    assert found.step()["status"] == "crashed"
    assert Store(worker.results).trials()["attempt"].tolist() == [1]


CURVE = {"epoch": 1, "step": 2, "train_loss": 0.5, "learning_rate": 0.1, "score": 0.9, "wall_s": 1.0}


@pytest.mark.parametrize("error", [InterruptedTrialError("stopped"), ValueError("wrong")])
def test_a_trial_that_ends_without_a_summary_keeps_what_its_checkpoint_knows(job, worker, error):
    """The time of its earlier attempts, and its curve, which a pruner needs."""
    found = runner(job, worker, error)
    progress = Progress(step=2, curves=[CURVE], elapsed_s=7200.0)
    save_state({"progress": vars(progress), "model": torch.zeros(2)}, found._place.files.checkpoint)
    found.step()
    store = Store(worker.results)
    (row,) = store.trials().to_dict("records")
    assert (row["device_s"], row["wall_s"]) == pytest.approx((7200, 7200), abs=60)
    assert store.curves()["score"].tolist() == [0.9]
