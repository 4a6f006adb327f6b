import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from bench.plan.study import Budget
from bench.run import budget, policy, retries, standing
from bench.run import queue as queues
from bench.run.outcome import Asked, Outcome
from bench.run.policy import MOST_ATTEMPTS, Allowance, FailureLimit, Known, Policy
from bench.run.queue import StudyQueue
from bench.run.retries import MAX_ATTEMPTS
from medseg.config import Component
from medseg.tasks import TASKS
from medseg.training.config import TrainConfig, TrialSpec


@dataclass
class FakeStudy:
    """A study with one parameter, a budget in trials and two final seeds."""

    budget: Budget | None
    id: str = "study"
    entry: str = "unet + ce"
    final_total: int = 2
    tune_epochs: int = 4
    pruner: Any = field(default_factory=lambda: SimpleNamespace(name="none"))

    @property
    def tune_limit(self) -> int | None:
        return self.tune_total if self.budget and self.budget.trials else None

    @property
    def tune_total(self) -> int:
        if self.budget is None:
            return 0
        return self.budget.trials or (self.budget.epochs or 4) // 4

    def labels(self, setting: dict[str, Any]) -> tuple[str, str]:
        return "unet", "ce"

    def tune_spec(self, setting: dict[str, Any]) -> TrialSpec:
        return self._spec("tune", 0, setting)

    def final_specs(self, setting: dict[str, Any]) -> list[TrialSpec]:
        return [self._spec("final", seed, setting) for seed in range(self.final_total)]

    def _spec(self, phase: Any, seed: int, setting: dict[str, Any]) -> TrialSpec:
        return TrialSpec(
            task=TASKS.load("phantom-cardiac"),
            model=Component(name="unet"),
            loss=Component(name="ce"),
            train=TrainConfig(learning_rate=setting.get("train.learning_rate", 1e-3)),
            phase=phase,
            seed=seed,
        )


class FakeSampling:
    """Hands out given rates; remembers what it was told. With a window it waits for earlier scores."""

    def __init__(self, rates: list[float], earlier: list[Asked] | None = None, window: int = 1000):
        self.rates, self.earlier, self.window = rates, list(earlier or []), window
        self.told: dict[int, Outcome] = {
            asked.number: Outcome("complete", asked.value) for asked in self.earlier if asked.finished
        }
        self.likes: dict[int, int] = {}
        self.reports: list[tuple[int, int, float]] = []
        self.asks = 0

    @property
    def exhausted(self) -> bool:
        return self._next() >= len(self.rates)

    def trials(self) -> list[Asked]:
        return self.earlier

    def _next(self) -> int:
        taken = {asked.number for asked in self.earlier}
        return next(number for number in range(len(taken) + 1) if number not in taken)

    def ask(self) -> Asked | None:
        self.asks += 1
        number = self._next()
        if self.exhausted or any(n not in self.told for n in range(number - self.window + 1)):
            return None
        asked = Asked(number, {"train.learning_rate": self.rates[number]}, finished=False)
        self.earlier = [*self.earlier, asked]
        return asked

    def tell(self, number: int, outcome: Outcome, like: int) -> None:
        assert number not in self.told, f"trial {number} was told twice"
        self.told[number] = outcome
        self.likes[number] = like

    def report(self, number: int, epoch: int, score: float) -> bool:
        self.reports.append((number, epoch, score))
        return score < 0.1

    def epochs(self, number: int) -> int:
        return max((epoch for told, epoch, _ in self.reports if told == number), default=0)

    def best(self) -> Asked | None:
        scored = [(o.value, -n) for n, o in self.told.items() if o.value is not None]
        best = -max(scored)[1] if scored else None
        return next((asked for asked in self.earlier if asked.number == best), None)

    @property
    def values(self) -> dict[int, float | None]:
        return {number: outcome.value for number, outcome in self.told.items()}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def known(status: str = "complete", value: float | None = 0.5, **extra: Any) -> Known:
    fields = {"stale": False, "attempt": 1, "device_s": 1.0, **extra}
    return Known(status=status, value=value, **fields)


def queue(
    rates: list[float],
    budget: int | Budget,
    rows: dict[str, Known] | None = None,
    only: Any = "missing",
    earlier: list[Asked] | None = None,
    window: int = 1000,
    clock: Any = None,
    allowance: Allowance | None = None,
    **policy: Any,
) -> StudyQueue:
    sampling = FakeSampling(rates, earlier, window) if budget else None
    spec = Budget(trials=budget) if isinstance(budget, int) and budget else budget or None
    return StudyQueue(
        FakeStudy(spec),
        sampling,
        {} if rows is None else rows,
        Policy(only, **policy),
        ("data", "split"),
        allowance,
        clock=clock or Clock(),
    )


