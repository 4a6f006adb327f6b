"""Several definitions of a metric in one results folder: one is shown, and none is mixed with another."""

import math
from typing import Any

import pandas as pd
import pytest

from bench.errors import ResultsError
from bench.leaderboard import answer_claims, load_tasks
from bench.leaderboard.answer import answer
from bench.leaderboard.definitions import one_definition
from bench.leaderboard.request import Request
from bench.leaderboard.table import TaskBoard
from medseg.metrics import METRICS

TODAY = METRICS.load("hd95").definition
OLD, NEWER = "hd95/pooled/v1", "hd95/pooled/v12"


def board_of(world: Any, **options: Any) -> TaskBoard:
    return answer(world.store, Request(**{"resamples": 200, "task": "lung"} | options), "today").boards[0]


def means(board: TaskBoard, metric: str = "hd95") -> dict[str, float]:
    return {row.model: row.metrics[metric].mean for row in board.rows}


def measured(world: Any, **models: dict[str, float]) -> None:
    """Writes a trial per model, with what each definition of HD95 adds to 20 * 0.27 = 5.4."""
    for model, definitions in models.items():
        world.final(model, noise=0, definitions={"hd95": definitions})


def test_today_s_definition_is_taken_where_every_trial_has_it(world: Any) -> None:
    measured(world, unet={TODAY: 0.0, OLD: 10.0}, resunet={OLD: 10.0, TODAY: 1.0, NEWER: 5.0})
    board = board_of(world)
    assert means(board) == {"unet": pytest.approx(5.4), "resunet": pytest.approx(6.4)}
    assert not board.notes
    assert not any(row.notes for row in board.rows)
    assert board.rows[0].n_valid == 8


def test_else_the_one_that_most_trials_have(world: Any) -> None:
    measured(world, unet={OLD: 10.0}, resunet={OLD: 11.0, TODAY: 0.0}, transunet={OLD: 12.0, TODAY: 0.0})
    board = board_of(world)
    assert means(board) == {
        "unet": pytest.approx(15.4),
        "resunet": pytest.approx(16.4),
        "transunet": pytest.approx(17.4),
    }
    assert board.notes == (f"hd95 (lung): shown as {OLD}, which 3 of 3 trials have (also {TODAY} in 2)",)


def test_of_equally_many_the_newest_version_is_taken_and_the_rest_is_not_compared(world: Any) -> None:
    measured(world, unet={OLD: 10.0}, resunet={"hd95/pooled/v9": 1.0, NEWER: 2.0})
    board = board_of(world)
    unet, resunet = sorted(board.rows, key=lambda row: row.model, reverse=True)
    assert resunet.metrics["hd95"].mean == pytest.approx(7.4)
    # Neither the value by the other definition nor the worst: it did not fail.
    assert math.isnan(unet.metrics["hd95"].mean)
    assert unet.metrics["dice"].mean == pytest.approx(0.73)
    assert unet.n_failed == 0
    assert unet.notes == (
        f"hd95 measured as {OLD}, not as {NEWER}: not compared; `bench rescore` measures anew",
    )
    assert not resunet.notes


def test_what_cannot_be_compared_is_not_ranked(world: Any) -> None:
    measured(world, unet={OLD: 0.0}, resunet={TODAY: 0.0}, transunet={TODAY: 9.0})
    board = board_of(world, metric="hd95")
    assert [row.model for row in board.rows] == ["resunet", "transunet"]
    assert board.pending["unet + dice"].startswith(f"hd95 measured as {OLD}, not as {TODAY}: not compared")
    assert board.comparisons == 1
    with pytest.raises(ResultsError, match=r"incomplete: lung: unet \+ dice: hd95 measured as"):
        board_of(world, metric="hd95", on_missing="fail")
    # Dice was measured alike.
    assert len(board_of(world, on_missing="fail").rows) == 3


def test_one_seed_of_another_definition_sets_the_entry_apart(world: Any) -> None:
    for seed, definitions in enumerate([{TODAY: 0.0}, {OLD: 0.0}]):
        world.final("unet", seed=seed, noise=0, definitions={"hd95": definitions})
        world.final("resunet", seed=seed, noise=0, definitions={"hd95": {TODAY: 0.0}})
    board = board_of(world)
    assert math.isnan(means(board)["unet"])
    assert means(board)["resunet"] == pytest.approx(5.4)


