from dataclasses import dataclass
from typing import Any

import pytest

from bench.run.queue import MAX_ATTEMPTS, Known, Policy, StudyQueue, best_setting
from bench.run.sampling import Asked
from medseg.config import Component
from medseg.tasks import TASKS
from medseg.training.config import TrainConfig, TrialSpec


@dataclass
class FakeStudy:
    """A study with one parameter, `budget` tuning trials and two final seeds."""

    budget: int
    id: str = "study"
    entry: str = "unet + ce"
    final_total: int = 2

    @property
    def tune_limit(self) -> int:
        return self.budget

    @property
    def tune_total(self) -> int:
        return self.budget

    def budget_left(self, spent: list[float | None]) -> bool:
        return len(spent) < self.budget

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
    """Hands out given rates; remembers what it was told."""

    def __init__(self, rates: list[float], earlier: list[Asked] | None = None):
        self.rates, self.earlier, self.told = rates, list(earlier or []), {}

    def trials(self) -> list[Asked]:
        return self.earlier

    def ask(self) -> Asked:
        number = len(self.earlier)
        asked = Asked(number, {"train.learning_rate": self.rates[number]}, finished=False)
        self.earlier = [*self.earlier, asked]
        return asked

    def tell(self, number: int, value: float | None) -> None:
        assert number not in self.told, f"trial {number} was told twice"
        self.told[number] = value


def known(status: str = "complete", value: float | None = 0.5, **extra: Any) -> Known:
    fields = {"stale": False, "attempt": 1, "device_s": 1.0, **extra}
    return Known(status=status, value=value, **fields)


def queue(
    rates: list[float],
    budget: int,
    rows: dict[str, Known] | None = None,
    only: Any = "missing",
    earlier: list[Asked] | None = None,
) -> StudyQueue:
    sampling = FakeSampling(rates, earlier) if budget else None
    return StudyQueue(
        FakeStudy(budget), sampling, {} if rows is None else rows, Policy(only), ("data", "split")
    )


def drain(q: StudyQueue, values: dict[float, float]) -> list[tuple[int, float, int]]:
    """Runs everything in order; returns (number, rate, seed) of each job."""
    ran = []
    while (job := q.next_job()) is not None:
        rate = job.spec.train.learning_rate
        ran.append((job.number, rate, job.spec.seed))
        q.ended(job, known(value=values[rate]))
    return ran


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
    assert q.sampling.told == {0: 0.5, 1: 0.9, 2: 0.7}


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


def test_running_again_trains_nothing():
    rows: dict[str, Known] = {}
    first = queue([0.1, 0.2], budget=2, rows=rows)
    drain(first, {0.1: 0.5, 0.2: 0.6})
    finished = [Asked(a.number, a.setting, finished=True) for a in first.sampling.trials()]
    again = queue([], budget=2, rows=rows, earlier=finished)
    assert not again.has_work()
    assert again.exhausted
    assert [len(part) for part in again.finished()] == [2, 2]


def test_a_larger_budget_tunes_on_and_keeps_what_is_there():
    rows: dict[str, Known] = {}
    first = queue([0.1], budget=1, rows=rows)
    drain(first, {0.1: 0.5})
    finished = [Asked(a.number, a.setting, finished=True) for a in first.sampling.trials()]
    more = queue([0.1, 0.2], budget=2, rows=rows, earlier=finished)
    assert drain(more, {0.2: 0.9}) == [(1, 0.2, 0), (-1, 0.2, 0), (-1, 0.2, 1)]


def test_an_open_trial_of_a_killed_run_is_run_under_its_old_number():
    open_trial = Asked(0, {"train.learning_rate": 0.1}, finished=False)
    q = queue([0.1, 0.2], budget=2, earlier=[open_trial])
    job = q.next_job()
    assert (job.number, job.spec.train.learning_rate) == (0, 0.1)
    q.ended(job, known(value=0.4))
    assert q.sampling.told == {0: 0.4}


def test_a_row_written_before_the_driver_died_is_told_not_trained_again():
    rows: dict[str, Known] = {}
    drain(queue([0.1], budget=1, rows=rows), {0.1: 0.5})
    open_trial = Asked(0, {"train.learning_rate": 0.1}, finished=False)
    q = queue([0.1], budget=1, rows=rows, earlier=[open_trial])
    assert not q.has_work()
    assert q.sampling.told == {0: 0.5}


