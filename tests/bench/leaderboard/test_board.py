"""Tables from stored trials: known numbers, holes, ties and refusals."""

import math
import time
from typing import Any

import pytest

from bench.errors import BenchError, ResultsError
from bench.leaderboard.board import build
from bench.leaderboard.table import EntryRow, TaskBoard

FAST = 200


def board_of(world: Any, **options: Any) -> TaskBoard:
    return build(world.store, **{"resamples": FAST, "task": "lung"} | options)[0]


def rows_of(board: TaskBoard) -> dict[str, EntryRow]:
    return {row.entry: row for row in board.rows}


def test_known_numbers(world: Any) -> None:
    for seed in (0, 1):
        world.final("unet", quality=0.80, noise=0, seed=seed, train_s=90.0 + 10 * seed)
        world.final("resunet", quality=0.75, noise=0, seed=seed, parameters=8_222_724)
    board = board_of(world, resamples=2000)
    assert (board.n_patients, board.n_cases, board.n_folds, board.n_seeds) == (8, 8, 1, 2)
    assert [f.name for f in board.facts] == ["dice", "iou", "hd95", "pixel_accuracy"]
    first, second = board.rows
    assert (first.entry, first.model, first.loss, first.rank) == ("unet + dice", "unet", "dice", 1)
    # Patients 0..7 have 0.80 - 0.02 i: mean 0.73.
    assert first.metrics["dice"].mean == pytest.approx(0.73)
    assert first.metrics["hd95"].mean == pytest.approx(20 * 0.27)
    assert first.metrics["dice"].low < 0.71 < 0.73 < 0.75 < first.metrics["dice"].high
    assert first.cost.train_s == 95
    assert second.cost.parameters == 8_222_724
    assert second.difference.mean == pytest.approx(-0.05)
    # All eight patients differ by the same amount: the smallest p there is, and no spread.
    assert second.p == pytest.approx(2 / 2**8)
    assert second.difference.low == pytest.approx(second.difference.high)
    assert (first.verdict, second.verdict) == ("best", "worse")
    assert (board.comparisons, board.smallest_p) == (1, 2 / 2**8)
    assert not first.notes
    assert not second.notes


def test_seeds_are_averaged_not_counted(world: Any) -> None:
    for seed in range(10):
        world.final("unet", seed=seed, patients=4, noise=0)
        world.final("resunet", seed=seed, patients=4, quality=0.7, noise=0)
    board = board_of(world)
    # Ten seeds of four patients are four patients: nothing can be told.
    assert board.rows[1].verdict == "cannot tell"
    assert math.isnan(board.rows[1].p)
    assert board.smallest_p == 0.125


def test_holm_counts_all_comparisons_of_the_task(world: Any) -> None:
    for place, model in enumerate(["a", "b", "c", "d"]):
        world.final(model, quality=0.8 - 0.05 * place, patients=6, noise=0)
    board = board_of(world)
    # Six patients: 2/64 each, times 3. Not even a perfect difference can be told then.
    assert board.comparisons == 3
    assert board.rows[1].p == pytest.approx(3 * 2 / 64)
    assert [row.verdict for row in board.rows] == ["best", *["cannot tell"] * 3]


def test_entries_that_cannot_be_separated_are_tied(world: Any) -> None:
    world.final("unet", patients=12, noise=0.03)
    world.final("resunet", patients=12, noise=0.03)
    board = board_of(world)
    assert board.rows[1].verdict == "tied"
    assert board.rows[1].p > 0.05


def test_equal_means_share_a_rank(world: Any) -> None:
    world.final("a", noise=0)
    world.final("b", noise=0, quality=0.8002)
    world.final("c", noise=0, quality=0.7)
    assert [row.rank for row in board_of(world).rows] == [1.5, 1.5, 3]
    assert [row.entry for row in board_of(world).rows] == ["b + dice", "a + dice", "c + dice"]


def test_distances_rank_the_other_way(world: Any) -> None:
    world.final("good", quality=0.9)
    world.final("poor", quality=0.6)
    board = board_of(world, metric="hd95")
    assert [row.model for row in board.rows] == ["good", "poor"]
    assert board.rows[1].difference.mean > 0
    assert board.facts[0].title == "HD95 (mm)"


