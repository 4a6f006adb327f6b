"""Default against tuned, on validation cases."""

import math
from typing import Any

import pytest

from bench.leaderboard.board import build_task
from bench.leaderboard.estimate import Gain
from bench.leaderboard.load import load_tasks
from bench.leaderboard.tuning import with_gains

FAST = 200


def tune(world: Any, number: int, setting: str, quality: float, *, patients: int = 8, **changes: Any) -> None:
    """Writes a tuning trial with validation cases: Dice is `quality` minus 0.01 per patient."""
    values = [quality - 0.01 * patient for patient in range(patients)]
    fields = {"phase": "tune", "number": number, "setting": setting, "value": sum(values) / patients}
    row = world.trial("unet", **fields | changes)
    cases = [
        world.case(row["trial"], patient, "dice", value) | {"part": "validation"}
        for patient, value in enumerate(values)
    ]
    world.store.write(row, cases if row["status"] == "complete" else [], [])


def gain(world: Any) -> Gain | None:
    (cells,) = load_tasks(world.store, code="today")
    board = build_task(cells, "dice", ("dice",), FAST)
    return with_gains(board, cells, world.store).rows[0].gain


def test_tuned_minus_default_with_interval(world: Any) -> None:
    tune(world, 0, "s0", 0.70)
    tune(world, 1, "s1", 0.75)
    tune(world, 2, "s2", 0.60)
    world.final("unet", setting="s1")
    found = gain(world)
    assert found is not None
    assert (found.default, found.tuned, found.n_trials, found.metric) == (
        pytest.approx(0.665),
        pytest.approx(0.715),
        3,
        "dice",
    )
    # All patients gain the same.
    difference = found.difference
    assert (difference.mean, difference.low, difference.high) == pytest.approx((0.05, 0.05, 0.05))


@pytest.mark.parametrize(("patients", "told"), [(2, False), (5, False), (6, True)])
def test_few_validation_patients_have_no_interval(world: Any, patients: int, told: bool) -> None:
    tune(world, 0, "s0", 0.70, patients=patients)
    tune(world, 1, "s1", 0.75, patients=patients)
    world.final("unet", setting="s1")
    found = gain(world)
    assert found is not None
    assert found.difference.mean == pytest.approx(0.05)
    assert math.isfinite(found.difference.low) == told


def test_the_default_may_be_the_best(world: Any) -> None:
    tune(world, 0, "s0", 0.75)
    tune(world, 1, "s1", 0.70)
    world.final("unet", setting="s0")
    found = gain(world)
    assert found is not None
    assert (found.difference.mean, found.difference.low) == (0, 0)


def test_a_default_that_failed_has_no_gain(world: Any) -> None:
    tune(world, 0, "s0", 0.70, status="oom", value=None)
    tune(world, 1, "s1", 0.75)
    world.final("unet", setting="s1")
    found = gain(world)
    assert found is not None
    assert math.isnan(found.default)
    assert math.isnan(found.difference.mean)
    assert found.tuned == pytest.approx(0.715)


def test_scores_that_the_cases_do_not_tell_have_no_interval(world: Any) -> None:
    tune(world, 0, "s0", 0.70)
    tune(world, 1, "s1", 0.75, value=0.9)
    world.final("unet", setting="s1")
    found = gain(world)
    assert found is not None
    assert found.difference.mean == pytest.approx(0.9 - 0.665)
    assert math.isnan(found.difference.low)


def test_other_patients_are_not_paired(world: Any) -> None:
    tune(world, 0, "s0", 0.70, patients=8)
    # The score differs by just what the shared patients tell.
    tune(world, 1, "s1", 0.75, patients=9, value=0.715)
    world.final("unet", setting="s1")
    found = gain(world)
    assert found is not None
    assert math.isnan(found.difference.low)


def test_distances_are_negated(world: Any) -> None:
    for number, distance in enumerate((10.0, 7.0)):
        fields = {
            "phase": "tune",
            "number": number,
            "setting": f"s{number}",
            "metric": "hd95",
            "value": -distance,
        }
        row = world.trial("unet", **fields)
        cases = [
            world.case(row["trial"], patient, "hd95", distance + patient - 3.5) | {"part": "validation"}
            for patient in range(8)
        ]
        world.store.write(row, cases, [])
    world.final("unet", setting="s1")
    found = gain(world)
    assert found is not None
    assert (found.difference.mean, found.difference.low) == pytest.approx((3.0, 3.0))


def test_nothing_was_tuned(world: Any) -> None:
    world.final("unet")
    assert gain(world) is None
