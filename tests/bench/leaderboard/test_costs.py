"""What an entry costs, from its trials."""

import math
from typing import Any

import pytest

from bench.leaderboard.costs import cost_of
from bench.leaderboard.estimate import Cost
from bench.leaderboard.legend import COST_TEXT
from bench.leaderboard.load import load_tasks


def cost(world: Any, code: str = "today") -> Cost:
    (cells,) = load_tasks(world.store, code=code)
    return cost_of(cells.entries[0])


def test_one_training_is_the_mean_of_complete_finals(world: Any) -> None:
    known = {
        "gmacs": 10.0,
        "train_s": 60.0,
        "device_s": 3600.0,
        "energy_j": 5.0,
        "case_s": 0.1,
        "peak_memory_mb": 900.0,
    }
    world.final("unet", **known)
    world.final("unet", seed=1, **{name: 2 * value for name, value in known.items()})
    world.final("unet", seed=2, **{name: 6 * value for name, value in known.items()}, device="other")
    world.final("unet", seed=3, status="oom", **{name: 100 * value for name, value in known.items()})
    found = cost(world)
    assert (found.gmacs, found.train_s, found.energy_j) == pytest.approx((30.0, 180.0, 15.0))
    assert found.gpu_hours == pytest.approx(3.0)
    assert (found.peak_memory_mb, found.case_s) == pytest.approx((5400.0, 0.2))
    assert found.devices == ("cpu", "other")


def test_what_nobody_measured_is_not_known(world: Any) -> None:
    world.final("unet", parameters=None)
    found = cost(world)
    assert found.parameters is None
    assert all(math.isnan(value) for value in (found.gmacs, found.energy_j, found.case_s, found.tune_hours))


def test_tuning_counts_all_its_trials_each_once(world: Any) -> None:
    world.final("unet")
    world.tune("unet", device_s=1800.0)
    world.tune("unet", number=1, setting="s1", device_s=3600.0, status="diverged")
    # Run again after an upgrade: the same tuning, once more.
    world.tune("unet", number=1, setting="s1", device_s=7200.0, code="tomorrow")
    assert cost(world, code="today").tune_hours == pytest.approx(2.5)
    assert "the planned trials, each once, as last run; failed ones, too." in COST_TEXT["tune_hours"]
