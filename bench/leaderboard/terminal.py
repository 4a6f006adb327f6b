"""Leaderboards in a terminal: fit its width, legible with and without colour."""

import re
from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from bench.leaderboard.cavities import COLUMNS, CavityColumn, cavity_lines
from bench.leaderboard.claims import ClaimResult
from bench.leaderboard.columns import Column, columns
from bench.leaderboard.notes import footer, heading, marks
from bench.leaderboard.render import CLAIM_HEADINGS, claim_cells, claim_lines
from bench.leaderboard.table import CavityRow, TaskBoard, Verdict

# A heading is broken between words, never within parentheses: "NSD", "(2 mm)".
_BREAK = re.compile(r" (?![^(]*\))")
GAP = 2
"""Blank columns between two columns: one of padding, one of the box."""
STYLES: dict[Verdict, str] = {"best": "bold", "tied": "", "cannot tell": "", "worse": "", "better": ""}


class Leaderboard:
    """Tables that rich can print.

    Columns that matter least give way where the terminal is narrow; the footer says which.

    Args:
        boards: Tables.
        claims: Answers to the suite's claims.
        notice: What must stand above the tables, if anything.
    """

    def __init__(self, boards: Sequence[TaskBoard], claims: Sequence[ClaimResult] = (), notice: str = ""):
        self.boards = boards
        self.claims = claims
        self.notice = notice

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        if self.notice:
            yield Text(self.notice, style="bold yellow")
        for board in self.boards:
            yield Text(heading(board), style="bold")
            lines = footer(board)
            if board.rows:
                shown, dropped = fitting(board, options.max_width)
                yield _table(board, shown)
                lines += _left_out(dropped)
            yield _lines(lines)
            if board.cavities:
                yield from _cavities(board.cavities, options.max_width)
        if self.claims:
            yield Text("Claims", style="bold")
            yield _claims(self.claims)
            yield _lines(claim_lines(self.claims))


def fitting(board: TaskBoard, width: int) -> tuple[list[Column], list[Column]]:
    """Returns the columns that fit into a width, in order, and those that do not."""
    every = columns(board)
    marked = marks(board)[0].values()
    room = width - (max(map(len, marked)) + GAP + 2 if marked else 0)
    need = [_width(column.title, _texts(column, board)) for column in every]
    kept = _kept(need, [column.keep for column in every], room)
    shown = [column for column, keep in zip(every, kept, strict=True) if keep]
    return shown, [column for column, keep in zip(every, kept, strict=True) if not keep]


def _kept(need: Sequence[int], keep: Sequence[int], room: int) -> list[bool]:
    """Says which columns stay, given their widths and what each is worth; those worth 9 always do."""
    kept = [True] * len(need)
    for place in sorted(range(len(need)), key=lambda place: keep[place]):
        if sum(width for width, stays in zip(need, kept, strict=True) if stays) <= room:
            break
        kept[place] = keep[place] >= 9
    return kept


def _width(title: str, texts: Sequence[str]) -> int:
    return max(map(len, [*_head(title, texts).split("\n"), *texts])) + GAP


def _texts(column: Column, board: TaskBoard) -> list[str]:
    return [column.text(row) for row in board.rows]


def _head(title: str, texts: Sequence[str]) -> str:
    """Returns a heading, a word per line where it is wider than what stands below it."""
    return title if len(title) <= max(map(len, texts)) else _BREAK.sub("\n", title)


def _left_out(dropped: Sequence[Column | CavityColumn]) -> list[str]:
    return [f"Not shown at this width: {', '.join(column.title for column in dropped)}."] if dropped else []


def _table(board: TaskBoard, shown: Sequence[Column]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0), pad_edge=False, show_edge=False)
    for column in shown:
        head = Text(_head(column.title, _texts(column, board)))
        table.add_column(head, vertical="bottom", justify=column.align, no_wrap=True)
    marked = marks(board)[0]
    if marked:
        table.add_column("", no_wrap=True)
    for row in board.rows:
        cells = [Text(column.text(row)) for column in shown]
        if marked:
            cells.append(Text(f"[{marked[row.entry]}]" if row.entry in marked else "", style="yellow"))
        table.add_row(*cells, style=STYLES[row.verdict])
    return table


def _cavities(rows: Sequence[CavityRow], width: int) -> Iterator[RenderableType]:
    texts = [[column.text(row) for row in rows] for column in COLUMNS]
    need = [_width(column.title, below) for column, below in zip(COLUMNS, texts, strict=True)]
    kept = _kept(need, [column.keep for column in COLUMNS], width)
    table = Table(box=SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0), pad_edge=False, show_edge=False)
    for column, below, stays in zip(COLUMNS, texts, kept, strict=True):
        if stays:
            head = Text(_head(column.title, below))
            # An entry's name may be long; numbers are never broken.
            wraps = column.align == "left"
            table.add_column(
                head, vertical="bottom", justify=column.align, no_wrap=not wraps, overflow="fold"
            )
    for row in rows:
        table.add_row(*(Text(c.text(row)) for c, stays in zip(COLUMNS, kept, strict=True) if stays))
    yield table
    dropped = [column for column, stays in zip(COLUMNS, kept, strict=True) if not stays]
    yield _lines([*cavity_lines(rows), *_left_out(dropped)])


def _claims(claims: Sequence[ClaimResult]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0), pad_edge=False, show_edge=False)
    for title in CLAIM_HEADINGS:
        table.add_column(Text(title))
    for claim in claims:
        for part in claim.comparisons:
            cells = [Text(cell) for cell in claim_cells(claim, part)]
            cells[1].stylize({"supported": "green", "refuted": "red"}.get(part.answer, ""))
            table.add_row(*cells)
    return table


def _lines(lines: Sequence[str]) -> RenderableType:
    return Text("\n".join(lines) + "\n", style="dim")
