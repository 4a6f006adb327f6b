from types import SimpleNamespace

import pytest

from bench.run import tracker as module
from bench.run.tracker import StudyState, Tracker


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(s=100.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: now.s)
    return now


def state(**extra) -> StudyState:
    fields = {"tune_total": 2, "final_total": 1, "tune_epochs": 2, "final_epochs": 4}
    return StudyState(task="lung", entry="unet + ce", **{**fields, **extra})


def job(number: int, trial: str = "t"):
    return SimpleNamespace(trial=trial, study="s", number=number)


def test_time_left_follows_the_seconds_per_epoch_and_the_slots(clock):
    tracker = Tracker({"s": state()}, slots=2, started=clock.s)
    assert tracker.time_left_s() is None
    tracker.job_started(job(0))
    for epoch in (1, 2):
        clock.s += 3
        tracker.epoch_done(job(0), epoch)
    # 8 epochs in all, 2 done, 3 s each, 2 slots.
    assert tracker.time_left_s() == pytest.approx(9)
    tracker.job_ended(job(0), "complete", 0.8)
    assert tracker.time_left_s() == pytest.approx(9)
    assert tracker.elapsed_s == pytest.approx(6)


def test_counts_best_and_failures(clock):
    tracker = Tracker({"s": state(tune_total=3)}, slots=1, started=clock.s)
    for number, (status, value) in enumerate([("complete", 0.7), ("complete", 0.9), ("diverged", None)]):
        tracker.job_started(job(number))
        assert tracker.studies["s"].running == 1
        tracker.job_ended(job(number), status, value)
    study = tracker.studies["s"]
    assert (study.tune_done, study.failed, study.best, study.running) == (3, 1, 0.9, 0)
    assert (tracker.done, tracker.planned) == (3, 4)


def test_an_interrupted_trial_is_not_done(clock):
    tracker = Tracker({"s": state()}, slots=1, started=clock.s)
    tracker.job_started(job(-1))
    tracker.job_ended(job(-1), "interrupted", None)
    assert tracker.done == 0
    assert tracker.studies["s"].running == 0


def test_a_pruned_trial_is_done_and_no_failure(clock):
    tracker = Tracker({"s": state()}, slots=1, started=clock.s)
    tracker.job_started(job(0))
    tracker.epoch_done(job(0), 1)
    tracker.job_ended(job(0), "pruned", None)
    study = tracker.studies["s"]
    assert (study.tune_done, study.failed, study.pruned, study.best) == (1, 0, 1, None)


def test_how_long_a_job_runs(clock):
    tracker = Tracker({"s": state()}, slots=1, started=clock.s)
    assert tracker.running_s(job(0)) == 0
    tracker.job_started(job(0))
    clock.s += 7
    assert tracker.running_s(job(0)) == 7
    tracker.job_ended(job(0), "infra_lost", None)
    assert tracker.running_s(job(0)) == 0


def test_a_job_that_goes_on_from_its_checkpoint_counts_the_epochs_that_are_left(clock):
    tracker = Tracker({"s": state(tune_total=1, final_total=0, tune_epochs=10)}, slots=1, started=clock.s)
    tracker.job_started(job(0))
    for epoch in (7, 8):
        clock.s += 2
        tracker.epoch_done(job(0), epoch)
    assert tracker.time_left_s() == pytest.approx(4)


def test_a_number_whose_setting_was_trained_already_counts_with_the_queue(clock):
    queue = SimpleNamespace(spending=SimpleNamespace(trials=0))
    tracker = Tracker({"s": state(tune_total=3, queue=queue)}, slots=1, started=clock.s)
    tracker.job_started(job(0))
    queue.spending.trials = 2
    tracker.job_ended(job(0), "complete", 0.5)
    assert tracker.studies["s"].tune_done == 2


def test_what_a_trial_costs_does_not_grow_with_their_number(clock):
    tracker = Tracker({"s": state(tune_total=1000)}, slots=1, started=clock.s)
    for number in range(1000):
        mine = job(number, f"t{number}")
        tracker.job_started(mine)
        for epoch in (1, 2):
            clock.s += 1
            tracker.epoch_done(mine, epoch)
        tracker.job_ended(mine, "complete", 0.5)
    kept = [len(value) for value in vars(tracker).values() if isinstance(value, dict)]
    assert max(kept) == 1
