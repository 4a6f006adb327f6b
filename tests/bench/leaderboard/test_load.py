"""Which entries, trials and definitions a task's values are of."""

from typing import Any

import pandas as pd
import pytest

from bench.errors import ResultsError
from bench.leaderboard.load import load_tasks
from medseg.metrics import METRICS

TODAY, OLD = METRICS.load("hd95").definition, "hd95/pooled/v1"


def lung(world: Any, **options: Any) -> Any:
    (cells,) = load_tasks(world.store, tasks=["lung"], **{"code": "today"} | options)
    return cells


def plan(world: Any, *models: str, task: str = "lung", **changes: Any) -> None:
    studies = [{"id": f"{task}-{m}-dice", "task": task, "entry": f"{m} + dice"} | changes for m in models]
    world.store.write_suite({"studies": studies})


def test_what_the_suite_dropped_is_ranked_on_request_only(world: Any) -> None:
    for model in ("unet", "resunet", "gone"):
        world.final(model, patients=8)
    plan(world, "unet", "resunet")
    cells = lung(world)
    assert [entry.name for entry in cells.entries] == ["resunet + dice", "unet + dice"]
    assert cells.pending == {"gone + dice": "not in the suite any more"}
    assert set(cells.cells["entry"]) == {"resunet + dice", "unet + dice"}
    every = lung(world, dropped=True)
    notes = {entry.name: entry.notes for entry in every.entries}
    assert notes["gone + dice"] == ("not in the suite any more",)
    assert not every.pending


def test_what_the_suite_dropped_decides_nothing(world: Any) -> None:
    """Its folds, its cases and its data are not those that others must have."""
    world.final("unet", patients=5)
    world.final("gone", patients=5, seed=0)
    world.final("gone", patients=8, seed=1, data="newer")
    plan(world, "unet")
    cells = lung(world)
    assert [entry.notes for entry in cells.entries] == [()]
    assert cells.patients("dice").shape == (1, 5)
    assert cells.notes == ()


def test_a_task_that_the_suite_dropped_says_so(world: Any) -> None:
    world.final("unet")
    plan(world, "unet", task="heart")
    assert lung(world).notes == ("the suite does not have this task any more",)


def test_finals_of_two_versions_of_the_code_are_told(world: Any) -> None:
    world.final("unet", seed=0)
    world.final("unet", seed=1, code="0123456789abcdef")
    world.final("resunet", seed=0, code="0123456789abcdef")
    world.final("resunet", seed=1, code="0123456789abcdef")
    world.final("whole", seed=0)
    world.final("whole", seed=1)
    notes = {entry.name: entry.notes for entry in lung(world).entries}
    assert notes["unet + dice"] == (
        "stale: 1 of 2 final trials were made by other code (01234567)",
        "mixed: its final trials are of 2 versions of the code (1 by 01234567, 1 by today)",
    )
    assert notes["resunet + dice"] == ("stale: 2 of 2 final trials were made by other code (01234567)",)
    assert notes["whole + dice"] == ()


def test_a_trial_of_two_codes_counts_once(world: Any) -> None:
    world.final("unet", quality=0.9, noise=0, code="old")
    world.final("unet", quality=0.5, noise=0)
    cells = lung(world)
    assert len(cells.of_metric("dice")) == 8
    assert cells.patients("dice").loc["unet + dice", "p0"] == 0.5
    assert lung(world, code="old").patients("dice").loc["unet + dice", "p0"] == 0.9


@pytest.mark.parametrize(("wanted", "mean"), [(None, 5.4), ({"hd95": OLD}, 15.4), ({"hd95": TODAY}, 5.4)])
def test_a_definition_can_be_chosen(world: Any, wanted: Any, mean: float) -> None:
    for model in ("unet", "resunet"):
        world.final(model, noise=0, definitions={"hd95": {TODAY: 0.0, OLD: 10.0}})
    cells = lung(world, definitions=wanted)
    assert cells.patients("hd95").mean(axis=1).tolist() == [pytest.approx(mean)] * 2
    chosen = (wanted or {}).get("hd95", TODAY)
    assert cells.facts("hd95").definitions == {"lung": chosen}
    assert not cells.notes


def test_a_chosen_definition_sets_apart_who_lacks_it(world: Any) -> None:
    world.final("unet", definitions={"hd95": {TODAY: 0.0}})
    world.final("resunet", definitions={"hd95": {TODAY: 0.0, OLD: 1.0}})
    cells = lung(world, definitions={"hd95": OLD})
    assert list(cells.apart["hd95"]) == ["unet + dice"]
    assert cells.notes == (f"hd95 (lung): shown as {OLD}, which 1 of 2 trials have (also {TODAY} in 2)",)


def test_a_definition_that_nobody_has_is_refused(world: Any) -> None:
    world.final("unet")
    with pytest.raises(
        ResultsError, match=r"no values of hd95 by the definition 'hd95/v2' \(there are: hd95/v1\)"
    ):
        lung(world, definitions={"hd95": "hd95/v2"})
    with pytest.raises(
        ResultsError, match=r"no test values of metric 'nsd' \(choices: dice, hd95, iou, pixel_acc"
    ):
        lung(world, definitions={"nsd": "nsd/v2"})


def test_a_definition_is_chosen_where_the_task_has_the_metric(world: Any) -> None:
    world.final("unet", definitions={"hd95": {TODAY: 0.0, OLD: 1.0}})
    world.final("unet", task="heart", metrics=("dice",))
    heart, found = load_tasks(world.store, definitions={"hd95": OLD})
    assert heart.metrics == ["dice"]
    assert found.facts("hd95").definitions == {"lung": OLD}


def test_texts_are_codes_and_their_words_sorted(world: Any) -> None:
    world.final("unet", seed=1)
    world.final("resunet", seed=0)
    for cells in (lung(world).cells, lung(world).only(entries=["unet + dice"]).cells):
        texts = cells.drop(columns=["fold", "seed", "value", "diagonal"])
        assert all(isinstance(kind, pd.CategoricalDtype) for kind in texts.dtypes)
        for name in texts:
            assert texts[name].cat.categories.is_monotonic_increasing, name
    assert list(cells.columns) == [
        "entry", "fold", "seed", "case", "patient", "label", "metric", "subgroup", "phase", "definition", "value",
        "status", "unit", "diagonal",
    ]  # fmt: skip