def test_only_test_rows_of_final_trials_count(world: Any) -> None:
    world.final("unet", noise=0)
    row = world.trial("unet", phase="tune", number=0)
    case = world.case(row["trial"], 0, "dice", 0.0) | {"part": "validation"}
    world.store.write(row, [case], [])
    assert board_of(world).rows[0].metrics["dice"].mean == pytest.approx(0.73)


def test_a_failed_seed_counts_as_worst_and_is_marked(world: Any) -> None:
    for seed in (0, 1):
        world.final("unet", seed=seed, noise=0)
        world.final("resunet", seed=seed, noise=0, status="diverged" if seed else "complete")
    board = board_of(world)
    row = rows_of(board)["resunet + dice"]
    assert row.metrics["dice"].mean == pytest.approx(0.73 / 2)
    assert row.metrics["hd95"].mean == pytest.approx((20 * 0.27 + 100) / 2)
    assert (row.n_failed, row.n_valid) == (8, 8)
    assert row.notes == ("incomplete: 1 of 2 final trials counted as worst (1 diverged)",)
    assert not rows_of(board)["unet + dice"].notes


def test_a_run_or_case_that_others_have_is_never_dropped(world: Any) -> None:
    world.final("unet", noise=0)
    world.final("unet", noise=0, seed=1)
    world.final("resunet", noise=0, drop=[7])
    row = rows_of(board_of(world))["resunet + dice"]
    # Patient 7, the hardest, is worth 0.66; without it the mean would be flattered.
    assert row.metrics["dice"].mean == pytest.approx((0.73 * 8 - 0.66) / 8 / 2)
    assert row.n_failed == 9
    assert row.notes == (
        "incomplete: 1 of 2 final trials counted as worst (1 not run)",
        "incomplete: 4 values that others have counted as worst",
    )
    with pytest.raises(ResultsError, match=r"incomplete: lung: resunet \+ dice: 36 values missing"):
        board_of(world, on_missing="fail")


def test_all_finals_failed(world: Any) -> None:
    world.final("unet", noise=0)
    world.final("resunet", status="oom")
    row = board_of(world).rows[1]
    assert (row.metrics["dice"].mean, row.metrics["hd95"].mean, row.metrics["pixel_accuracy"].mean) == (
        0,
        100,
        0,
    )
    assert row.cost.parameters == 482_000 or row.cost.parameters is None
    assert math.isnan(row.cost.train_s)


def test_a_value_that_is_not_there_is_charged_and_counted_whatever_its_status_says(world: Any) -> None:
    for model in ("unet", "resunet"):
        row = world.trial(model)
        broken = model == "resunet"
        values = {patient: math.nan if broken and patient < 2 else 0.8 for patient in range(8)}
        world.store.write(row, [world.case(row["trial"], p, "dice", v) for p, v in values.items()], [])
    row = rows_of(board_of(world))["resunet + dice"]
    assert row.metrics["dice"].mean == pytest.approx(0.8 * 6 / 8)
    assert (row.n_failed, row.n_valid) == (2, 6)
    with pytest.raises(ResultsError, match=r"resunet \+ dice: 2 values missing"):
        board_of(world, on_missing="fail")


def test_misses_are_counted_and_penalised(world: Any) -> None:
    world.final("unet", noise=0, missed=[0, 1])
    world.final("resunet", noise=0)
    row = rows_of(board_of(world))["unet + dice"]
    assert (row.n_valid, row.n_empty_reference, row.n_missed, row.n_failed) == (6, 0, 2, 0)
    assert row.metrics["dice"].mean == pytest.approx((0.73 * 8 - 0.80 - 0.78) / 8)


def test_entries_without_finals_are_listed_not_ranked(world: Any) -> None:
    world.final("unet")
    world.tune("resunet")
    world.tune("broken", status="oom")
    board = board_of(world)
    assert board.pending == {"resunet + dice": "no final trials yet"}
    assert [row.entry for row in board.rows] == ["unet + dice", "broken + dice"]
    assert board.rows[1].metrics["dice"].mean == 0
    assert board.rows[1].notes == ("every tuning trial failed: counted as worst",)
    with pytest.raises(ResultsError, match="no final trials yet"):
        board_of(world, on_missing="fail")


def test_nothing_complete_yet(world: Any) -> None:
    world.tune("unet")
    world.final("resunet", status="interrupted")
    board = board_of(world)
    assert not board.rows
    assert board.pending == {
        "unet + dice": "no final trials yet",
        "resunet + dice": "no complete final trial",
    }