def drain(q: StudyQueue, values: dict[float, float]) -> list[tuple[int, float, int]]:
    """Runs everything in order; returns (number, rate, seed) of each job."""
    ran = []
    while (job := q.next_job()) is not None:
        rate = job.spec.train.learning_rate
        ran.append((job.number, rate, job.spec.seed))
        q.ended(job, known(value=values[rate]))
    return ran


def again(first: StudyQueue, open_numbers: tuple[int, ...] = ()) -> list[Asked]:
    """What the next run finds of a study's tuning trials."""
    told = first.sampling.told
    return [
        Asked(a.number, a.setting, True, told[a.number].value)
        if a.number in told and a.number not in open_numbers
        else Asked(a.number, a.setting, False)
        for a in first.sampling.trials()
    ]


def test_tuning_first_then_the_best_setting_with_every_seed():
    q = queue([0.1, 0.2, 0.3], budget=3)
    assert drain(q, {0.1: 0.5, 0.2: 0.9, 0.3: 0.7}) == [
        (0, 0.1, 0),
        (1, 0.2, 0),
        (2, 0.3, 0),
        (-1, 0.2, 0),
        (-1, 0.2, 1),
    ]
    assert q.exhausted
    assert q.sampling.values == {0: 0.5, 1: 0.9, 2: 0.7}


def test_without_tuning_the_default_goes_straight_to_the_final_trials():
    q = queue([], budget=0)
    assert drain(q, {1e-3: 0.8}) == [(-1, 1e-3, 0), (-1, 1e-3, 1)]


def test_finals_wait_for_running_tuning_trials():
    q = queue([0.1, 0.2], budget=2)
    first, second = q.next_job(), q.next_job()
    assert q.next_job() is None
    q.ended(first, known(value=0.1))
    assert q.next_job() is None
    assert not q.exhausted
    q.ended(second, known(value=0.2))
    assert q.next_job().spec.train.learning_rate == 0.2


def test_a_setting_that_needs_earlier_scores_is_waited_for():
    q = queue([0.1, 0.2, 0.3], budget=3, window=1)
    first = q.next_job()
    assert q.next_job() is None
    assert not q.exhausted
    q.ended(first, known())
    assert q.next_job().number == 1


def test_a_search_that_has_no_more_settings_goes_on_to_final_trials():
    q = queue([0.1, 0.2], budget=5)
    assert [number for number, _, _ in drain(q, {0.1: 0.5, 0.2: 0.4})] == [0, 1, -1, -1]
    assert q.exhausted


def test_running_again_trains_nothing():
    rows: dict[str, Known] = {}
    first = queue([0.1, 0.2], budget=2, rows=rows)
    drain(first, {0.1: 0.5, 0.2: 0.6})
    second = queue([], budget=2, rows=rows, earlier=again(first))
    assert not second.has_work()
    assert second.exhausted
    assert [len(part) for part in second.finished()] == [2, 2]


def test_a_larger_budget_tunes_on_and_keeps_what_is_there():
    rows: dict[str, Known] = {}
    first = queue([0.1], budget=1, rows=rows)
    drain(first, {0.1: 0.5})
    more = queue([0.1, 0.2], budget=2, rows=rows, earlier=again(first))
    assert drain(more, {0.2: 0.9}) == [(1, 0.2, 0), (-1, 0.2, 0), (-1, 0.2, 1)]


def test_an_open_trial_of_a_killed_run_is_run_under_its_old_number():
    open_trial = Asked(0, {"train.learning_rate": 0.1}, finished=False)
    q = queue([0.1, 0.2], budget=2, earlier=[open_trial])
    job = q.next_job()
    assert (job.number, job.spec.train.learning_rate) == (0, 0.1)
    q.ended(job, known(value=0.4))
    assert q.sampling.values == {0: 0.4}


def test_a_number_that_was_lost_is_asked_for_before_later_ones():
    rows: dict[str, Known] = {}
    first = queue([0.1, 0.2, 0.3], budget=3, rows=rows)
    jobs = [first.next_job() for _ in range(3)]
    for job in (jobs[0], jobs[2]):
        first.ended(job, known(value=0.5))
    earlier = [asked for asked in again(first) if asked.number != 1]
    second = queue([0.1, 0.2, 0.3], budget=3, rows=rows, earlier=earlier)
    assert [number for number, _, _ in drain(second, {0.1: 0.5, 0.2: 0.6})] == [1, -1, -1]