def test_two_numbers_with_one_setting_train_once_and_both_count():
    q = queue([0.1, 0.1, 0.2], budget=3)
    assert drain(q, {0.1: 0.5, 0.2: 0.4}) == [(0, 0.1, 0), (2, 0.2, 0), (-1, 0.1, 0), (-1, 0.1, 1)]
    assert q.sampling.told == {0: 0.5, 1: 0.5, 2: 0.4}


@pytest.mark.parametrize("status", ["diverged", "oom", "timeout", "data_error", "crashed"])
def test_a_failure_counts_in_the_budget_and_is_not_retried(status):
    q = queue([0.1, 0.2], budget=2)
    q.ended(q.next_job(), known(status, None))
    assert drain(q, {0.2: 0.3}) == [(1, 0.2, 0), (-1, 0.2, 0), (-1, 0.2, 1)]
    assert q.sampling.told == {0: None, 1: 0.3}


def test_a_study_whose_trials_all_failed_has_no_finals_and_says_so():
    q = queue([0.1, 0.2], budget=2)
    for _ in range(2):
        q.ended(q.next_job(), known("diverged", None))
    assert q.next_job() is None
    assert q.failed
    assert q.exhausted


def test_a_lost_worker_is_retried_a_few_times_with_the_same_setting():
    q = queue([0.1], budget=1)
    attempts = []
    for _ in range(MAX_ATTEMPTS):
        job = q.next_job()
        attempts.append((job.attempt, job.number))
        q.ended(job, known("infra_lost", None))
    assert attempts == [(n + 1, 0) for n in range(MAX_ATTEMPTS)]
    assert q.next_job() is None
    assert q.sampling.told == {0: None}


def test_losses_are_counted_per_run_not_over_all_attempts():
    row = known("interrupted", None, attempt=7)
    first = queue([0.1], budget=1)
    trial = first.next_job().trial
    q = queue([0.1], budget=1, rows={trial: row})
    q.ended(q.next_job(), known("infra_lost", None))
    assert q.next_job().attempt == 9


def test_a_smaller_budget_leaves_out_what_a_larger_one_paid_for():
    rows: dict[str, Known] = {}
    first = queue([0.1, 0.2, 0.3], budget=3, rows=rows)
    drain(first, {0.1: 0.5, 0.2: 0.4, 0.3: 0.9})
    finished = [Asked(a.number, a.setting, finished=True) for a in first.sampling.trials()]
    smaller = queue([], budget=2, rows=rows, earlier=finished)
    assert drain(smaller, {0.1: 0.6}) == [(-1, 0.1, 0), (-1, 0.1, 1)]
    assert [len(part) for part in smaller.finished()] == [2, 2]


def test_trials_that_will_run_again_do_not_count_as_finished():
    rows: dict[str, Known] = {}
    first = queue([0.1], budget=1, rows=rows)
    drain(first, {0.1: 0.5})
    finished = [Asked(a.number, a.setting, finished=True) for a in first.sampling.trials()]
    assert [len(part) for part in queue([], 1, rows, "all", finished).finished()] == [0, 0]


def test_an_interrupted_trial_is_neither_told_nor_offered_again_in_this_run():
    q = queue([0.1, 0.2], budget=1)
    job = q.next_job()
    q.ended(job, known("interrupted", None))
    assert q.sampling.told == {}
    again = queue([0.1], budget=1, rows=q.known, earlier=[Asked(0, dict(job.setting), finished=False)])
    assert again.next_job().trial == job.trial


@pytest.mark.parametrize(
    ("only", "row", "runs"),
    [
        ("missing", None, True),
        ("missing", known(), False),
        ("missing", known("diverged", None), False),
        ("missing", known("interrupted", None), True),
        ("missing", known("infra_lost", None), True),
        ("missing", known(stale=True), False),
        ("failed", known("oom", None), True),
        ("failed", known(), False),
        ("stale", known(stale=True), True),
        ("stale", known(), False),
        ("all", known(), True),
    ],
)
def test_which_rows_are_run_again(only, row, runs):
    assert Policy(only).needs_run(row) is runs


def test_the_best_is_the_highest_and_the_earliest_of_equals():
    rows = {
        0: ({"a": 0}, known(value=0.5)),
        1: ({"a": 1}, known(value=0.8)),
        2: ({"a": 2}, known(value=0.8)),
        3: ({"a": 3}, known("crashed", None)),
    }
    assert best_setting(rows) == {"a": 1}
    assert best_setting({0: ({}, known("crashed", None))}) is None
