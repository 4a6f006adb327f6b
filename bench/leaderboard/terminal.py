"""Leaderboards in a terminal: fit its width, legible with and without colour."""

import re
from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from bench.leaderboard.claims import ClaimResult
from bench.leaderboard.legend import legend
from bench.leaderboard.sheet import ALWAYS, Sheet, SheetColumn, Tone
from bench.leaderboard.sheets import make_page
from bench.leaderboard.table import SuiteBoard, TaskBoard

# A heading is broken between words, never within parentheses or brackets: "NSD", "(2 mm)".
_BREAK = re.compile(r" (?![^(\[]*[)\]])")
GAP = 2
"""Blank columns between two columns: one of padding, one of the box."""
STYLES: dict[Tone, str] = {
    "": "",
    "best": "bold",
    "faint": "dim",
    "mark": "yellow",
    "good": "green",
    "bad": "red",
}


class Leaderboard:
    """Tables that rich can print.

    Where the terminal is narrow, columns that matter least give way, and intervals before what they belong to; a line
    below says which.

    Args:
        boards: Tables.
        claims: Answers to the suite's claims.
        notice: What must stand above the tables, if anything.
        overall: Table over tasks, if there is one.
        names: Columns, as for `bench.leaderboard.choose`.
    """

    def __init__(
        self,
        boards: Sequence[TaskBoard],
        claims: Sequence[ClaimResult] = (),
        notice: str = "",
        overall: SuiteBoard | None = None,
        names: Sequence[str] | None = None,
    ):
        self.page = make_page(boards, claims, overall, notice, names)
        self.boards, self.names = boards, names

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        if self.page.notice:
            yield Text(self.page.notice, style="bold yellow")
        keys: set[str] = set()
        for sheet in self.page.sheets:
            yield from sheet_tables(sheet, options.max_width, keys)
        # What there was no room for needs no word.
        lines = legend(self.boards, self.names, keys)
        if lines:
            yield _lines(lines)


def sheet_tables(sheet: Sheet, width: int, keys: set[str]) -> Iterator[RenderableType]:
    """Yields a table with its heading and lines, no wider than `width`; adds to `keys` what is shown."""
    if sheet.title:
        yield Text(sheet.title, style="bold")
    lines = list(sheet.lines)
    if sheet.splits:
        for columns in _split(sheet, width):
            yield _table(columns, width)
    elif sheet.columns:
        shown, dropped = fitting(sheet.columns, width)
        shown_keys = {column.key for column in shown}
        keys.update(shown_keys)
        lines += sheet.lines_about(shown_keys)
        yield _table(shown, width)
        lines += [f"Not shown at this width: {', '.join(dropped)}."] if dropped else []
    yield _lines(lines)


def fitting(columns: Sequence[SheetColumn], width: int) -> tuple[list[SheetColumn], list[str]]:
    """Returns the columns that fit into a width, some of them in their short form, and what gave way.

    What is worth least gives way first; then whatever still has room comes back, the worthiest first.
    """
    shown: list[SheetColumn | None] = list(columns)
    steps = sorted(
        [(column.keep_full, place, column.short) for place, column in enumerate(columns) if column.short]
        + [(column.keep, place, None) for place, column in enumerate(columns) if column.keep < ALWAYS],
        key=lambda step: step[0],
    )
    for _, place, less in steps:
        if _total(shown) <= width:
            break
        shown[place] = less
    for _, place, _ in reversed(steps):
        column = columns[place]
        for form in (column, column.short):
            if form is None or shown[place] is column:
                continue
            tried = [*shown[:place], form, *shown[place + 1 :]]
            if _total(tried) <= width:
                shown = tried
    dropped = [column.title for column, form in zip(columns, shown, strict=True) if form is None]
    return [form for form in shown if form is not None], dropped


def _split(sheet: Sheet, width: int) -> Iterator[list[SheetColumn]]:
    """Yields the columns in as many tables as they need, each with the first ones; short where that spares tables."""
    first, rest = list(sheet.columns[: sheet.splits]), list(sheet.columns[sheet.splits :])
    if _total([*first, *rest]) > width:
        rest = [column.short or column for column in rest]
    while rest:
        number = 1
        while number < len(rest) and _total([*first, *rest[: number + 1]]) <= width:
            number += 1
        yield [*first, *rest[:number]]
        rest = rest[number:]


def _total(columns: Sequence[SheetColumn | None]) -> int:
    return sum(_width(column) + GAP for column in columns if column is not None)


def _width(column: SheetColumn) -> int:
    return _least(column) if column.narrow else _full(column)


def _full(column: SheetColumn) -> int:
    return max(0, *map(cell_len, _head(column).split("\n")), _widest(column))


def _widest(column: SheetColumn) -> int:
    return max((cell_len(cell.text) for cell in column.cells), default=0)


def _least(column: SheetColumn) -> int:
    """Returns the width below which a column would be broken within words, or at all where it must not be."""
    if not column.wraps:
        return _full(column)
    words = (word for text in (column.title, *(cell.text for cell in column.cells)) for word in text.split())
    return max(map(cell_len, words), default=0)


def _head(column: SheetColumn) -> str:
    """Returns a heading, broken where it is wider than what stands below it."""
    words = _BREAK.split(column.title)
    widest = max(_widest(column), *map(cell_len, words))
    lines = [words[0]]
    for word in words[1:]:
        if cell_len(lines[-1]) + 1 + cell_len(word) <= widest:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)


def _table(columns: Sequence[SheetColumn], width: int) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0), pad_edge=False, show_edge=False)
    tight = _total(columns) > width
    # Within words names are broken only where nothing else helps; numbers never are.
    whole_words = sum(_least(column) + GAP for column in columns) <= width
    for column in columns:
        wraps = column.wraps and (tight or column.narrow)
        table.add_column(
            Text(_head(column)),
            vertical="bottom",
            justify=column.align,
            no_wrap=not wraps,
            overflow="fold",
            min_width=_least(column) if whole_words else None,
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*(_Top(cell.text, style=STYLES[cell.tone]) for cell in row))
    return table


class _Top(Text):
    """Text that stands at the top of its row, whatever else in it takes several lines."""

    vertical = "top"


def _lines(lines: Sequence[str]) -> RenderableType:
    return Text("\n".join(lines) + "\n", style="dim")
