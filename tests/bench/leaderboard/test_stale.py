"""A table that is all of other code says which, and what running it again would take."""

from typing import Any

from bench.leaderboard.load import load_tasks

OLD, TODAY = "01d" * 20, "70da" * 15


def notes(world: Any) -> list[str]:
    (cells,) = load_tasks(world.store, code=TODAY)
    return [note for note in cells.notes if note.startswith("stale")]


def test_a_table_of_other_code_says_which_and_what_to_do(world: Any) -> None:
    for model in ("unet", "resunet"):
        world.tune(model, code=OLD, trial=f"{model}-tune")
        world.tune(model, code=OLD, trial=f"{model}-lost", number=1, status="infra_lost", value=float("nan"))
        world.final(model, code=OLD, versions_json='{"medseg-bench": "0.1.0"}')
    assert notes(world) == [
        "stale: all 2 final trials were made by other code (01d01d01 of medseg-bench 0.1.0), none by today's "
        "(70da70da): the numbers are those of that code. `bench run SUITE --only stale` runs them and 2 tuning "
        "trials again; a study that then has another best setting gets its final trials from the next "
        "`bench run SUITE`"
    ]


def test_without_tuning_there_is_no_other_setting(world: Any) -> None:
    world.final("unet", code=OLD)
    assert notes(world) == [
        "stale: the only final trial was made by other code (01d01d01), none by today's (70da70da): the numbers are "
        "those of that code. `bench run SUITE --only stale` runs it again"
    ]


def test_what_is_stale_in_part_is_noted_by_entry_only(world: Any) -> None:
    world.final("unet", code=OLD)
    world.final("resunet", code=TODAY)
    assert notes(world) == []


def test_a_tuning_trial_that_was_made_anew_is_not_counted(world: Any) -> None:
    for code in (OLD, TODAY):
        world.tune("unet", code=code, trial="t")
    world.final("unet", code=OLD)
    assert "tuning" not in notes(world)[0]
