import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from bench.run import tracker as module
from bench.run.progress import Display, duration
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


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (185, "3:05 min"), (8100, "2:15 h")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_the_display_shows_every_study_and_the_headline(clock):
    tracker = Tracker({"s": state(tune_done=2, best=0.8123, running=1)}, slots=1, started=clock.s)
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(Display(tracker, console).render())
    text = console.export_text()
    assert "2/3 trials" in text
    assert "estimating time left" in text
    line = next(line for line in text.splitlines() if "unet + ce" in line)
    assert line.split() == ["lung", "unet", "+", "ce", "2/2", "0.812", "0/1", "1", "running"]