def test_stale_outdated_and_test_looks_are_marked(world: Any) -> None:
    world.tune("unet", setting="s0", value=0.5)
    world.final("unet", setting="s0")
    world.tune("unet", setting="s1", value=0.9, number=1)
    world.final("resunet", setting="s0")
    world.final("resunet", setting="s1", code="old")
    rows = rows_of(board_of(world, code="today"))
    assert rows["unet + dice"].notes == (
        "outdated: tuning has found a better setting that has no final trials yet",
    )
    assert rows["resunet + dice"].notes == (
        "stale: 1 of 1 final trials were made by other code",
        "2 settings of this entry have met the test cases",
    )


def test_other_data_or_split_never_mix(world: Any) -> None:
    world.final("unet", quality=0.99, split="split-old", study="old")
    world.final("other", quality=0.99, split="split-old")
    world.final("unet", quality=0.7, noise=0)
    board = board_of(world)
    assert [row.entry for row in board.rows] == ["unet + dice"]
    assert board.rows[0].metrics["dice"].mean == pytest.approx(0.63)
    assert board.pending == {"other + dice": "no trials yet of the suite's settings, data and split"}
    assert board.notes == ("2 trials on other data or another split are not shown",)


def test_the_suite_says_which_study_counts(world: Any) -> None:
    world.final("unet", quality=0.9, study="old")
    world.tune("unet", study="new")
    world.final("resunet", study="r")
    world.final("gone", study="g")
    entries = {"unet": "new", "resunet": "r", "transunet": "t"}
    studies = [{"id": s, "task": "lung", "entry": f"{m} + dice"} for m, s in entries.items()]
    world.store.write_suite({"studies": [*studies, {"id": "x", "task": "heart", "entry": "unet + dice"}]})
    boards = build(world.store, resamples=FAST)
    assert [board.task for board in boards] == ["heart", "lung"]
    assert boards[0].pending == {"unet + dice": "no trials yet"}
    assert boards[1].pending == {"unet + dice": "no final trials yet", "transunet + dice": "no trials yet"}
    assert {row.entry: row.notes for row in boards[1].rows} == {
        "resunet + dice": (),
        "gone + dice": ("not in the suite any more",),
    }


def test_tasks_have_tables_of_their_own(world: Any) -> None:
    world.final("unet", task="lung")
    world.final("unet", task="heart", patients=5)
    boards = build(world.store, resamples=FAST)
    assert [(b.task, b.n_patients) for b in boards] == [("heart", 5), ("lung", 8)]
    assert [b.task for b in build(world.store, task="lung", resamples=FAST)] == ["lung"]


def test_errors(world: Any) -> None:
    with pytest.raises(ResultsError, match="no trials yet; `bench run SUITE` makes some"):
        build(world.store)
    world.final("unet")
    with pytest.raises(ResultsError, match=r"no trials of task 'heart' \(there are: lung\)"):
        build(world.store, task="heart")
    with pytest.raises(ResultsError, match=r"lung: no test values of metric 'nsd' \(there are: dice, hd95"):
        build(world.store, metric="nsd")
    with pytest.raises(
        BenchError, match=r"pixel_accuracy is only reported.*name another metric \(dice, hd95, iou\)"
    ):
        build(world.store, metric="pixel_accuracy")
    with pytest.raises(ResultsError, match="no trials of suite full yet"):
        build(world.store, suite="full")


def test_same_results_same_table(world: Any) -> None:
    world.final("unet")
    world.final("resunet", quality=0.79)
    assert repr(board_of(world)) == repr(board_of(world))


def test_metrics_of_a_plugin_that_is_not_here(world: Any) -> None:
    world.final("unet")
    for model, value in (("a", 5.0), ("b", 3.0)):
        row = world.trial(model, task="plugin")
        cases = [world.case(row["trial"], p, "my_length", value + p) | {"unit": "px"} for p in range(8)]
        world.store.write(row, cases, [])
    board = build(world.store, task="plugin", metric="my_length", resamples=FAST)[0]
    assert [row.model for row in board.rows] == ["b", "a"]
    assert board.facts[0].title == "my_length (px)"


def test_a_hundred_thousand_rows_take_seconds(world: Any) -> None:
    for model in range(8):
        for seed in range(4):
            world.final(f"m{model:02}", patients=800, seed=seed, noise=0.02)
    started = time.process_time()
    board = build(world.store)[0]
    assert time.process_time() - started < 10
    assert (len(board.rows), board.n_patients) == (8, 800)
