"""Leaderboards in a terminal: fit its width, legible with and without colour."""

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from bench.leaderboard.claims import ClaimResult
from bench.leaderboard.columns import Column, columns
from bench.leaderboard.notes import footer, heading, marks
from bench.leaderboard.render import CLAIM_HEADINGS, claim_cells, claim_lines
from bench.leaderboard.table import TaskBoard, Verdict

GAP = 2
"""Blank columns between two columns: one of padding, one of the box."""
STYLES: dict[Verdict, str] = {"best": "bold", "tied": "", "cannot tell": "", "worse": ""}


class Leaderboard:
    """Tables that rich can print.

    Columns that matter least give way where the terminal is narrow; the footer says which.

    Args:
        boards: Tables.
        claims: Answers to the suite's claims.
    """

    def __init__(self, boards: Sequence[TaskBoard], claims: Sequence[ClaimResult] = ()):
        self.boards = boards
        self.claims = claims

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        for board in self.boards:
            yield Text(heading(board), style="bold")
            lines = footer(board)
            if board.rows:
                shown, dropped = fitting(board, options.max_width)
                yield _table(board, shown)
                if dropped:
                    lines.append(f"Not shown at this width: {', '.join(c.title for c in dropped)}.")
            yield _lines(lines)
        if self.claims:
            yield Text("Claims", style="bold")
            yield _claims(self.claims)
            yield _lines(claim_lines(self.claims))


def fitting(board: TaskBoard, width: int) -> tuple[list[Column], list[Column]]:
    """Returns the columns that fit into a width, in order, and those that do not."""
    every = columns(board)
    marked = marks(board)[0].values()
    need = {c.key: max(map(len, [*_head(c, board).split("\n"), *_texts(c, board)])) + GAP for c in every}
    room = width - (max(map(len, marked)) + GAP + 2 if marked else 0)
    dropped: list[Column] = []
    for column in sorted(every, key=lambda c: c.keep):
        if sum(need[c.key] for c in every if c not in dropped) <= room:
            break
        if column.keep < 9:
            dropped.append(column)
    return [c for c in every if c not in dropped], [c for c in every if c in dropped]


def _texts(column: Column, board: TaskBoard) -> list[str]:
    return [column.text(row) for row in board.rows]


def _head(column: Column, board: TaskBoard) -> str:
    """Returns the heading, a word per line where it is wider than what stands below it."""
    widest = max(map(len, _texts(column, board)))
    return column.title if len(column.title) <= widest else column.title.replace(" ", "\n")


def _table(board: TaskBoard, shown: Sequence[Column]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0), pad_edge=False, show_edge=False)
    for column in shown:
        table.add_column(Text(_head(column, board)), vertical="bottom", justify=column.align, no_wrap=True)
    marked = marks(board)[0]
    if marked:
        table.add_column("", no_wrap=True)
    for row in board.rows:
        cells = [Text(column.text(row)) for column in shown]
        if marked:
            cells.append(Text(f"[{marked[row.entry]}]" if row.entry in marked else "", style="yellow"))
        table.add_row(*cells, style=STYLES[row.verdict])
    return table


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
