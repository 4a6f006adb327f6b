import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from bench.plan.study import Budget
from bench.run import progress as module
from bench.run.budget import Spending
from bench.run.policy import Tally
from bench.run.progress import Display, duration, spent
from bench.run.tracker import StudyState, Tracker


def state(**extra) -> StudyState:
    fields = {"tune_total": 2, "final_total": 1, "tune_epochs": 2, "final_epochs": 4}
    return StudyState(task="lung", entry="unet + ce", **{**fields, **extra})


def queue(stopped: bool = False, **extra):
    return SimpleNamespace(
        spending=Spending(Budget(trials=2), 2, **extra),
        stopped=stopped,
        standing=SimpleNamespace(tally=Tally(15, 12)),
    )


def row(study: StudyState) -> str:
    tracker = Tracker({"s": study}, slots=1)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(Display(tracker, console).render())
    return next(line for line in console.export_text().splitlines() if "unet + ce" in line)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (185, "3:05 min"), (8100, "2:15 h")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("budget", "text"),
    [
        (Budget(trials=20), "1:30 h"),
        (Budget(epochs=200), "40/200 epochs"),
        (Budget(device_hours=4), "1.5/4 h"),
    ],
)
def test_what_was_spent_is_told_in_the_measure_of_the_budget(budget, text):
    assert spent(Spending(budget, 2, trials=20, epochs=40, device_s=5400)) == text


def test_the_display_shows_every_study_and_the_headline():
    tracker = Tracker({"s": state(tune_done=2, best=0.8123, running=1)}, slots=1)
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(Display(tracker, console).render())
    text = console.export_text()
    assert "2/3 trials" in text
    assert "estimating time left" in text
    line = next(line for line in text.splitlines() if "unet + ce" in line)
    assert line.split() == ["lung", "unet", "+", "ce", "2/2", "-", "0.812", "0/1", "1", "running"]


def test_the_display_shows_what_was_spent_and_why_a_study_stopped():
    assert "1:30 h" in row(state(queue=queue(device_s=5400.0)))
    assert row(state(queue=queue(stopped=True), running=1)).endswith("stopped: 12 of 15 trials failed")
    assert row(state(tune_done=2, final_done=1, queue=queue())).endswith("done")
    assert row(state(queue=queue())).endswith("waiting")


def test_the_headline_tells_pruned_from_failed():
    tracker = Tracker({"s": state(pruned=3, failed=2)}, slots=1)
    text = Display(tracker, Console(file=io.StringIO())).headline().plain
    assert text.endswith("3 pruned · 2 failed")


def test_without_a_terminal_there_is_a_line_now_and_then(monkeypatch):
    now = SimpleNamespace(s=1000.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: now.s)
    out = io.StringIO()
    study = state(tune_total=3)
    with Display(Tracker({"s": study}, slots=1), Console(file=out, width=100)) as display:
        for done in range(4):
            study.tune_done = done
            display.tick()
            now.s += 1
        assert [line.split()[0] for line in out.getvalue().splitlines()] == ["0/4"]
        now.s += 20
        display.tick()
        display.tick()
        display.message = "stopping"
        display.tick()
        study.final_done = 1
        display.tick()
    assert [line.split()[0] for line in out.getvalue().splitlines()] == ["0/4", "3/4", "stopping", "4/4"]
