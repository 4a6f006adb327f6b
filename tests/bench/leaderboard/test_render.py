"""Tables as text: what stands in them, in every format."""

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.errors import ResultsError
from bench.leaderboard import (
    ClaimResult,
    Leaderboard,
    TaskBoard,
    answer_claims,
    load_tasks,
    render,
    show,
)
from bench.leaderboard.answer import answer
from bench.leaderboard.html_table import sheet_html, sheets_html
from bench.leaderboard.latex import escaped
from bench.leaderboard.notes import marks, notice, remarks
from bench.leaderboard.plain import plain
from bench.leaderboard.request import Request
from bench.leaderboard.sheet import Cell, Sheet, SheetColumn, column_of
from bench.leaderboard.sheets import task_sheet

CLAIMS = [
    {
        "id": "dice-wins",
        "task": "lung",
        "better": {"loss": "dice"},
        "than": {"loss": ["ce", "bce"]},
        "margin": 0.005,
    }
]


Answered = tuple[list[TaskBoard], list[ClaimResult]]


@pytest.fixture(scope="module")
def full(shared_world: Any) -> Any:
    world = shared_world
    world.final("unet", "dice", quality=0.9, patients=12)
    world.final("resunet", "dice", quality=0.9, patients=12, noise=0.05)
    world.final("unet", "ce", quality=0.7, patients=12, missed=[3])
    world.final("unet", "bce", quality=0.6, patients=12, code="old")
    world.tune("resunet", "ce")
    world.store.write_suite({"claims": CLAIMS})
    return world


@pytest.fixture(scope="module")
def answered(full: Any) -> Answered:
    return tables(full)


def tables(world: Any) -> Answered:
    cells = load_tasks(world.store, code="today")
    boards = answer(world.store, Request(resamples=300), "today").boards
    return boards, answer_claims(CLAIMS, cells, resamples=300)


