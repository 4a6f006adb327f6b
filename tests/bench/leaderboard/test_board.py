"""Tables from stored trials: known numbers, holes, ties and refusals."""

import math
from typing import Any

import pytest

from bench.errors import BenchError, ResultsError
from bench.leaderboard.answer import answer
from bench.leaderboard.board import build_task
from bench.leaderboard.formats import p_text
from bench.leaderboard.load import load_tasks
from bench.leaderboard.notes import footer
from bench.leaderboard.render import render
from bench.leaderboard.request import Request
from bench.leaderboard.table import EntryRow, TaskBoard
from bench.stats.ranking import Scheme

FAST = 200


def boards_of(world: Any, code: str = "today", **options: Any) -> list[TaskBoard]:
    return answer(world.store, Request(**{"resamples": FAST} | options), code).boards


def board_of(world: Any, **options: Any) -> TaskBoard:
    return boards_of(world, **{"task": "lung"} | options)[0]


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
    # Six patients: 2/64 each, times the 6 pairs of 4 entries. Not even a perfect difference can be told then.
    assert board.comparisons == 6
    assert board.rows[1].p == pytest.approx(6 * 2 / 64)
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
    row = rows_of(board_of(world, on_missing="worst"))["resunet + dice"]
    # Patient 7, the hardest, is worth 0.66; without it the mean would be flattered.
    assert row.metrics["dice"].mean == pytest.approx((0.73 * 8 - 0.66) / 8 / 2)
    assert row.n_failed == 9
    assert row.notes == (
        "incomplete: 1 of 2 final trials counted as worst (1 not run)",
        "incomplete: 4 values that others have counted as worst",
    )
    with pytest.raises(ResultsError, match=r"incomplete: lung: resunet \+ dice: 9 values of dice missing"):
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
    with pytest.raises(ResultsError, match=r"resunet \+ dice: 2 values of dice missing"):
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
        "resunet + dice": "no complete final trial: 1 interrupted",
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
        "stale: 1 of 1 final trials were made by other code (old)",
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
    boards = boards_of(world)
    assert [board.task for board in boards] == ["heart", "lung"]
    assert boards[0].pending == {"unet + dice": "no trials yet"}
    assert boards[1].pending == {
        "unet + dice": "no final trials yet",
        "transunet + dice": "no trials yet",
        "gone + dice": "not in the suite any more",
    }
    assert {row.entry: row.notes for row in boards[1].rows} == {"resunet + dice": ()}


def test_tasks_have_tables_of_their_own(world: Any) -> None:
    world.final("unet", task="lung")
    world.final("unet", task="heart", patients=5)
    boards = boards_of(world)
    assert [(b.task, b.n_patients) for b in boards] == [("heart", 5), ("lung", 8)]
    assert [b.task for b in boards_of(world, task="lung")] == ["lung"]


def test_errors(world: Any) -> None:
    with pytest.raises(ResultsError, match="no trials yet; `bench run SUITE` makes some"):
        boards_of(world)
    world.final("unet")
    with pytest.raises(ResultsError, match=r"no trials of task 'heart' \(choices: lung\)"):
        boards_of(world, task="heart")
    with pytest.raises(ResultsError, match=r"lung: no test values of metric 'nsd' \(choices: dice, hd95"):
        boards_of(world, metric="nsd")
    with pytest.raises(
        BenchError, match=r"pixel_accuracy is only reported.*name another metric \(dice, hd95, iou\)"
    ):
        boards_of(world, metric="pixel_accuracy")
    with pytest.raises(ResultsError, match="no trials of suite full yet"):
        boards_of(world, suite="full")


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
    board = boards_of(world, task="plugin", metric="my_length")[0]
    assert [row.model for row in board.rows] == ["b", "a"]
    assert board.facts[0].title == "my_length (px)"


def write_seeds(world: Any, qualities: dict[str, tuple[float, ...]]) -> None:
    for model, by_seed in qualities.items():
        for seed, quality in enumerate(by_seed):
            world.final(model, quality=quality, seed=seed, patients=12)


def test_what_other_seeds_may_turn_around_is_marked(world: Any) -> None:
    write_seeds(world, {"calm": (0.8, 0.8, 0.8), "wild": (0.9, 0.5, 0.7), "poor": (0.1, 0.1, 0.1)})
    rows = rows_of(board_of(world))
    wild, poor = rows["wild + dice"], rows["poor + dice"]
    # All patients agree that it is worse by 0.1, as trained: a finding of these trainings, no reason to put it last.
    assert (wild.verdict, wild.tier, wild.difference.high < 0) == ("unsure", 1, True)
    assert wild.p < 0.05
    assert wild.trained.mean == pytest.approx(wild.difference.mean)
    assert wild.trained.low < wild.difference.low < wild.difference.high < 0 < wild.trained.high
    assert (poor.verdict, poor.tier) == ("worse", 2)
    text = render([board_of(world)])
    assert f"| {p_text(wild.p)} ~ |" in text
    assert (
        "~: p < 0.05, but the 98.33% interval of the mean difference over patients, or over patients and trainings, "
        "holds zero (98.33%: Holm's first step over 3 pairs of entries): other patients or another seed may order "
        "them otherwise." in text
    )


