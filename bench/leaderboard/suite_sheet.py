"""The table over tasks, for people."""

import math

from bench.leaderboard.formats import estimate_text, p_equals, rank_text
from bench.leaderboard.sheet import ALWAYS, Cell, Sheet, SheetColumn, column_of
from bench.leaderboard.table import SuiteBoard
from bench.stats.friedman import Friedman
from bench.stats.paired import ALPHA, LEAST_PATIENTS
from bench.words import plural

RANK_DECIMALS = 2


def suite_sheet(board: SuiteBoard) -> Sheet:
    """Returns the table over tasks."""
    title = f"Over {plural(len(board.tasks), 'task')}: mean rank by {board.metric}"
    if not board.rows:
        return Sheet(title=title, lines=tuple(suite_lines(board)))
    texts = [estimate_text(row.mean_rank, RANK_DECIMALS) for row in board.rows]
    short = [estimate_text(row.mean_rank, RANK_DECIMALS, interval=False) for row in board.rows]
    interval = any(not math.isnan(row.mean_rank.low) for row in board.rows)
    columns = [
        column_of("#", [rank_text(row.rank) for row in board.rows]),
        column_of("model", [row.model for row in board.rows], align="left", wraps=True),
        column_of("loss", [row.loss for row in board.rows], align="left", wraps=True),
        SheetColumn(
            title="mean rank [95% CI]" if interval else "mean rank",
            cells=tuple(Cell(text) for text in texts),
            short=column_of("mean rank", short),
            keep_full=ALWAYS - 1,
        ),
        *(
            column_of(task, [rank_text(row.ranks[task]) for row in board.rows], keep=5)
            for task in board.tasks
        ),
    ]
    shared = [note for note in board.rows[0].notes if all(note in row.notes for row in board.rows)]
    notes = list(dict.fromkeys(note for row in board.rows for note in row.notes if note not in shared))
    if notes:
        number = {note: place for place, note in enumerate(notes, start=1)}
        cells = (
            Cell("".join(f"[{number[note]}]" for note in row.notes if note in number), "mark")
            for row in board.rows
        )
        columns.append(SheetColumn(title="", cells=tuple(cells), align="left"))
    lines = [f"[{place}] {note}" for place, note in enumerate(notes, start=1)]
    lines += [f"each entry: {note}" for note in shared]
    return Sheet(title=title, columns=tuple(columns), lines=(*lines, *suite_lines(board)))


def suite_lines(board: SuiteBoard) -> list[str]:
    """Returns the lines under the table over tasks."""
    lines = [f"left out: {name} ({why})" for name, why in board.left_out.items()]
    lines += list(board.notes)
    if not board.rows:
        return lines
    lines.append("A task counts once, whatever its patients; ranks are among the entries of this table.")
    if board.ranking is not None:
        lines.append(
            f"[95% CI]: {board.resamples:,} resamples of the patients within each task: how sure the mean rank is on "
            "these tasks, not on others."
        )
    else:
        lines.append(f"No interval: a task has fewer than {LEAST_PATIENTS} patients.")
    if board.friedman is not None:
        lines += _friedman_lines(board.friedman)
    return lines


def _friedman_lines(found: Friedman) -> list[str]:
    tasks, entries = plural(found.n, "task"), plural(found.k, "entry", "entries")
    if math.isnan(found.p):
        return [f"{tasks} and {entries}: no test over tasks (it takes three entries and two tasks)."]
    if not found.can_tell:
        return [
            f"Over tasks: cannot tell; {tasks} and {entries} give no p below {found.smallest_p:.2g}, whatever the "
            "ranks."
        ]
    degrees = f"F({found.k - 1}, {(found.k - 1) * (found.n - 1)}) = {found.f:.2f}"
    how = "exact" if found.exact else f"Iman-Davenport, {degrees}"
    line = f"Friedman over {tasks} and {entries}: {p_equals(found.f_p)} ({how})."
    if not found.f_p < ALPHA:
        return [f"{line} Entries cannot be told apart over tasks."]
    return [f"{line} Entries differ over tasks; which ones, this test does not say."]
