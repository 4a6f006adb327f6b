"""What a plan adds up to."""

from types import SimpleNamespace
from typing import Any, cast

from bench.plan.plan import Plan
from bench.plan.study import Budget
from bench.plan.totals import Totals, describe_totals, final_total, tuning_total
from bench.suite.schema import Resources


def study(budget: Budget | None, tune_total: int, *models: tuple[int, int], **more: Any) -> Any:
    """A study whose models have these steps per epoch and batch sizes."""
    settings = [SimpleNamespace(train=SimpleNamespace(steps_per_epoch=s, batch_size=b)) for s, b in models]
    fields = {"tune_epochs": 3, "final_total": 2, "final_epochs": 10, "resources": Resources(), **more}
    return SimpleNamespace(budget=budget, tune_total=tune_total, models=settings, **fields)


def plan(*studies: Any) -> Plan:
    return cast(Plan, SimpleNamespace(studies=studies))


def test_trials_epochs_steps_and_slices_add_up() -> None:
    one, two = study(Budget(trials=5), 5, (50, 8)), study(Budget(epochs=12), 4, (20, 4))
    assert tuning_total(plan(one, two)) == Totals(
        9, 27, 5 * 3 * 50 + 4 * 3 * 20, 5 * 3 * 50 * 8 + 4 * 3 * 20 * 4
    )
    assert final_total(plan(one, two)) == Totals(4, 40, 2 * 10 * (50 + 20), 2 * 10 * (50 * 8 + 20 * 4))


def test_of_several_models_the_one_that_takes_the_most_counts() -> None:
    assert final_total(plan(study(None, 0, (50, 2), (10, 16)))).slices == 2 * 10 * 160
    assert final_total(plan(study(None, 0, (50, 2), (10, 16)))).steps == 2 * 10 * 50


def test_a_budget_of_time_is_told_as_time() -> None:
    one = study(Budget(device_hours=2.5), 1, (50, 8), resources=Resources(cpus=4, gpus=0.5, memory_gb=8))
    assert describe_totals(plan(one, one)) == [
        "tuning: 5 device hours, for as many trials as they last",
        "final: 4 trials, 40 epochs, 2,000 steps, 16,000 slices seen",
        "a trial takes 0.5 GPUs, 4 cores, 8 GB",
    ]


def test_one_of_each_is_no_plural() -> None:
    one = study(Budget(device_hours=1), 1, (1, 1), final_total=1, final_epochs=1)
    assert describe_totals(plan(one))[:2] == [
        "tuning: 1 device hour, for as many trials as they last",
        "final: 1 trial, 1 epoch, 1 step, 1 slice seen",
    ]


def test_without_tuning_there_is_nothing_to_say_of_it() -> None:
    several = study(None, 0, (1, 1), resources=Resources(cpus=2, gpus=2, processes=2, memory_gb=4))
    assert describe_totals(plan(study(None, 0, (1, 1)), several)) == [
        "final: 4 trials, 40 epochs, 40 steps, 40 slices seen",
        "a trial takes 1 to 2 processes, 0 to 2 GPUs, 1 to 2 cores, 2 to 4 GB",
    ]