def test_two_numbers_with_one_setting_train_once_and_both_count():
    q = queue([0.1, 0.1, 0.2], budget=3)
    assert drain(q, {0.1: 0.5, 0.2: 0.4}) == [(0, 0.1, 0), (2, 0.2, 0), (-1, 0.1, 0), (-1, 0.1, 1)]
    assert q.sampling.values == {0: 0.5, 1: 0.5, 2: 0.4}
    assert (q.spending.trials, [len(part) for part in q.finished()]) == (3, [3, 2])


def test_a_repeated_setting_of_an_earlier_run_is_not_trained_again():
    rows: dict[str, Known] = {}
    first = queue([0.1], budget=1, rows=rows)
    drain(first, {0.1: 0.5})
    q = queue([0.1, 0.1], budget=2, rows=rows, earlier=again(first))
    assert drain(q, {}) == []
    assert q.sampling.values == {0: 0.5, 1: 0.5}


@pytest.mark.parametrize("status", ["diverged", "oom", "timeout", "data_error", "crashed", "pruned"])
def test_what_did_not_complete_counts_in_the_budget_and_is_not_retried(status):
    q = queue([0.1, 0.2], budget=2)
    q.ended(q.next_job(), known(status, None))
    assert drain(q, {0.2: 0.3}) == [(1, 0.2, 0), (-1, 0.2, 0), (-1, 0.2, 1)]
    assert q.sampling.values == {0: None, 1: 0.3}
    assert q.sampling.told[0].status == status


def test_a_study_whose_trials_all_failed_has_no_finals_and_says_so():
    q = queue([0.1, 0.2], budget=2)
    for _ in range(2):
        q.ended(q.next_job(), known("diverged", None))
    assert q.next_job() is None
    assert q.failed
    assert q.exhausted


def test_a_lost_worker_is_retried_with_the_same_setting_after_longer_and_longer_waits():
    clock = Clock()
    q = queue([0.1], budget=1, clock=clock)
    attempts, waits = [], []
    for _ in range(MAX_ATTEMPTS):
        started = clock.now
        while (job := q.next_job()) is None:
            assert not q.exhausted
            clock.now += 0.5
        waits.append(clock.now - started)
        attempts.append((job.attempt, job.number))
        q.ended(job, known("infra_lost", None))
    assert attempts == [(n + 1, 0) for n in range(MAX_ATTEMPTS)]
    assert waits == [0, 1, 4, 16]
    assert q.exhausted
    assert q.unfinished
    assert q.sampling.told == {}
    assert [row.status for row in q.finished(lost=True)[0]] == ["infra_lost"]
    assert q.finished() == ([], [])


def test_a_job_that_waits_leaves_its_slot_to_others():
    q = queue([0.1, 0.2], budget=2)
    lost = q.next_job()
    q.ended(lost, known("infra_lost", None))
    assert q.next_job().number == 1


def test_a_trial_that_others_interrupt_is_tried_again_and_never_told():
    clock = Clock()
    q = queue([0.1, 0.2], budget=1, clock=clock)
    job = q.next_job()
    for _ in range(MAX_ATTEMPTS):
        q.ended(job, known("interrupted", None))
        clock.now += 100
        job = q.next_job() or job
    assert q.sampling.told == {}
    assert q.exhausted
    assert q.standing.interrupted
    second = queue([0.1], budget=1, rows=q.known, earlier=again(q))
    assert second.next_job().trial == job.trial


def test_final_trials_wait_for_an_interrupted_tuning_trial():
    clock = Clock()
    q = queue([0.1, 0.2], budget=2, clock=clock)
    first, second = q.next_job(), q.next_job()
    q.ended(first, known("interrupted", None))
    q.ended(second, known(value=0.9))
    assert q.next_job() is None
    clock.now += 1
    assert q.next_job().number == 0


def lose(q: StudyQueue, clock: Clock, number: int, status: str = "infra_lost") -> list[int]:
    """Runs everything, but loses one trial whenever it runs; returns the numbers of the others."""
    ran = []
    while not q.exhausted:
        job = q.next_job()
        if job is None:
            clock.now += 30
        elif job.number == number:
            q.ended(job, known(status, None, attempt=job.attempt))
        else:
            ran.append(job.number)
            q.ended(job, known(value=0.5))
    return ran