def test_nobody_can_be_compared(world: Any) -> None:
    for model in ("unet", "resunet"):
        for seed, definitions in enumerate([{TODAY: 0.0}, {OLD: 0.0}]):
            world.final(model, seed=seed, noise=0, definitions={"hd95": definitions})
    assert len(board_of(world).rows) == 2
    board = board_of(world, metric="hd95")
    assert not board.rows
    assert set(board.pending) == {"unet + dice", "resunet + dice"}
    (cells,) = load_tasks(world.store)
    with pytest.raises(ResultsError, match="lung: no entry has one definition of hd95 in all of its trials"):
        cells.of_metric("hd95")


def test_a_failed_trial_does_not_count_in_the_choice(world: Any) -> None:
    measured(world, unet={TODAY: 0.0, OLD: 10.0})
    world.final("resunet", status="oom")
    board = board_of(world)
    assert means(board) == {"unet": pytest.approx(5.4), "resunet": 100}
    assert not board.notes


def test_claims_rest_on_one_definition(world: Any) -> None:
    for loss, definitions in (("dice", {TODAY: 0.0}), ("ce", {TODAY: 5.0}), ("bce", {OLD: -5.0})):
        world.final("unet", loss, patients=12, definitions={"hd95": definitions})
    claim = {
        "id": "c",
        "task": "lung",
        "better": {"loss": "dice"},
        "than": {"loss": ["ce", "bce"]},
        "metric": "hd95",
    }
    (found,) = answer_claims([claim], load_tasks(world.store), resamples=300)
    assert [part.answer for part in found.comparisons] == ["supported", "undecided"]
    assert found.comparisons[1].why.startswith(f"unet + bce: hd95 measured as {OLD}, not as {TODAY}")
    assert math.isnan(found.comparisons[1].p)
    (left_out,) = [note for note in found.notes if note.startswith("left out: unet + bce")]
    assert f"hd95 measured as {OLD}" in left_out


ROW = {"entry": "a", "fold": 0, "seed": 0, "case": "c", "metric": "nsd", "value": 0.5}


def nsd(label: str, tolerance: str, **changes: Any) -> dict[str, Any]:
    definition = METRICS.load("nsd").definition.replace("{tolerance}", tolerance)
    return {**ROW, "label": label, "definition": definition, **changes}


def runs(*entries: str) -> pd.DataFrame:
    return pd.DataFrame(
        [{"entry": entry, "fold": 0, "seed": 0} for entry in entries], columns=["entry", "fold", "seed"]
    )


def test_labels_have_tolerances_of_their_own() -> None:
    rows = [nsd("LV", "1"), nsd("RV", "1.5")]
    found = one_definition(pd.DataFrame(rows), runs("a"), {"LV": 1.0, "RV": 1.5})
    assert (len(found.values), found.apart, found.notes) == (2, {}, ())


def test_today_s_tolerance_is_taken_label_by_label() -> None:
    rows = [nsd(label, tolerance) for label in ("LV", "RV") for tolerance in ("1", "1.5", "3")]
    found = one_definition(pd.DataFrame(rows), runs("a"), {"LV": 1.0, "RV": 1.5})
    assert found.values["definition"].tolist() == [
        nsd("LV", "1")["definition"],
        nsd("RV", "1.5")["definition"],
    ]
    assert not found.notes


def test_a_metric_that_is_not_installed_has_no_today() -> None:
    rows = [
        {**ROW, "entry": entry, "label": "LV", "metric": "theirs", "definition": name}
        for entry, names in (("a", ("theirs/2", "theirs/1")), ("b", ("theirs/1",)))
        for name in names
    ]
    found = one_definition(pd.DataFrame(rows), runs("a", "b"), {})
    assert found.values[["entry", "definition"]].to_numpy().tolist() == [["a", "theirs/1"], ["b", "theirs/1"]]
    assert found.notes == ("theirs (LV): shown as theirs/1, which 2 of 2 trials have (also theirs/2 in 1)",)