def terminal(answered: Answered, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(Leaderboard(*answered))
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_terminal_fits_and_cuts_nothing_off(answered: Answered, width: int) -> None:
    text = terminal(answered, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text.split("Claims")[0]
    assert "lung: 12 test patients, 12 cases, 1 fold x 1 seed" in text
    for name in ("unet", "resunet", "dice", "bce"):
        assert name in text


def test_the_footer_says_what_the_numbers_cannot(answered: Answered) -> None:
    text = " ".join(terminal(answered, 200).split())
    for line in (
        "[1] stale: 1 of 1 final trials were made by other code",
        "not ranked: resunet + ce (no final trials yet)",
        "Wilcoxon signed-rank test over patients, two-sided, Holm over 6 pairs of entries",
        "=: not separable from the best (p >= 0.05)",
        "With 12 patients an interval tends to be too narrow",
        "12 patients and 6 pairs of entries: the smallest p possible is 0.0029.",
        "In parentheses: smaller than what these 12 patients would show with 80% power",
        "One training per entry: intervals and p are about these networks",
        "Values of each entry (final trials x cases x labels): 0 empty, 0 failed.",
    ):
        assert line in text, line
    assert "?: cannot tell" not in text


def test_cannot_tell_is_said(world: Any) -> None:
    world.final("unet", patients=4)
    world.final("resunet", patients=4, quality=0.1)
    text = " ".join(terminal(tables(world), 200).split())
    assert "?: cannot tell; 4 patients give no p below 0.125, whatever the difference" in text
    assert "4 patients: no intervals, neither of means nor of ranks; they take 6." in text
    assert "CI" not in text.split("?:")[0]
    # Neither an interval nor a rank's, nor a winner.
    assert not re.search(r"\d\.\d{3} \[|\d \[\d", text)
    (board,) = answer(world.store, Request(resamples=300), "today").boards
    assert [row.tier for row in board.rows] == [0, 0]
    assert "**" not in render([board], style="md").split("## How")[0]


def test_markdown(answered: Answered) -> None:
    text = render(answered[0], style="md")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert lines[0].startswith(
        "| # [95% CI] | model | loss | Dice [95% CI] | to best [95% CI] | p | HD95 (mm) |"
    )
    assert len({line.count("|") for line in lines}) == 1
    assert len(lines) == 2 + 4
    assert "| best |" in lines[2]
    # Who is tied with the best is as bold, and its difference no finding.
    assert re.match(
        r"\| \*\*2 \[1–2\]\*\* \| \*\*resunet\*\* .* \| \(-0\.\d+ \[.*\]\) \| [01]\.\d+ = ", lines[3]
    )
    assert "**" not in lines[4]


def test_columns_are_chosen(answered: Answered) -> None:
    text = render(answered[0], style="md", names=("p", "gmacs"))
    assert "| # [95% CI] | model | loss | Dice [95% CI] | p | GMACs |  |\n" in text


def test_spreadsheets_evaluate_no_cell_of_csv(answered: Answered) -> None:
    board = answered[0][0]
    odd = replace(board, task="=1+1", rows=tuple(replace(row, entry=f"@{row.entry}") for row in board.rows))
    rows = list(csv.DictReader(io.StringIO(render([odd], style="csv"))))
    assert {row["task"] for row in rows} == {"'=1+1"}
    assert all(row["entry"].startswith("'@") for row in rows)
    assert [row["difference"] for row in rows if row["difference"].startswith("'")] == []


def test_csv_has_plain_numbers_of_all_columns(answered: Answered) -> None:
    text = render(answered[0], style="csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["verdict"] for row in rows] == ["best", "tied", "worse", "worse"]
    assert all(row["task"] == "lung" for row in rows)
    worst = rows[-1]
    assert float(worst["dice_low"]) < float(worst["dice"]) < float(worst["dice_high"])
    assert float(worst["difference"]) == pytest.approx(float(worst["dice"]) - float(rows[0]["dice"]))
    assert (rows[0]["p"], worst["parameters"], worst["cases"]) == ("", "482000", "12")
    counts = ("n_valid", "n_empty_reference", "n_missed", "n_failed")
    assert [rows[2][name] for name in counts] == ["11", "0", "1", "0"]
    assert [row["tier"] for row in rows] == ["1", "1", "2", "2"]
    assert [row["difference_too_small"] for row in rows] == ["", "True", "False", "False"]
    # What nobody measured is an empty column, so that files of different runs look alike.
    assert {row["energy_j"] for row in rows} == {""}
    few = next(csv.reader(io.StringIO(render(answered[0], style="csv", names=("p",)))))
    named = [
        "task",
        "kind",
        "part",
        "entry",
        "metric",
        "scheme",
        "policy",
        "on_missing",
        "n",
        "folds",
        "seeds",
    ]
    assert few[:17] == [*named, "rank", "rank_low", "rank_high", "tier", "model", "loss"]
    assert few[-10:-5] == ["p", "p_raw", "p_patients", "verdict", "notes"]
    assert few[-5:] == ["suite", "plan", "newest", "code", "options"]


def test_json_is_strict_and_complete(answered: Answered) -> None:
    boards, claims = answered
    found = json.loads(render(boards, claims, "json"), parse_constant=pytest.fail)
    (board,) = found["boards"]
    assert board["rows"][0]["p"] is None
    assert board["rows"][0]["metrics"]["dice"]["mean"] == boards[0].rows[0].metrics["dice"].mean
    assert board["pending"] == {"resunet + ce": "no final trials yet"}
    assert found["claims"][0]["id"] == "dice-wins"
    assert [board["facts"][0][key] for key in ("quantity", "worst", "agreed", "ranked")] == [
        "ratio",
        0.0,
        1.0,
        True,
    ]
    ranking = board["ranking"]
    assert ranking["entries"] == [row["entry"] for row in board["rows"]]
    assert [len(row) for row in ranking["probability"]] == [4] * 4
    assert found["overall"] is None


def test_json_holds_the_significance_map(full: Any) -> None:
    (board,) = json.loads(_shown(full, "json"))["boards"]
    assert board["map"]["unet + dice"]["unet + ce"] < 0.05
    assert board["map"]["unet + ce"]["unet + dice"] > 0.9
    assert board["map"]["unet + ce"]["unet + ce"] is None


def _shown(world: Any, style: str) -> str:
    console = Console(file=io.StringIO(), width=120)
    show(None, world.store.root.folder.parent, console=console, style=style)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_latex_is_balanced_and_escaped(answered: Answered) -> None:
    text = render(*answered, style="latex")
    assert text.count("\\begin{tabular}") == text.count("\\end{tabular}") == 2
    assert text.count("{") == text.count("}")
    first = text.split("\\midrule")[1].split("\\bottomrule")[0].strip().splitlines()
    heads = text.split("\\toprule")[1].split("\\midrule")[0].strip()
    assert {line.count(" & ") for line in first} == {heads.count(" & ")}
    assert first[0].startswith("\\textbf{1 [1--2]} & \\textbf{unet} & \\textbf{dice}")
    assert "\\textcolor{gray}{($-$0." in first[1]
    assert "$-$0." in first[2]
    assert "textbf" not in first[2]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ce_dice & 50% of #1", "ce\\_dice \\& 50\\% of \\#1"),
        ("a\\b {c} ~^", "a\\textbackslash{}b \\{c\\} \\textasciitilde{}\\textasciicircum{}"),
        ("|<>", "\\textbar{}\\textless{}\\textgreater{}"),
        ("-0.5 [-0.6, -0.4]", "$-$0.5 [$-$0.6, $-$0.4]"),
        ("unet-2 soft-dice", "unet-2 soft-dice"),
        ("[1]", "{}[1]"),
        ("1–2", "1--2"),
    ],
)  # fmt: skip
def test_latex_prints_texts_as_they_are(text: str, found: str) -> None:
    assert escaped(text) == found


class _Balanced(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[int] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)
        if tag == "tr":
            self.cells.append(0)
        self.cells[-1:] = [self.cells[-1] + 1] if tag in ("th", "td") else self.cells[-1:]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_tables_are_well_formed_and_escaped(answered: Answered) -> None:
    text = sheet_html(task_sheet(answered[0][0]))
    parser = _Balanced()
    parser.feed(text)
    assert not parser.open
    assert len(set(parser.cells)) == 1
    assert len(parser.cells) == 1 + 4
    assert '<td class="number faint">(-0.' in text
    assert '<th scope="row" class="number best">1 [1–2]</th>' in text
    assert "[95% CI]" in text
    odd = Sheet(title="<b>", columns=(column_of("a<b", ["<i>"]),), lines=("x & y",))
    assert "<b>" not in sheet_html(odd)
    assert "<i>" not in sheet_html(odd)
    assert "x &amp; y" in sheet_html(odd)


def test_html_of_several_tables_has_their_headings() -> None:
    sheets = [Sheet(title=title, columns=(column_of("a", ["1"]),)) for title in ("one", "two", "")]
    text = sheets_html(sheets)
    assert "<h3>two</h3>" in text
    assert text.count("<h3>") == 1


def test_markdown_escapes_what_would_be_markup() -> None:
    cells = (Cell("a|b", "best"), Cell("0.9 *"))
    sheet = Sheet(title="", columns=(SheetColumn(title="x", cells=cells),))
    from bench.leaderboard.markdown import sheet_markdown

    assert sheet_markdown(sheet).splitlines()[2:] == ["| **a\\|b** |", "| 0.9 \\* |"]


def test_a_notice_stands_above_everything_in_every_format(answered: Answered) -> None:
    assert notice({"suite": "full"}) == ""
    above = notice({"suite": "full-smoke", "scale": "smoke"})
    assert above.startswith("Smoke run: generated data")
    assert render(*answered, "md", above).startswith(f"**{above}**")
    assert f"\\textbf{{{above}}}" in render(*answered, "latex", above).split("\\begin{table}")[0]
    rows = csv.DictReader(io.StringIO(render(*answered, "csv", above)))
    assert {row["notice"] for row in rows} == {above}
    assert json.loads(render(*answered, "json", above))["notice"] == above
    page = Console(file=io.StringIO(), width=200, no_color=True)
    page.print(Leaderboard(*answered, above))
    assert page.file.getvalue().startswith("Smoke run: generated data")  # type: ignore[attr-defined]


def test_claims_are_under_the_tables(answered: Answered) -> None:
    text = terminal(answered, 200)
    assert "dice > ce + 0.005 in dice on lung" in text.split("Claims")[1]


def test_empty_boards_render(world: Any) -> None:
    world.tune("unet")
    boards = answer(world.store, Request(), "today").boards
    assert "lung: nothing to rank" in terminal(tables(world), 100)
    for style in ("md", "latex"):
        assert "not ranked: unet + dice (no final trials yet)" in render(boards, style=style)
    assert render(boards, style="csv") == "task,entry\n"
    assert json.loads(render(boards, style="json"))["boards"][0]["rows"] == []


def test_show_writes_files_and_prints(full: Any, tmp_path: Path) -> None:
    root = full.store.root.folder.parent
    console = Console(file=io.StringIO(), width=120)
    show(None, root, console=console)
    assert "dice-wins" in console.file.getvalue()  # type: ignore[attr-defined]
    starts = {
        "md": "Of suite quick",
        "csv": "task,kind,part,entry",
        "json": "{",
        "rich": "Of suite quick",
        "latex": "% needs",
    }
    for style, start in starts.items():
        path = tmp_path / f"board.{style}"
        show(Path("quick"), root, console=console, style=style, output=path)
        assert path.read_text(encoding="utf-8").startswith(start)
    with pytest.raises(ValueError, match="style must be one of rich, md, html, csv, latex, json, got 'pdf'"):
        show(None, root, console=console, style="pdf")
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match=r"x\.md: cannot be written"):
        show(None, root, console=console, style="md", output=tmp_path / "file" / "x.md")


def test_plain_data_of_anything() -> None:
    import numpy as np
    import pandas as pd

    table = pd.DataFrame([[0.5, float("nan")]], index=["a"], columns=["b", "c"])
    assert plain({"x": (np.float64(1.5), np.array([1, 2])), "t": table, 3: float("inf")}) == {
        "x": [1.5, [1, 2]],
        "t": {"a": {"b": 0.5, "c": None}},
        "3": None,
    }


def test_what_is_true_of_all_entries_marks_none(make_row: Any, make_board: Any) -> None:
    board = make_board(make_row("a + dice", notes=("stale", "odd")), make_row("b + dice", notes=("stale",)))
    assert marks(board) == ({"a + dice": "1"}, ["odd"])
    assert remarks(board)[:2] == ["[1] odd", "each entry: stale"]
    # Of a single entry a note is its own.
    assert marks(make_board(make_row("a + dice", notes=("stale",)))) == ({"a + dice": "1"}, ["stale"])