def test_rare_disasters_do_not_make_who_is_mostly_better_the_loser(world: Any) -> None:
    """Better by 0.01 in 27 of 30 patients, and lost in three: the test and the mean speak for different sides."""
    for model, better in (("steady", 0.0), ("brilliant", 0.01)):
        row = world.trial(model)
        dice = [0.9 - 0.005 * n + better * (1 + n / 100) for n in range(30)]
        dice[:3] = [0.0] * 3 if better else dice[:3]
        world.store.write(
            row, [world.case(row["trial"], n, "dice", value) for n, value in enumerate(dice)], []
        )
    board = board_of(world)
    second = board.rows[1]
    assert (second.model, second.verdict, second.tier) == ("brilliant", "better", 1)
    assert second.p < 0.05
    assert second.difference.mean < 0 < second.side
    assert "!: p < 0.05, but the differences speak against the entry with the best mean." in footer(board)


def test_who_lacks_patients_of_its_own_cannot_be_told(world: Any) -> None:
    """Of a metric without a worst value, patients without a value are left out: two entries share six."""
    for model, known, value in (("unet", 20, 0.0), ("resunet", 20, 5.0), ("sparse", 6, 5.0)):
        row = world.trial(model)
        cases = [
            world.case(row["trial"], n, "hd95", 1.0 + value + n if n < known else math.nan,
                       "ok" if n < known else "both_empty")
            for n in range(20)
        ]  # fmt: skip
        world.store.write(row, cases, [])
    board = board_of(world, metric="hd95", policy="nnunet")
    rows = rows_of(board)
    assert (rows["resunet + dice"].verdict, rows["resunet + dice"].tier) == ("worse", 2)
    assert board.comparisons == 3


def test_one_training_says_nothing_of_others_and_that_is_said(world: Any) -> None:
    write_seeds(world, {"unet": (0.8,), "resunet": (0.7,)})
    board = board_of(world)
    assert math.isnan(board.rows[1].trained.low)
    assert board.rows[1].verdict == "worse"
    assert any(line.startswith("One training per entry") for line in footer(board))


@pytest.mark.parametrize("scheme", ["mean", "rank", "test"])
def test_schemes_rank_otherwise_and_the_first_is_the_best(world: Any, scheme: Scheme) -> None:
    # b leads in 11 of 12 patients, a by the mean: b fails on one.
    for model, quality, missed in (("a", 0.80, ()), ("b", 0.81, (0,))):
        world.final(model, quality=quality, patients=12, noise=0, missed=missed)
    board = board_of(world, rank_by=scheme)
    ranks = {row.model: row.rank for row in board.rows}
    assert ranks == {"mean": {"a": 1, "b": 2}, "rank": {"b": 1, "a": 2}, "test": {"b": 1, "a": 2}}[scheme]
    first = board.rows[0]
    assert (first.model, first.verdict) == ("a" if scheme == "mean" else "b", "best")
    assert (board.scheme, board.ranking is not None and board.ranking.scheme) == (scheme, scheme)


def test_ranks_have_intervals_and_the_ranking_its_stability(world: Any) -> None:
    for model, quality in (("a", 0.8), ("bb", 0.799), ("ccc", 0.5)):
        world.final(model, quality=quality, patients=20, noise=0.02)
    board = board_of(world)
    assert board.ranking is not None
    assert board.ranking.entries == tuple(row.entry for row in board.rows)
    rows = rows_of(board)
    assert (rows["ccc + dice"].rank_low, rows["ccc + dice"].rank_high) == (3, 3)
    assert rows["a + dice"].rank_low == 1 < rows["a + dice"].rank_high <= 2
    assert any("Kendall's tau of this ranking" in line for line in footer(board))


def test_few_patients_have_neither_intervals_nor_ranks_that_move(world: Any) -> None:
    for model in ("a", "b"):
        world.final(model, patients=5)
    board = board_of(world)
    assert board.ranking is None
    for row in board.rows:
        assert all(math.isnan(one.low) for one in (*row.metrics.values(), row.median))
        assert math.isnan(row.rank_low)
    assert math.isnan(board.rows[1].difference.low)


def test_effects_and_medians(world: Any) -> None:
    for model, quality in (("a", 0.8), ("b", 0.7)):
        world.final(model, quality=quality, patients=9, noise=0)
    first, second = board_of(world).rows
    assert first.effect is None
    assert second.effect is not None
    # All nine patients are worse.
    assert (second.effect.rank_biserial.value, second.effect.improvement.value) == (-1, 0)
    assert first.median.mean == pytest.approx(0.8 - 0.02 * 4)
    assert first.median.low < first.median.mean < first.median.high


def test_the_map_tests_all_pairs_where_asked(world: Any) -> None:
    for model, quality in (("a", 0.8), ("b", 0.7), ("c", 0.6)):
        world.final(model, quality=quality, patients=9, noise=0)
    (cells,) = load_tasks(world.store)
    assert build_task(cells, "dice", (), FAST).map is None
    found = build_task(cells, "dice", (), FAST, whole=True).map
    assert found is not None
    # One-sided: 1/2^9, of six ordered pairs.
    assert found.loc["a + dice", "c + dice"] == pytest.approx(6 / 2**9)
    assert found.loc["c + dice", "a + dice"] == 1


def test_few_patients_share_the_rank_by_tests(world: Any) -> None:
    for model, quality in (("a", 0.8), ("b", 0.7)):
        world.final(model, quality=quality, patients=5)
    board = board_of(world, rank_by="test")
    assert [row.rank for row in board.rows] == [1.5, 1.5]
    assert any("all entries share one" in line for line in footer(board))
