"""Which workers are killed, and when, by a clock that is turned by hand."""

from dataclasses import replace

import pytest

from bench.run.hung import Graces, Running, Watch

GRACES = Graces(limit_s=300, several_s=60, stop_s=120)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 5
        return self.now


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def watch(said) -> Watch:
    return Watch(said.append, GRACES, Clock())


@pytest.mark.parametrize(("running_s", "timeout_s", "processes", "killed"), [
    (400, 100, 1, False),
    (401, 100, 1, True),
    (401, 100, 2, False),
    (461, 100, 2, True),
    (10**6, None, 1, False),
])  # fmt: skip
def test_long_beyond_its_limit_a_trial_hangs(watch, said, job, running_s, timeout_s, processes, killed):
    trial = Running("t0", job, running_s, timeout_s, processes)
    assert watch.look([trial], stopping=False) == (["t0"] if killed else [])
    assert (watch.take("t0") is not None) is killed
    assert not said


def test_why_is_told_once(watch, job):
    # A kill may take a while, or be lost.
    for _ in range(2):
        assert watch.look([Running("t0", job, 999, 1.5)], stopping=False) == ["t0"]
    assert watch.take("t0") == "the trial ran longer than 1.5 s; its worker hung and was ended"
    assert watch.take("t0") is None


def test_it_looks_once_a_second(said, job):
    times = iter([10.0, 10.9, 11.0])
    watch = Watch(said.append, GRACES, lambda: next(times))
    late = Running("t0", job, 999, 1)
    assert [watch.look([late], stopping=False) for _ in range(3)] == [["t0"], [], ["t0"]]


def test_after_a_stop_trials_have_their_grace(watch, said, job):
    trial = Running("t0", job)
    kills = [watch.look([trial], stopping=True) for _ in range(25)]
    assert kills == [[]] * 24 + [["t0"]]
    # Every 15 s, and at the end.
    assert len(said) == 8
    assert said[0] == "waiting up to 105 s for phantom-lung: unet + ce, trial 0 (Ctrl-C: stop now)"
    assert said[-1] == "ending what did not save itself in 120 s: phantom-lung: unet + ce, trial 0"
    assert watch.take("t0") is None


def test_the_grace_begins_with_the_stop(watch, job):
    for _ in range(100):
        assert watch.look([Running("t0", job)], stopping=False) == []
    assert watch.look([Running("t0", job)], stopping=True) == []


def test_one_that_is_late_when_the_run_stops_still_timed_out(watch, job):
    late = Running("t0", job, 999, 1)
    assert watch.look([late, Running("t1", job)], stopping=True) == ["t0"]
    assert watch.take("t0")


def test_of_many_some_are_named(watch, said, job):
    final = job.model_copy(update={"number": -1, "spec": job.spec.model_copy(update={"fold": 2, "seed": 7})})
    trials = [replace(Running("t", final), id=f"t{n}") for n in range(5)]
    for _ in range(4):
        watch.look(trials, stopping=True)
    assert said[0].count("phantom-lung: unet + ce, fold 2 seed 7") == 3
    assert "; and 2 more (Ctrl-C" in said[0]
