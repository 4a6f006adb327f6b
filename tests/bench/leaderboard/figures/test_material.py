"""What figures are drawn from."""

from typing import Any

from bench.leaderboard.figures.material import Tuning
from bench.leaderboard.load import load_tasks


def test_tuning_is_that_of_the_tables(world: Any) -> None:
    world.final("unet")
    world.tune("unet", number=0)
    world.tune("unet", number=1, suite="other", setting="s1")
    asked, every = (Tuning(world.store, load_tasks(world.store, suite)).trials for suite in ("quick", None))
    assert asked["number"].tolist() == [0]
    assert every["number"].tolist() == [0, 1]
    assert "spec_json" not in asked.columns


def test_nothing_tuned_is_nothing_to_look_at(world: Any) -> None:
    world.final("unet")
    world.store.write_suite(
        {"studies": [{"id": "lung-unet-dice", "task": "lung", "entry": "unet + dice", "space": [{}]}]}
    )
    found = Tuning(world.store, load_tasks(world.store))
    assert found.importances("lung", ["unet + dice"]) == ()
