"""Tables in a terminal: what fits, what gives way, and that nothing needs colour to be understood."""

import io
import re
from collections.abc import Callable, Sequence

import pytest
from rich.cells import cell_len
from rich.console import Console

from bench.leaderboard.claim_sheet import claim_sheet
from bench.leaderboard.claims import ClaimResult, Comparison
from bench.leaderboard.publish import Sheets
from bench.leaderboard.sheet import ALWAYS, Cell, Sheet, SheetColumn, column_of
from bench.leaderboard.table import EntryRow, Estimate, TaskBoard
from bench.leaderboard.terminal import Leaderboard, fitting, sheet_tables

Row = Callable[..., EntryRow]
Board = Callable[..., TaskBoard]


def printed(thing: object, width: int, color: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=color, color_system="standard" if color else None
    )
    console.print(thing)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def sheet(columns: Sequence[SheetColumn], width: int, splits: int = 0) -> str:
    keys: set[str] = set()
    parts = sheet_tables(Sheet(title="", columns=tuple(columns), splits=splits), width, keys)
    return "".join(printed(part, width) for part in parts)


@pytest.fixture
def board(make_row: Row, make_board: Board) -> TaskBoard:
    best = make_row("attention_unet + dice", verdict="best", difference=Estimate(0.0, 0.0, 0.0))
    close = make_row("resunet + ce_dice", 0.797, rank=2.0, p=0.31, notes=("stale: by other code",))
    far = make_row("unet + focal", 0.7, rank=3.0, tier=2, p=0.0002, verdict="worse")
    return make_board(best, close, far)


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_nothing_is_cut_off_and_names_are_whole(board: TaskBoard, width: int) -> None:
    text = printed(Leaderboard([board]), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for row in board.rows:
        assert re.search(rf"{row.model} +{row.loss} +{row.metrics['dice'].mean:.3f} \[", text)


def test_at_120_columns_all_that_a_reader_needs_first_is_there(board: TaskBoard) -> None:
    text = printed(Leaderboard([board]), 120)
    for words in (
        "2 [1–2]",
        "0.797 [0.777, 0.817]",
        "(-0.003 [-0.013, +0.007])",
        "0.31 =",
        "best",
        "482k",
        "30m00s",
    ):
        assert words in text, words


def test_at_80_columns_intervals_give_way_before_what_they_belong_to(board: TaskBoard) -> None:
    text = printed(Leaderboard([board]), 80)
    for words in ("0.797 [0.777, 0.817]", "(-0.003)", "0.31 =", "-0.100", "0.0002"):
        assert words in text, words
    assert "[-0.013" not in text
    assert "Not shown at this width:" in text
    assert "params" in text.split("Not shown at this width:")[1]


def test_the_legend_tells_of_shown_columns_only(board: TaskBoard) -> None:
    assert "params: trainable" in printed(Leaderboard([board]), 120)
    assert "params: trainable" not in printed(Leaderboard([board]), 80)
    assert "effect: rank-biserial" not in printed(Leaderboard([board]), 200)


def test_who_asks_for_columns_sees_them_without_intervals_if_need_be(board: TaskBoard) -> None:
    text = printed(Leaderboard([board], names=["median", "difference", "p", "parameters"]), 80)
    assert "Not shown" not in text
    assert re.search(r"0\.797 +0\.807 +\(-0\.003\) +0\.31 = +482k", text)


def test_of_whole_sets_columns_give_way_before_the_interval_of_the_mean(board: TaskBoard) -> None:
    text = printed(Leaderboard([board], names=["all"]), 80)
    assert "0.797 [0.777, 0.817]" in text
    assert "Not shown at this width" in text


def test_without_colour_nothing_is_lost(board: TaskBoard) -> None:
    plain, colored = printed(Leaderboard([board]), 120), printed(Leaderboard([board]), 120, color=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == plain
    # Bold: the best and who is tied; faint: what is no finding.
    assert "\x1b[1mattention_unet" in colored
    assert "\x1b[1mresunet" in colored
    assert "\x1b[1munet" not in colored
    assert "\x1b[2m(-0.003 [-0.013, +0.007])" in colored


def test_what_has_room_comes_back_the_worthiest_first() -> None:
    columns = [
        column_of("name", ["x"]),
        column_of("wide", ["1" * 30], keep=5),
        column_of("a", ["11"], keep=4),
        column_of("b", ["22"], keep=3),
    ]
    shown, dropped = fitting(columns, 14)
    assert ([column.title for column in shown], dropped) == (["name", "a", "b"], ["wide"])
    assert fitting(columns, 200) == (columns, [])


def test_a_short_form_is_tried_before_a_column_gives_way() -> None:
    short = column_of("mean", ["0.5"])
    long = SheetColumn(
        title="mean [95% CI]", cells=(Cell("0.5 [0.4, 0.6]"),), keep=5, keep_full=4, short=short
    )
    assert fitting([column_of("name", ["x"]), long], 14)[0][1] is short
    assert fitting([column_of("name", ["x"]), long], 10) == ([column_of("name", ["x"])], ["mean [95% CI]"])


def test_many_parts_are_continued_below() -> None:
    columns = [
        column_of("model", ["unet", "resunet"], align="left"),
        *(column_of(f"organ{place} (n=30)", ["0.812 =", "0.900 *"], keep=ALWAYS - 1) for place in range(13)),
    ]
    text = sheet(columns, 60, splits=1)
    assert max(map(len, text.splitlines())) <= 60
    assert text.count("resunet") == text.count("model") > 1
    assert all(f"organ{place}" in text for place in range(13))
    assert sheet(columns, 300, splits=1).count("model") == 1


def test_a_long_name_is_broken_where_nothing_else_helps_and_no_number_is() -> None:
    columns = [
        column_of("model", ["my_package.networks:MyVeryLongNetworkName"], align="left", wraps=True),
        column_of("Dice [95% CI]", ["0.900 [0.880, 0.920]"]),
    ]
    text = sheet(columns, 50)
    assert max(map(len, text.splitlines())) <= 50
    assert "0.900 [0.880, 0.920]" in text
    names = "".join(line.split(" ")[0] for line in text.splitlines()[2:])
    assert names == "my_package.networks:MyVeryLongNetworkName"


def test_wide_letters_take_two_columns(make_row: Row, make_board: Board) -> None:
    board = make_board(make_row("肺分割网络 + dice", verdict="best"), make_row("unet + dice", 0.7))
    for width in (60, 80):
        text = printed(Leaderboard([board]), width)
        assert max(cell_len(line) for line in text.splitlines()) <= width
        assert "肺分割网络" in text


def test_names_are_broken_between_words_before_what_matters_more_gives_way() -> None:
    name = column_of("comparison", ["soft_dice > focal_tversky on lung"], align="left", wraps=True).broken(1)
    columns = [column_of("claim", ["short"], align="left"), name, column_of("p", ["0.00012"], keep=5)]
    text = sheet(columns, 34)
    assert re.search(r"short +soft_dice > +0.00012 *$", text, re.MULTILINE)
    assert "focal_tversky" in text
    assert re.search(r"short +soft_dice > focal_tversky on lung +0.00012", sheet(columns, 80))


@pytest.mark.parametrize("width", [80, 100, 120])
def test_claims_start_on_one_line_and_no_word_is_broken(width: int) -> None:
    part = Comparison(
        task="phantom-lung",
        better={"loss": "soft_dice"},
        than={"loss": "focal_tversky"},
        difference=Estimate(0.0521, 0.0412, 0.0632),
        p=0.00012,
        n=42,
        answer="practically equivalent",
    )
    claim = ClaimResult(
        id="deep-supervision-helps",
        task="phantom-lung",
        metric="dice",
        margin=0.005,
        answer="practically equivalent",
        comparisons=(part,),
        late=True,
    )
    lines = printed(Sheets([claim_sheet([claim])]), width).splitlines()
    first = next(line for line in lines if line.startswith("deep-"))
    assert re.match(r"deep-supervision-helps +practically .*soft_dice > .*\+0.052.* 0.00012", first)
    table = " ".join(lines[: lines.index(next(line for line in lines if line.startswith("Empty masks")))])
    for word in ("equivalent", "(late)", "focal_tversky", "phantom-lung"):
        assert f" {word}" in table
    assert max(map(len, lines)) <= width
