"""How the processes of a trial are led, without processes."""

from dataclasses import replace

import pytest

from bench.run import group
from bench.run.group import Failure, FailureError, Group, LostError, SilentError
from bench.run.process import Limits
from medseg.training.outcome import Epoch, TrialResult
from medseg.training.trial_data import Again

PLAIN = Epoch(epoch=1, step=6, train_loss=0.5, learning_rate=0.1, score=0.7, best_score=0.7, wall_s=1.0)
DONE = TrialResult("complete", cases=[{"case": "a"}])


def epoch(number):
    return replace(PLAIN, epoch=number)


class Actors:
    """Two processes that answer as they are told to: for every time they are asked, a list of (number, answer)."""

    def __init__(self, *script):
        self.script, self.log, self.alive = list(script), [], False

    def start(self, worker):
        self.alive = True
        self.log.append(f"start {worker.processes}")

    def ask(self, call, *arguments, timeout_s=None):
        assert self.alive
        if call == "begin":
            self.begun = arguments
            yield from ((0, None), (1, None))
            return
        self.log.append(call)
        self.told, self.timeout_s = arguments, timeout_s
        for answer in self.script.pop(0):
            if isinstance(answer, Exception):
                raise answer
            yield answer

    def end(self):
        if self.alive:
            self.log.append("end")
        self.alive = False


def both(answer):
    return [(1, replace(answer, cases=[]) if isinstance(answer, TrialResult) else answer), (0, answer)]


@pytest.fixture
def two(worker):
    return worker.model_copy(update={"cpus": 2, "processes": 2})


@pytest.fixture
def run(job, two):
    """Runs a trial with a script; returns its epochs, its result, the actors and the group."""

    def run(*script, worker=two):
        actors = Actors(*script)
        led = Group(actors)
        events = led.run(job, worker, Limits(job, worker))
        epochs = []
        while True:
            try:
                epochs.append(next(events).epoch)
            except StopIteration as end:
                return epochs, end.value, actors, led

    return run


def test_what_the_first_one_says_counts_and_all_stay_for_the_next_trial(run):
    epochs, result, actors, led = run(both(epoch(1)), both(epoch(2)), both(DONE))
    assert (epochs, result, led.losses) == ([1, 2], DONE, 0)
    assert actors.log == ["start 2", "advance", "advance", "advance"]


def test_the_same_processes_train_the_next_trial(job, two):
    actors = Actors(both(DONE), both(DONE))
    led = Group(actors)
    for _ in range(2):
        assert list(led.run(job, two, Limits(job, two))) == []
    assert actors.log == ["start 2", "advance", "advance"]


def test_where_one_died_the_others_are_ended_and_all_go_on(run):
    """The second epoch comes again from the checkpoint, and is not told again."""
    died = [(0, epoch(3)), LostError("process 1 died")]
    epochs, result, actors, led = run(
        both(epoch(1)), both(epoch(2)), died, both(epoch(2)), both(epoch(3)), both(DONE)
    )
    assert (epochs, result.status, led.losses) == ([1, 2, 3], "complete", 1)
    assert actors.log[3:6] == ["advance", "end", "start 2"]
    assert actors.begun[2].most_at_once is None


def test_a_failure_that_is_anothers_death_is_no_failure_of_the_trial(run):
    gone = Failure("infra_lost", "RuntimeError: Connection closed by peer", lost=True)
    epochs, result, _, led = run([(0, gone)], both(epoch(1)), both(DONE))
    assert (epochs, result.status, led.losses) == ([1], "complete", 1)


def test_who_keeps_dying_is_given_up(run):
    died = [LostError("process 1 died: killed")]
    epochs, result, actors, _ = run(both(epoch(1)), *[died] * group.MAX_LOSSES)
    assert (epochs, result.status) == ([1], "infra_lost")
    assert result.detail == "process 1 died: killed, 3 times in a row after epoch 1"
    assert not actors.alive


def test_deaths_with_progress_in_between_do_not_add_up(run):
    died = [LostError("process 1 died")]
    script = [part for number in range(1, 8) for part in (died, died, both(epoch(number)))]
    epochs, result, _, led = run(*script, both(DONE))
    assert (epochs, result.status, led.losses) == (list(range(1, 8)), "complete", 14)


@pytest.mark.parametrize("status", ["crashed", "data_error", "infra_lost"])
def test_a_failure_of_one_ends_the_others_which_would_wait_for_ever(job, two, status):
    actors = Actors([(1, Failure(status, "wrong", "Traceback"))])
    with pytest.raises(FailureError) as caught:
        next(Group(actors).run(job, two, Limits(job, two)))
    assert caught.value.failure == Failure(status, "wrong", "Traceback")
    assert actors.log == ["start 2", "advance", "end"]


def test_a_stop_waits_for_all_of_them_since_the_first_one_saves(job, two):
    stopped = Failure("interrupted", "stopped after step 10, checkpoint saved")
    actors = Actors([(1, stopped), (0, stopped)])
    with pytest.raises(FailureError, match="stopped after step 10"):
        next(Group(actors).run(job, two, Limits(job, two)))
    assert actors.log == ["start 2", "advance"]


def test_where_memory_ran_out_all_go_on_with_less(run):
    again = Again().with_less(8, step=3, spent_s=5.0)
    short = Failure("oom", "memory ran out", again=again)
    _, result, actors, led = run(both(epoch(1)), [(1, short)], both(DONE))
    assert (result.status, led.losses) == ("complete", 0)
    assert actors.begun[2] == again
    assert actors.log == ["start 2", "advance", "advance", "end", "start 2", "advance"]


def test_a_death_does_not_forget_that_memory_ran_out(run):
    again = Again().with_less(8, step=3, spent_s=5.0)
    _, _, actors, _ = run([(1, Failure("oom", "m", again=again))], [LostError("died")], both(DONE))
    assert (actors.begun[2].most_at_once, actors.begun[2].happened) == (4, again.happened)


def test_one_slice_that_fits_nowhere_ends_all(run):
    oom = TrialResult("oom", "one slice at a time does not fit")
    _, result, actors, _ = run([(1, oom)])
    assert result == oom
    assert not actors.alive


def test_who_does_not_answer_long_after_the_time_limit_is_ended(run, two):
    limited = two.model_copy(update={"timeout_s": 50.0})
    _, result, actors, _ = run([SilentError("2 of 2 processes do not answer any more")], worker=limited)
    assert (result.status, result.detail) == ("timeout", "2 of 2 processes do not answer any more")
    assert 50 < actors.timeout_s <= 50 + group.HUNG_AFTER_S
    assert not actors.alive


def test_pruning_reaches_all_of_them(job, two):
    actors, limits = Actors(both(epoch(1)), both(TrialResult("pruned"))), Limits(job, two)
    events = Group(actors).run(job, two, limits)
    next(events)
    assert actors.told == (False,)
    limits.pruned = True
    assert list(events) == []
    assert actors.told == (True,)