def test_nothing_is_fine() -> None:
    empty = pd.DataFrame(columns=[*ROW, "label", "definition"])
    for complete in (runs(), runs("a")):
        found = one_definition(empty, complete, {})
        assert (len(found.values), found.apart) == (0, {})


BASIC = ("dice", "iou")
UNMEASURED = (
    "hd95, pixel_accuracy not measured in 1 of 2 complete trials: not compared; `bench rescore` may add it"
)


@pytest.fixture
def half_measured(world: Any) -> Any:
    """Two trials each; one of resunet's was never measured by HD95 and pixel accuracy."""
    for seed in (0, 1):
        world.final("unet", seed=seed, noise=0, quality=0.9, patients=12)
        world.final("resunet", seed=seed, noise=0, patients=12, **({"metrics": BASIC} if seed else {}))
        world.final("transunet", seed=seed, noise=0, quality=0.7, patients=12)
    return world


def test_a_metric_that_a_trial_was_never_measured_by_is_no_failure(half_measured: Any) -> None:
    board = board_of(half_measured)
    rows = {row.model: row for row in board.rows}
    # 20 mm * (1 - 0.69) and 100 mm of the trial without would be 53.
    assert math.isnan(rows["resunet"].metrics["hd95"].mean)
    assert rows["resunet"].metrics["dice"].mean == pytest.approx(0.69)
    assert (rows["resunet"].n_failed, rows["resunet"].notes) == (0, (UNMEASURED,))
    assert not rows["unet"].notes
    ranked = board_of(half_measured, metric="hd95")
    assert [row.model for row in ranked.rows] == ["unet", "transunet"]
    assert ranked.pending["resunet + dice"].startswith("hd95 not measured in 1 of 2 complete trials")
    assert ranked.comparisons == 1


def test_a_claim_on_what_was_never_measured_is_undecided(half_measured: Any) -> None:
    claim = {
        "id": "c",
        "task": "lung",
        "better": {"model": "unet"},
        "than": {"model": ["resunet", "transunet"]},
    }
    cells = load_tasks(half_measured.store)
    for metric, answers in (("hd95", ["undecided", "supported"]), ("dice", ["supported", "supported"])):
        (found,) = answer_claims([claim | {"metric": metric}], cells, resamples=300)
        assert [part.answer for part in found.comparisons] == answers
        why = "resunet + dice: hd95 not measured in 1 of 2" if metric == "hd95" else ""
        assert found.comparisons[0].why.startswith(why)


def test_a_side_of_which_a_part_is_unmeasured_is_not_answered_by_the_rest(half_measured: Any) -> None:
    for model in ("unet", "resunet"):
        for seed in (0, 1):
            half_measured.final(model, "ce", seed=seed, patients=12, quality=0.6)
    claim = {"id": "c", "task": "lung", "better": {"loss": "dice"}, "than": {"loss": "ce"}, "metric": "hd95"}
    (found,) = answer_claims([claim], load_tasks(half_measured.store), resamples=300)
    assert found.answer == "undecided"
    assert found.comparisons[0].why.startswith("resunet + dice: hd95 not measured")


def test_a_hole_in_a_trial_that_measured_the_metric_stays_worst(world: Any) -> None:
    world.final("unet", noise=0)
    world.final("resunet", noise=0, drop=[7])
    row = next(row for row in board_of(world).rows if row.model == "resunet")
    assert row.metrics["hd95"].mean == pytest.approx((7 * 20 * (1 - 0.74) + 100) / 8)
    assert row.n_failed == 1


def test_a_failed_trial_is_worst_in_what_the_others_were_measured_by(world: Any) -> None:
    world.final("unet", noise=0)
    world.final("resunet", noise=0)
    world.final("resunet", noise=0, seed=1, status="oom")
    world.final("unet", noise=0, seed=1)
    assert means(board_of(world))["resunet"] == pytest.approx((5.4 + 100) / 2)


def test_unmeasured_trials_do_not_keep_today_s_definition_from_being_taken(world: Any) -> None:
    measured(world, unet={TODAY: 0.0, NEWER: 10.0})
    world.final("resunet", noise=0, metrics=BASIC)
    board = board_of(world)
    assert means(board)["unet"] == pytest.approx(5.4)
    assert math.isnan(means(board)["resunet"])
    assert not board.notes
