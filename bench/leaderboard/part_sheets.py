"""Tables of a task's labels or subgroups: entries down, parts across."""

from collections.abc import Sequence

from bench.leaderboard.formats import NOTHING, estimate_text, pairs_text
from bench.leaderboard.parts import LABEL
from bench.leaderboard.sheet import Cell, Sheet, SheetColumn, Tone, column_of
from bench.leaderboard.table import EntryRow, TaskBoard

MARKS = {"best": "*", "tied": "=", "unsure": "~", "better": "!", "cannot tell": "?", "worse": " "}


def part_sheets(board: TaskBoard) -> list[Sheet]:
    """Returns a table per kind of parts, e.g. one of the labels and one of the pathologies; none without parts."""
    kinds = dict.fromkeys(part.kind for part in board.parts)
    return [_sheet(board, kind, [part for part in board.parts if part.kind == kind]) for kind in kinds]


def _sheet(board: TaskBoard, kind: str, parts: Sequence[TaskBoard]) -> Sheet:
    order = [row.entry for row in board.rows]
    columns = [
        column_of("model", [row.model for row in board.rows], align="left", wraps=True),
        column_of("loss", [row.loss for row in board.rows], align="left", wraps=True),
    ]
    if not board.n_folds:
        columns = columns[:1]
    title = f"{board.task}, by {kind}: {board.facts[0].title if board.facts else board.metric}"
    return Sheet(
        title=title,
        columns=(*columns, *(_column(part, order) for part in parts)),
        lines=(*_lines(kind, parts), *(() if kind == LABEL else board.ungrouped)),
        splits=len(columns),
    )


def _column(part: TaskBoard, order: Sequence[str]) -> SheetColumn:
    rows = {row.entry: row for row in part.rows}
    title = f"{part.part} (n={part.n_valued})"
    full, short = (
        tuple(_cell(rows.get(name), part, interval) if part.facts else Cell(NOTHING) for name in order)
        for interval in (True, False)
    )
    return SheetColumn(title=title, cells=full, keep=8, short=SheetColumn(title=title, cells=short, keep=8))


def _cell(row: EntryRow | None, part: TaskBoard, interval: bool) -> Cell:
    if row is None:
        return Cell(NOTHING)
    facts = part.facts[0]
    text = estimate_text(row.metrics[facts.name], facts.decimals, interval=interval)
    if row.n is not None and row.n != part.n_valued:
        text = f"{text} (n={row.n})"
    tone: Tone = "best" if row.tier == 1 else "faint" if row.verdict == "cannot tell" else ""
    return Cell(f"{text} {MARKS[row.verdict]}", tone)


def _lines(kind: str, parts: Sequence[TaskBoard]) -> list[str]:
    shown = {row.verdict for part in parts for row in part.rows}
    family = max((part.comparisons for part in parts), default=0)
    told = ["*: best mean"]
    told += ["=: not separable from it"] if "tied" in shown else []
    told += ["~: worse by the test, not by all intervals of the mean"] if "unsure" in shown else []
    told += ["!: the differences speak against it"] if "better" in shown else []
    told += ["?: cannot tell"] if "cannot tell" in shown else []
    lines = [
        f"Within each {kind}, mean over its patients. {', '.join(told)}. Signed-rank tests against the best of "
        f"the column, Holm over {pairs_text(family)} of all columns."
    ]
    few = [
        part.part
        for part in parts
        if part.rows and all(row.tier == 0 for row in part.rows) and len(part.rows) > 1
    ]
    if few:
        lines.append(f"Too few patients for any p-value below the level: {', '.join(few)}.")
    lines += [f"not shown: {part.part} ({why})" for part in parts for why in _why_empty(part)]
    return lines


def _why_empty(part: TaskBoard) -> list[str]:
    return [] if part.rows else ["nothing to rank"]
