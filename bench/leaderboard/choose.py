"""Which columns of a leaderboard are shown."""

from collections.abc import Sequence

from bench.errors import BenchError
from bench.leaderboard.column import PRESETS, Column
from bench.leaderboard.columns import columns
from bench.leaderboard.formats import NOTHING
from bench.leaderboard.table import TaskBoard
from medseg.errors import did_you_mean

DEFAULT = ("default",)


def choose(board: TaskBoard, names: Sequence[str] | None = None, empty: bool = False) -> list[Column]:
    """Returns columns of a task's table, in the table's order.

    Args:
        board: A table with rows.
        names: Presets and keys of columns; by default what a reader needs first. Rank and names always come with
            them; what the table does not have is left out.
        empty: Whether a preset's columns come, too, of which nothing is known of any entry.
    """
    wanted = set(names or DEFAULT)
    return [
        column
        for column in columns(board)
        if column.key in wanted
        or column.presets >= set(PRESETS)
        or (column.presets & wanted and (empty or _tells(column, board)))
    ]


def _tells(column: Column, board: TaskBoard) -> bool:
    return any(column.text(row) != NOTHING for row in board.rows)


def check_columns(boards: Sequence[TaskBoard], names: Sequence[str]) -> None:
    """Checks that some table has each of these columns.

    Raises:
        BenchError: If none has one.
    """
    known = dict.fromkeys(column.key for board in boards if board.rows for column in columns(board))
    if not known:
        return
    for name in names:
        if name not in known and name not in PRESETS:
            raise BenchError(f"no column '{name}'{did_you_mean(name, [*PRESETS, *known])}")
