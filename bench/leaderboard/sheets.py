"""From boards to tables that any format can write."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.leaderboard.cavities import COLUMNS as CAVITY_COLUMNS
from bench.leaderboard.cavities import cavity_lines
from bench.leaderboard.choose import choose
from bench.leaderboard.claim_sheet import claim_sheet
from bench.leaderboard.claims import ClaimResult
from bench.leaderboard.column import PRESETS, Column
from bench.leaderboard.legend import legend
from bench.leaderboard.notes import about, heading, marks, remarks
from bench.leaderboard.part_sheets import part_sheets
from bench.leaderboard.sheet import ALWAYS, Cell, Sheet, SheetColumn, column_of
from bench.leaderboard.suite_sheet import suite_sheet
from bench.leaderboard.table import SuiteBoard, TaskBoard


@dataclass(frozen=True, kw_only=True)
class Page:
    """All that a leaderboard says.

    Args:
        notice: What must stand above everything; empty where there is nothing.
        sheets: Tables in order.
        legend: What the columns mean.
        of: What it is of, in a line; empty where nobody needs to know.
    """

    notice: str = ""
    sheets: tuple[Sheet, ...] = ()
    legend: tuple[str, ...] = ()
    of: str = ""


def make_page(
    boards: Sequence[TaskBoard],
    claims: Sequence[ClaimResult] = (),
    overall: SuiteBoard | None = None,
    notice: str = "",
    names: Sequence[str] | None = None,
) -> Page:
    """Returns the page of a leaderboard.

    Args:
        boards: A table per task.
        claims: Answers to the suite's claims.
        overall: Table over tasks, if there is one.
        notice: What must stand above everything.
        names: Columns, as for `choose`.
    """
    sheets: list[Sheet] = []
    for board in boards:
        sheets += [task_sheet(board, names), *part_sheets(board), *cavity_sheets(board)]
    if overall is not None:
        sheets.append(suite_sheet(overall))
    if claims:
        sheets.append(claim_sheet(claims))
    return Page(notice=notice, sheets=tuple(sheets), legend=tuple(legend(boards, names)))


def task_sheet(board: TaskBoard, names: Sequence[str] | None = None) -> Sheet:
    """Returns a task's table.

    Args:
        board: What it says.
        names: Columns, as for `choose`.
    """
    if not board.rows:
        return Sheet(title=heading(board), lines=tuple(remarks(board)))
    marked = marks(board)[0]
    columns = [_column(column, board, names) for column in choose(board, names)]
    if marked:
        texts = [f"[{marked[row.entry]}]" if row.entry in marked else "" for row in board.rows]
        columns.append(SheetColumn(title="", cells=tuple(Cell(text, "mark") for text in texts), align="left"))
    return Sheet(
        title=heading(board), columns=tuple(columns), lines=tuple(remarks(board)), about=tuple(about(board))
    )


def _keep_full(column: Column, names: Sequence[str] | None) -> float:
    """Returns what intervals are worth: who asks for columns wants to see them all, if need be without intervals.

    Of whole sets of columns, some may rather give way than the interval of the ranked metric.
    """
    if names is None or (set(names) <= set(PRESETS) and column.keep == ALWAYS):
        return column.keep_full
    return column.keep_full - ALWAYS


def _column(column: Column, board: TaskBoard, names: Sequence[str] | None) -> SheetColumn:
    short = None
    if column.short is not None:
        cells = tuple(Cell(column.short(row), column.tone(row)) for row in board.rows)
        short = SheetColumn(
            title=column.short_title, cells=cells, keep=column.keep, align=column.align, key=column.key
        )
        if all(column.text(row) == column.short(row) for row in board.rows):
            # Nobody has an interval: no heading promises one.
            return short
    return SheetColumn(
        title=column.title,
        cells=tuple(Cell(column.text(row), column.tone(row)) for row in board.rows),
        keep=column.keep,
        align=column.align,
        wraps=column.align == "left",
        short=short,
        keep_full=_keep_full(column, names),
        key=column.key,
    )


def cavity_sheets(board: TaskBoard) -> list[Sheet]:
    """Returns the table of the heart's cavities; none where they were not measured."""
    rows = board.cavities
    if not rows:
        return []
    columns = [
        column_of(c.title, [c.text(row) for row in rows], c.keep, c.align, c.align == "left")
        for c in CAVITY_COLUMNS
    ]
    return [Sheet(title="", columns=tuple(columns), lines=tuple(cavity_lines(rows)))]
