"""Columns: which are shown, what stands in them, and what never stands out."""

import math
from collections.abc import Callable

import pytest

from bench.errors import BenchError
from bench.leaderboard.choose import check_columns, choose
from bench.leaderboard.column import PRESETS, Column
from bench.leaderboard.columns import columns, speaking_counts
from bench.leaderboard.estimate import Cost, Estimate, Gain
from bench.leaderboard.facts import metric_facts
from bench.leaderboard.formats import (
    amount,
    count_text,
    duration,
    estimate_text,
    p_text,
    rank_text,
    short_duration,
)
from bench.leaderboard.table import EntryRow, TaskBoard
from bench.stats.effects import Effect, Size

Row = Callable[..., EntryRow]
Board = Callable[..., TaskBoard]
NAN = math.nan


@pytest.fixture
def board(make_row: Row, make_board: Board) -> TaskBoard:
    best = make_row("unet + dice", verdict="best", difference=Estimate(0.0, 0.0, 0.0))
    close = make_row("resunet + dice", 0.797, rank=2.0, p=0.31)
    far = make_row("unet + ce", 0.7, rank=3.0, tier=2, p=0.0002, verdict="worse", rank_low=3.0, rank_high=3.0)
    return make_board(best, close, far)


def column(board: TaskBoard, key: str) -> Column:
    (found,) = [one for one in columns(board) if one.key == key]
    return found


def keys(board: TaskBoard, *names: str) -> list[str]:
    return [one.key for one in choose(board, names or None)]


def texts(board: TaskBoard, key: str) -> list[str]:
    return [column(board, key).text(row) for row in board.rows]


def test_keys_and_headings_come_once(board: TaskBoard) -> None:
    for names in ([one.key for one in columns(board)], [one.title for one in columns(board)]):
        assert len(names) == len(set(names))
    assert not {one.key for one in columns(board)} & set(PRESETS)


def test_few_columns_by_default_in_the_order_of_a_reader(board: TaskBoard) -> None:
    assert keys(board) == ["rank", "model", "loss", "dice", "difference", "p", "parameters", "gpu_hours"]


def test_presets_and_keys_add_up_and_names_always_come(board: TaskBoard) -> None:
    assert keys(board, "p") == ["rank", "model", "loss", "dice", "p"]
    assert keys(board, "counts", "median")[:5] == ["rank", "model", "loss", "dice", "median"]
    assert set(keys(board, "default", "counts")) == set(keys(board)) | set(keys(board, "counts"))
    every = [one.key for one in choose(board, ["all"], empty=True)]
    assert every == [one.key for one in columns(board)]


def test_a_preset_leaves_out_what_nobody_knows_but_who_asks_for_it_sees_it(board: TaskBoard) -> None:
    assert "energy_j" not in keys(board, "cost")
    assert "energy_j" in keys(board, "energy_j")


def test_an_unknown_column_is_one_line_with_choices(board: TaskBoard) -> None:
    check_columns([board], ["all", "p", "median"])
    with pytest.raises(
        BenchError, match=r"no column 'medain', did you mean 'median'\? \(choices: default, quality"
    ):
        check_columns([board], ["medain"])


def test_other_metrics_of_overlap_and_distance_stand_beside_it(make_row: Row, make_board: Board) -> None:
    names = ("dice", "iou", "hd95", "pixel_accuracy")
    facts = tuple(metric_facts(name, "mm" if name == "hd95" else "") for name in names)
    row = make_row("unet + dice", metrics={name: Estimate(0.5) for name in names})
    shown = keys(make_board(row, facts=facts))
    assert "hd95" in shown
    assert not {"iou", "pixel_accuracy"} & set(shown)
    assert "iou" in keys(make_board(row, facts=facts), "default", "iou")


def test_rank_and_difference_have_their_intervals(board: TaskBoard) -> None:
    assert texts(board, "rank") == ["1 [1–2]", "2 [1–2]", "3 [3–3]"]
    assert texts(board, "difference")[2] == "-0.100 [-0.110, -0.090]"
    assert texts(board, "p") == ["best", "0.31 =", "0.0002"]


def test_what_is_too_small_to_be_seen_stands_in_parentheses_and_fades(board: TaskBoard) -> None:
    difference = column(board, "difference")
    assert texts(board, "difference")[1] == "(-0.003 [-0.013, +0.007])"
    assert difference.short is not None
    assert [difference.short(row) for row in board.rows] == ["–", "(-0.003)", "-0.100"]
    assert [difference.tone(row) for row in board.rows] == ["", "faint", ""]
    assert [difference.value(row)["difference_too_small"] for row in board.rows] == [None, True, False]


@pytest.mark.parametrize(
    ("verdict", "difference", "mdd", "small"),
    [
        ("tied", -0.02, 0.01, False),
        ("tied", -0.005, 0.01, True),
        ("cannot tell", -0.2, math.inf, True),
        ("cannot tell", NAN, NAN, True),
        # Found by luck: the number fades, its p does not.
        ("worse", -0.005, 0.01, True),
        ("better", 0.005, 0.01, True),
        ("best", 0.0, NAN, False),
    ],
)
def test_differences_that_would_mostly_stay_hidden_fade(
    make_row: Row, make_board: Board, verdict: str, difference: float, mdd: float, small: bool
) -> None:
    row = make_row("unet + dice", verdict=verdict, difference=Estimate(difference), mdd=mdd)
    assert row.too_small is small
    tone = column(make_board(row), "p").tone(row)
    assert tone == ("faint" if small and verdict in ("tied", "cannot tell") else "")


