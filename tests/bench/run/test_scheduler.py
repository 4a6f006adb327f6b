import copy
import pickle
from types import SimpleNamespace

import pytest
from ray.tune.execution.tune_controller import TuneController
from ray.tune.schedulers import TrialScheduler

from bench.run import scheduler as module
from bench.run.hung import Graces, Watch
from bench.run.scheduler import SuiteScheduler
from bench.run.signals import Signals


class FakeSearcher:
    """Knows one job, whose study prunes scores below 0.5."""

    def __init__(self, job):
        self.jobs, self.idle = {"t0": job}, "our workers"
        self.left, self.asked, self.failure, self.startable = [], [], None, True
        self.stop, self.deaths, self.running_s = False, {}, 0.0
        self.tracker = SimpleNamespace(running_s=lambda job: self.running_s)
        self.workers = {job.study: SimpleNamespace(timeout_s=100.0, processes=1)}

    def stopping(self):
        return self.stop

    def report(self, job, epoch, score):
        self.asked.append((job.trial, epoch, score))
        return score < 0.5

    def can_start(self, trial_id):
        return self.startable

    def leave(self, trial_id):
        self.left.append(trial_id)

    def fail(self, error):
        self.failure = error


class FakeController:
    def __init__(self):
        self.stopped = []
        self._actor_manager = SimpleNamespace(_actor_task_failed=None)

    def stop_trial(self, trial):
        assert trial.folders == 1, "Tune's final table asks each trial for its folder"
        self.stopped.append(trial.trial_id)


@pytest.fixture
def searcher(job):
    return FakeSearcher(job)


@pytest.fixture
def watch():
    return Watch(print, Graces(limit_s=1, stop_s=0))


@pytest.fixture
def scheduler(searcher, watch, tmp_path):
    return SuiteScheduler(searcher, Signals(tmp_path, "run"), watch)


@pytest.fixture
def killed(monkeypatch):
    killed = []
    monkeypatch.setattr(module.ray, "kill", killed.append)
    return killed


def trial(status="RUNNING", actor="its worker", error_file=None):
    state = SimpleNamespace(ray_actor=actor)
    made = SimpleNamespace(
        trial_id="t0", status=status, temporary_state=state, error_file=error_file, folders=0
    )
    made.init_local_path = lambda: setattr(made, "folders", 1)
    return made


def running(score):
    return {"status": "running", "epoch": 3, "score": score}


@pytest.mark.parametrize(("score", "pruned"), [(0.4, True), (0.6, False)])
def test_a_study_decides_before_the_next_epoch_is_sent(scheduler, searcher, job, tmp_path, score, pruned):
    decision = scheduler.on_trial_result(FakeController(), trial(), running(score))
    assert decision == TrialScheduler.CONTINUE
    assert searcher.asked == [(job.trial, 3, score)]
    assert Signals(tmp_path, "run").pruned(job.trial) is pruned


def test_an_end_is_no_score(scheduler, searcher, job, tmp_path):
    scheduler.on_trial_result(FakeController(), trial(), {"status": "complete", "value": 0.1})
    assert not searcher.asked
    assert not Signals(tmp_path, "run").pruned(job.trial)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("a bug")])
def test_a_flag_that_cannot_be_written_ends_the_run(searcher, watch, error):
    def fail(name):
        raise error

    scheduler = SuiteScheduler(searcher, SimpleNamespace(prune=fail), watch)
    scheduler.on_trial_result(FakeController(), trial(), running(0.1))
    assert searcher.failure is error


@pytest.mark.parametrize("wrapped", [True, False])
def test_tune_reuses_workers_as_we_say(scheduler, wrapped):
    controller = FakeController()
    given = SimpleNamespace(_tune_controller=controller) if wrapped else controller
    scheduler.on_trial_add(given, trial("PENDING"))
    assert controller._actor_cache == "our workers"


def test_tune_has_what_we_replace():
    names = TuneController.__init__.__code__.co_names
    assert "_actor_cache" in names
    assert "_actor_cache" in TuneController._maybe_reuse_cached_actor.__code__.co_names


@pytest.mark.parametrize(("status", "startable", "stopped"), [
    ("PENDING", False, ["t0"]), ("PENDING", True, []), ("RUNNING", False, []),
])  # fmt: skip
def test_trials_that_cannot_start_are_taken_back(scheduler, searcher, status, startable, stopped):
    controller = FakeController()
    scheduler.on_trial_add(controller, trial(status))
    searcher.startable = startable
    assert scheduler.choose_trial_to_run(controller) is None
    assert controller.stopped == stopped


@pytest.mark.parametrize("end", ["on_trial_complete", "on_trial_error", "on_trial_remove"])
def test_however_a_trial_ends_its_slot_is_free(scheduler, searcher, end):
    controller, mine = FakeController(), trial("PENDING")
    scheduler.on_trial_add(controller, mine)
    getattr(scheduler, end)(controller, mine, *([{}] if end == "on_trial_complete" else []))
    assert searcher.left == ["t0"]
    searcher.startable = False
    scheduler.choose_trial_to_run(controller)
    assert not controller.stopped


@pytest.mark.parametrize(("status", "actor", "running_s", "stop", "ended"), [
    ("RUNNING", "its worker", 102.0, False, True),
    ("RUNNING", "its worker", 100.0, False, False),
    ("RUNNING", "its worker", 1.0, True, True),
    ("RUNNING", None, 102.0, False, False),
    ("PENDING", "its worker", 102.0, True, False),
])  # fmt: skip
def test_workers_of_trials_that_hang_are_killed(
    scheduler, searcher, killed, status, actor, running_s, stop, ended
):
    controller = FakeController()
    scheduler.on_trial_add(controller, trial(status, actor))
    searcher.running_s, searcher.stop = running_s, stop
    scheduler.choose_trial_to_run(controller)
    assert killed == (["its worker"] if ended else [])


@pytest.mark.parametrize(("running_s", "stop", "death"), [
    (102.0, False, ("timeout", "the trial ran longer than 100 s; its worker hung and was ended")),
    (1.0, True, ("infra_lost", "the worker died (attempt 1): exit code 4")),
    (1.0, False, ("infra_lost", "the worker died (attempt 1): exit code 4")),
])  # fmt: skip
def test_why_a_worker_died_is_known_before_tune_tells(
    scheduler, searcher, killed, tmp_path, running_s, stop, death
):
    file = tmp_path / "error.txt"
    file.write_text("Failure # 1 (occurred at ...)\nWorker exits with an exit code 4.\n")
    controller, mine = FakeController(), trial(error_file=file)
    scheduler.on_trial_add(controller, mine)
    searcher.running_s, searcher.stop = running_s, stop
    scheduler.choose_trial_to_run(controller)
    scheduler.on_trial_error(controller, mine)
    result = searcher.deaths["t0"]
    assert (result.status, result.detail) == death


def test_an_end_in_time_is_no_timeout(scheduler, searcher, watch, killed):
    controller, mine = FakeController(), trial()
    scheduler.on_trial_add(controller, mine)
    searcher.running_s = 102.0
    scheduler.choose_trial_to_run(controller)
    scheduler.on_trial_complete(controller, mine, {})
    assert watch.take("t0") is None


def test_tune_may_copy_and_pickle_it(scheduler):
    assert copy.deepcopy(scheduler) is scheduler
    pickle.loads(pickle.dumps(scheduler))