def test_final_trials_wait_for_a_tuning_trial_that_was_lost_at_every_attempt():
    clock, rows = Clock(), {}
    first = queue([0.1, 0.2], budget=2, rows=rows, clock=clock)
    assert lose(first, clock, 1) == [0]
    assert first.unfinished
    assert first.spending.trials == 1
    second = queue([0.1, 0.2], budget=2, rows=rows, earlier=again(first))
    assert drain(second, {0.2: 0.9}) == [(1, 0.2, 0), (-1, 0.2, 0), (-1, 0.2, 1)]


def test_a_number_that_repeats_a_lost_trial_waits_with_it():
    clock = Clock()
    q = queue([0.1, 0.2, 0.2], budget=3, clock=clock)
    assert lose(q, clock, 1) == [0]
    assert sorted(q.sampling.told) == [0]
    assert q.spending.open == 2


def test_after_so_many_attempts_over_all_runs_a_loss_is_a_failure_and_the_study_goes_on():
    clock, rows, earlier = Clock(), {}, None
    for run in range(MOST_ATTEMPTS // MAX_ATTEMPTS):
        q = queue([0.1, 0.2], budget=2, rows=rows, earlier=earlier, clock=clock)
        ran, earlier = lose(q, clock, 1), again(q)
        assert ran == [[0], [], [-1, -1]][run]
    assert q.sampling.told[1] == Outcome("infra_lost")
    assert (q.standing.tally.failed, q.unfinished, q.failed) == (1, False, False)
    over = queue([0.1, 0.2], budget=2, rows=rows, earlier=again(q))
    assert not over.has_work()
    for word in ("failed", "infra_lost"):
        retried = queue([0.1, 0.2], 2, dict(rows), earlier=again(q, open_numbers=(1,)), retry=(word,))
        assert retried.next_job().number == 1


@pytest.mark.parametrize("status", ["infra_lost", "interrupted"])
def test_a_result_that_outlives_a_lost_second_try_still_counts_in_the_search(status):
    clock, rows = Clock(), {}
    first = queue([0.1, 0.2], budget=2, rows=rows)
    drain(first, {0.1: 0.5, 0.2: 0.9})
    q = queue([0.1, 0.2], 2, rows, "all", again(first, open_numbers=(0, 1)), window=1, clock=clock)
    assert lose(q, clock, 1, status) == [0, -1, -1]
    assert q.sampling.values == {0: 0.5, 1: 0.9}
    finals = [job.spec.train.learning_rate for job in q._finals]
    assert finals == [0.2, 0.2]
    assert [known.status for known in q.standing.kept] == [status]
    assert q.standing.interrupted is (status == "interrupted")
    assert [len(part) for part in q.finished(lost=True)] == [2, 2]


def test_a_loss_after_many_attempts_replaces_no_result():
    clock, rows = Clock(), {}
    first = queue([0.1], budget=1, rows=rows)
    trial = first.next_job().trial
    rows[trial] = known(value=0.5, attempt=MOST_ATTEMPTS)
    open_trial = [Asked(0, {"train.learning_rate": 0.1}, finished=False)]
    q = queue([0.1], 1, rows, "all", open_trial, clock=clock)
    lose(q, clock, 0)
    assert rows[trial].status == "complete"
    assert q.sampling.values == {0: 0.5}


def test_losses_are_counted_per_run_not_over_all_attempts():
    clock = Clock()
    trial = queue([0.1], budget=1).next_job().trial
    q = queue([0.1], budget=1, rows={trial: known("interrupted", None, attempt=7)}, clock=clock)
    q.ended(q.next_job(), known("infra_lost", None, attempt=8))
    clock.now += 1
    assert q.next_job().attempt == 9


def test_a_decided_row_outlives_an_interrupted_second_try():
    rows: dict[str, Known] = {}
    first = queue([0.1], budget=1, rows=rows)
    first.ended(first.next_job(), known("timeout", None))
    q = queue([0.1], budget=1, rows=rows, earlier=again(first, open_numbers=(0,)), retry=("timeout",))
    job = q.next_job()
    q.ended(job, known("interrupted", None))
    assert q.known[job.trial].status == "timeout"


def test_a_smaller_budget_leaves_out_what_a_larger_one_paid_for():
    rows: dict[str, Known] = {}
    first = queue([0.1, 0.2, 0.3], budget=3, rows=rows)
    drain(first, {0.1: 0.5, 0.2: 0.4, 0.3: 0.9})
    smaller = queue([], budget=2, rows=rows, earlier=again(first)[:2])
    assert drain(smaller, {0.1: 0.6}) == [(-1, 0.1, 0), (-1, 0.1, 1)]
    assert [len(part) for part in smaller.finished()] == [2, 2]


def test_a_smaller_budget_in_hours_takes_numbers_in_order_until_it_is_spent():
    rows: dict[str, Known] = {}
    first = queue([0.1, 0.2, 0.3, 0.4], Budget(device_hours=4), rows=rows)
    for value in (0.4, 0.5, 0.6, 0.7):
        first.ended(first.next_job(), known(value=value, device_s=3600.0))
    smaller = queue([], Budget(device_hours=2), rows=rows, earlier=again(first))
    assert (len(smaller.finished()[0]), smaller.spending.device_s) == (2, 7200.0)


def test_a_number_that_waits_for_its_share_of_the_budget_comes_before_new_ones():
    rows: dict[str, Known] = {}
    first = queue([0.1, 0.2, 0.3], Budget(epochs=12), rows=rows)
    for value in (0.4, 0.5, 0.6):
        first.ended(first.next_job(), known(value=value))
    rows.pop(next(trial for trial in rows if first.standing.numbers(trial) == [0]))
    smaller = queue([0.1, 0.2, 0.3, 0.4], Budget(epochs=9), rows, earlier=again(first, open_numbers=(0,)))
    assert len(smaller.finished()[0]) == 1
    job = smaller.next_job()
    smaller.report(job, 1, 0.05)
    smaller.ended(job, known("pruned", None))
    assert smaller.next_job().number == -1
    assert (len(smaller.finished()[0]), smaller.sampling.asks) == (3, 0)


def test_trials_that_will_run_again_do_not_count_as_finished():
    rows: dict[str, Known] = {}
    first = queue([0.1], budget=1, rows=rows)
    drain(first, {0.1: 0.5})
    everything = queue([0.1], 1, rows, "all", again(first, open_numbers=(0,)))
    assert [len(part) for part in everything.finished()] == [0, 0]
    assert drain(everything, {0.1: 0.6}) == [(0, 0.1, 0), (-1, 0.1, 0), (-1, 0.1, 1)]


def test_only_failed_runs_exactly_what_failed():
    rows: dict[str, Known] = {}
    first = queue([0.1, 0.2, 0.3], budget=3, rows=rows)
    first.ended(first.next_job(), known("oom", None))
    first.ended(first.next_job(), known(value=0.4))
    q = queue([0.1, 0.2, 0.3], 3, rows, "failed", again(first, open_numbers=(0,)))
    assert drain(q, {0.1: 0.7}) == [(0, 0.1, 0)]
    assert q.exhausted
    assert not q.unfinished
    # Number 2 and the final trials are missing: `bench run` has them, `--only failed` has not.
    missing = queue([0.1, 0.2, 0.3], 3, rows, earlier=again(q))
    assert drain(missing, {0.3: 0.1, 0.1: 0.7}) == [(2, 0.3, 0), (-1, 0.1, 0), (-1, 0.1, 1)]


def test_retry_runs_what_is_missing_too():
    rows: dict[str, Known] = {}
    first = queue([0.1, 0.2], budget=2, rows=rows)
    first.ended(first.next_job(), known("oom", None))
    q = queue([0.1, 0.2], 2, rows, earlier=again(first, open_numbers=(0,)), retry=("failed",))
    assert [number for number, _, _ in drain(q, {0.1: 0.7, 0.2: 0.2})] == [0, 1, -1, -1]


def test_no_more_trials_start_than_allowed_over_all_studies():
    allowance = Allowance(3)
    first = queue([0.1, 0.2], budget=2, allowance=allowance)
    second = queue([0.1, 0.2], budget=2, allowance=allowance)
    assert len(drain(first, {0.1: 0.5, 0.2: 0.4})) == 3
    assert drain(second, {}) == []
    assert first.exhausted
    assert second.exhausted
    assert first.unfinished
    assert second.unfinished


def test_another_attempt_is_no_further_trial():
    clock, allowance = Clock(), Allowance(1)
    q = queue([0.1], budget=1, clock=clock, allowance=allowance)
    q.ended(q.next_job(), known("infra_lost", None))
    assert not q.exhausted
    clock.now += 1
    q.ended(q.next_job(), known(value=0.5))
    assert q.exhausted


def test_a_study_with_too_many_failures_stops_and_says_so():
    q = queue([0.1, 0.2, 0.3, 0.4], budget=4, failures=FailureLimit(count=1))
    jobs = [q.next_job() for _ in range(3)]
    q.ended(jobs[0], known("crashed", None))
    assert not q.stopped
    q.ended(jobs[1], known("crashed", None))
    assert q.next_job() is None
    assert q.stopped
    assert not q.exhausted
    q.ended(jobs[2], known("infra_lost", None))
    assert q.exhausted
    assert str(q.standing.tally) == "3 of 3 trials failed"
    assert not q.unfinished


def test_a_stopped_study_stays_so_until_its_failures_are_retried():
    rows: dict[str, Known] = {}
    first = queue([0.1, 0.2, 0.3], budget=3, rows=rows, failures=FailureLimit(count=0))
    first.ended(first.next_job(), known("crashed", None))
    assert not first.has_work()
    second = queue([0.1, 0.2, 0.3], 3, rows, earlier=again(first), failures=FailureLimit(count=0))
    assert not second.has_work()
    assert second.stopped
    open_again = again(first, open_numbers=(0,))
    third = queue(
        [0.1, 0.2, 0.3], 3, rows, earlier=open_again, failures=FailureLimit(count=0), retry=("crashed",)
    )
    assert third.next_job().number == 0


def test_a_study_that_is_through_was_not_stopped():
    rows: dict[str, Known] = {}
    first = queue([0.1], budget=1, rows=rows, failures=FailureLimit(count=5))
    drain(first, {0.1: 0.5})
    rows[list(rows)[-1]] = known("crashed", None)
    second = queue([0.1], 1, rows, earlier=again(first), failures=FailureLimit(count=0))
    assert not second.has_work()
    assert not second.stopped


def test_scores_reach_the_pruner_but_for_final_trials():
    q = queue([0.1, 0.2], budget=1)
    job = q.next_job()
    assert not q.report(job, 1, 0.5)
    assert q.report(job, 2, 0.05)
    q.ended(job, known(value=0.5))
    final = q.next_job()
    assert not q.report(final, 1, 0.0)
    assert q.sampling.reports == [(0, 1, 0.5), (0, 2, 0.05)]


def test_a_pruned_trial_leaves_epochs_to_others():
    q = queue([0.1, 0.2, 0.3, 0.4], budget=Budget(epochs=10))
    for _ in range(2):
        job = q.next_job()
        q.report(job, 1, 0.5)
        q.ended(job, known("pruned", None))
    # 2 of 10 epochs are spent: two whole trials of 4 fit, a third does not.
    assert drain(q, {0.3: 0.5, 0.4: 0.6})[:2] == [(2, 0.3, 0), (3, 0.4, 0)]
    assert (q.spending.trials, q.spending.epochs) == (4, 10)


def test_a_repeated_pruned_trial_is_charged_and_told_as_the_first_one():
    q = queue([0.1, 0.2, 0.2], budget=Budget(epochs=12))
    q.ended(q.next_job(), known())
    job = q.next_job()
    for epoch in (1, 2, 3):
        q.report(job, epoch, 0.5)
    q.ended(job, known("pruned", None))
    assert q.spending.epochs == 7
    q.has_work()
    assert q.spending.epochs == 10
    assert q.sampling.likes == {0: 0, 1: 1, 2: 1}


def test_progress_falls_behind_with_what_is_left():
    q = queue([0.1, 0.2], budget=2)
    seen = [q.progress]
    while (job := q.next_job()) is not None:
        seen.append(q.progress)
        q.ended(job, known(value=0.5))
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] == 1


def test_what_a_trial_costs_the_queue_does_not_grow_with_their_number():
    """Counts lines, not seconds."""
    assert lines_per_trial(200) == pytest.approx(lines_per_trial(20), rel=0.1)


def lines_per_trial(trials: int) -> float:
    rates = [1e-5 * (n + 1) for n in range(trials)]
    q = queue(rates, budget=trials)
    files = {module.__file__ for module in (queues, budget, retries, policy, standing)}
    lines = 0

    def trace(frame, event, argument):
        nonlocal lines
        lines += event == "line"
        return trace if frame.f_code.co_filename in files else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        drain(q, dict.fromkeys(rates, 0.5))
    finally:
        sys.settrace(before)
    return lines / trials