def test_the_best_and_who_is_tied_with_it_stand_out_together(board: TaskBoard) -> None:
    for key in ("rank", "model", "loss", "dice"):
        assert [column(board, key).tone(row) for row in board.rows] == ["best", "best", ""]


def test_csv_values_are_plain(board: TaskBoard) -> None:
    row = board.rows[1]
    assert column(board, "rank").value(row) == {"rank": 2.0, "rank_low": 1.0, "rank_high": 2.0, "tier": 1}
    assert column(board, "p").value(row) == {"p": 0.31, "p_raw": None, "p_patients": 30}
    assert column(board, "median").value(row) == pytest.approx(
        {"median": 0.807, "median_low": 0.797, "median_high": 0.827}
    )


def test_effects_costs_and_gains_are_written(make_row: Row, make_board: Board) -> None:
    size = Effect(
        n=30,
        mean=Size(0.0),
        median=Size(0.0),
        rank_biserial=Size(-0.5, -0.8, 0.1),
        improvement=Size(0.25, 0.1, 0.6),
    )
    cost = Cost(
        parameters=31_000_000,
        gmacs=12.345,
        gpu_hours=1.5,
        train_s=3000.0,
        tune_hours=20.0,
        peak_memory_mb=10_500.0,
        energy_j=2_500_000.0,
        case_s=0.042,
    )
    gain = Gain(default=0.7, tuned=0.72, difference=Estimate(0.02, 0.01, 0.04), metric="dice", n_trials=20)
    board = make_board(make_row("unet + dice", effect=size, cost=cost, gain=gain))
    written = {one.key: one.text(board.rows[0]) for one in columns(board)}
    assert written["rank_biserial"] == "-0.50 [-0.80, +0.10]"
    assert written["improvement"] == "0.25 [0.10, 0.60]"
    assert [written[key] for key in ("parameters", "gmacs", "gpu_hours", "train_s")] == [
        "31.0M",
        "12.3",
        "1h30m",
        "50m00s",
    ]
    assert [written[key] for key in ("tune_hours", "peak_memory_mb", "energy_j", "case_s")] == [
        "20h00m",
        "10.5 GB",
        "2500 kJ",
        "42ms",
    ]
    assert [written[key] for key in ("default_score", "tuned_score", "gain", "tune_trials")] == [
        "0.700",
        "0.720",
        "+0.020 [+0.010, +0.040]",
        "20",
    ]


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, set()),
        ({"n_valid": 29, "n_missed": 1}, {"n_valid", "n_missed"}),
        ({"n_valid": 29, "n_failed": 1}, {"n_valid", "n_failed"}),
        ({"n_valid": 29, "n_empty_reference": 1}, {"n_valid", "n_empty_reference"}),
    ],
)
def test_counts_are_shown_where_they_say_something(
    make_row: Row, make_board: Board, changes: dict[str, int], shown: set[str]
) -> None:
    board = make_board(make_row("a + b"), make_row("c + d", **changes))
    assert {key for key, presets in speaking_counts(board).items() if "default" in presets} == shown
    # A miss of all is a miss: the column stays though entries do not differ.
    board = make_board(*[make_row(name, n_missed=3) for name in ("a + b", "c + d")])
    assert "n_missed" in keys(board)


def test_predictions_of_unknown_origin_have_no_columns_of_trials(make_row: Row, make_board: Board) -> None:
    board = make_board(make_row("mine"), n_folds=0)
    assert not {"loss", "parameters", "gpu_hours", "gain"} & {one.key for one in columns(board)}


@pytest.mark.parametrize(
    ("number", "text"), [(7, "7"), (4_500, "4.5k"), (482_000, "482k"), (31_042_564, "31.0M"), (2.5e9, "2.5G")]
)
def test_counts(number: float, text: str) -> None:
    assert count_text(int(number)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0s"), (9.94, "9.9s"), (9.96, "10s"), (59.4, "59s"), (59.6, "1m00s"), (92, "1m32s"), (3600, "1h00m"),
     (7265, "2h01m"), (NAN, "–")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0004, "0.4ms"), (0.031, "31ms"), (0.2, "0.2s"), (92, "1m32s")]
)
def test_short_durations(seconds: float, text: str) -> None:
    assert short_duration(seconds) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [(1.0, "1.00"), (0.0625, "0.062"), (0.00002, "<0.0001"), (0.3, "0.30"), (NAN, "–")],
)
def test_p_values(p: float, text: str) -> None:
    assert p_text(p) == text


@pytest.mark.parametrize(
    ("rank", "text"),
    [((1.0, NAN, NAN), "1"), ((1.5, 1.0, 3.0), "1.5 [1–3]"), ((3.0, 1.5, 3.5), "3 [1–4]")],
)
def test_ranks(rank: tuple[float, float, float], text: str) -> None:
    assert rank_text(*rank) == text


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        (999.0, "MB", "999 MB"),
        (1234.0, "MB", "1.23 GB"),
        (0.044, "", "0.044"),
        (123.4, "", "123"),
        (NAN, "J", "–"),
    ],
)
def test_amounts(number: float, unit: str, text: str) -> None:
    assert amount(number, unit) == text


def test_estimates_without_interval_have_no_brackets() -> None:
    assert estimate_text(Estimate(0.5), 3) == "0.500"
    assert estimate_text(Estimate(0.5, 0.4, 0.6), 2, signed=True) == "+0.50 [+0.40, +0.60]"
    assert estimate_text(Estimate(NAN), 3) == "–"
