"""What of a plan may be a slip is said, and nothing else."""

from types import SimpleNamespace
from typing import Any

from bench.plan.notes import plan_notes
from bench.plan.study import Budget


def study(**changes: Any) -> Any:
    plain: dict[str, Any] = {
        "task": SimpleNamespace(name="lung"),
        "entry": "unet + ce",
        "models": [SimpleNamespace(parameters=31_042_564), SimpleNamespace(parameters=1)],
        "constraints": {},
        "budget": Budget(trials=20),
        "most_settings": None,
    }
    return SimpleNamespace(**plain | changes)


def test_a_default_that_breaks_a_constraint_is_told() -> None:
    assert list(plan_notes([study(), study(constraints={"parameters": 4e7, "gmacs": 1.0})])) == []
    assert list(plan_notes([study(constraints={"parameters": 3e6})])) == [
        "lung: unet + ce: the default setting has 31,042,564 parameters, tune.constraints allows 3,000,000"
    ]


def test_a_grid_that_is_smaller_than_the_budget_is_told() -> None:
    by_time = study(most_settings=6, budget=Budget(device_hours=2))
    assert list(plan_notes([study(most_settings=20), by_time, study(most_settings=6, budget=None)])) == []
    assert list(plan_notes([study(most_settings=6), study(most_settings=1)])) == [
        "lung: unet + ce: the grid has 6 settings, the budget pays for 20 trials",
        "lung: unet + ce: the grid has 1 setting, the budget pays for 20 trials",
    ]
