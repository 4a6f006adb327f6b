"""Tables show the finals that the engine trained, whatever the suite's budget and constraints are today."""

from typing import Any

import pytest

from bench.leaderboard.load import load_tasks

STUDY = {"id": "s", "task": "lung", "entry": "unet + dice"}


def write(world: Any, *trials: dict[str, Any], **suite: Any) -> None:
    """Writes a study of which all settings have finals, the first one's last."""
    for number, changes in reversed(list(enumerate(trials))):
        setting = {"study": "s", "setting": f"s{number}"}
        world.tune("unet", **setting, **{"number": number} | changes)
        world.final("unet", **setting, patients=1)
    world.store.write_suite({"studies": [STUDY | suite]})


def shown(world: Any) -> tuple[str, bool]:
    """Returns the setting whose finals are shown, and whether they are said to be outdated."""
    ((entry,),) = (task.entries for task in load_tasks(world.store))
    (setting,) = entry.finals["setting"]
    return setting, any("outdated" in note for note in entry.notes)


@pytest.mark.parametrize(
    ("suite", "setting"),
    [
        ({}, "s2"),
        ({"tune_total": 2}, "s0"),
        ({"counts": {"numbers": 2}}, "s0"),
        ({"counts": {"most": {"gmacs": 50.0}}}, "s0"),
        ({"counts": {"device_s": 190.0}}, "s0"),
        ({"counts": {"device_s": 191.0}}, "s2"),
        ({"counts": {"epochs": 8, "tune_epochs": 4}}, "s0"),
        ({"counts": {"epochs": 12, "tune_epochs": 4}}, "s2"),
    ],
)
def test_finals_are_of_the_best_setting_that_counts_today(world: Any, suite: Any, setting: str) -> None:
    cheap = {"gmacs": 10.0, "device_s": 95.0}
    write(world, {"value": 0.7, **cheap}, {"value": 0.6, **cheap}, {"value": 0.9, "gmacs": 99.0}, **suite)
    assert shown(world) == (setting, False)


@pytest.mark.parametrize(("trained", "setting"), [(1, "s2"), (2, "s0")])
def test_a_pruned_trial_leaves_epochs_to_the_next(world: Any, trained: int, setting: str) -> None:
    trials = [{"value": 0.7}, {"value": float("nan"), "status": "pruned"}, {"value": 0.9}]
    write(world, *trials, counts={"epochs": 9, "tune_epochs": 4})
    pruned = world.trial("unet", study="s", phase="tune", number=1, setting="s1", status="pruned")
    numbers = {"step": 1, "train_loss": 0.5, "learning_rate": 1e-3, "score": 0.5, "wall_s": 1.0}
    curve = [{"trial": pruned["trial"], "epoch": epoch, **numbers} for epoch in range(1, trained + 1)]
    world.store.write(pruned, [], curve)
    assert shown(world) == (setting, False)
