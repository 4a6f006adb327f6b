"""What stands under a table, the same in every format."""

from bench.leaderboard.table import TaskBoard
from bench.stats.paired import ALPHA

FEW_PATIENTS = 20


def plural(number: int, noun: str) -> str:
    """Writes a count with its noun, e.g. ``2 seeds``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def heading(board: TaskBoard) -> str:
    """Writes a table's heading, e.g. ``acdc-lv: 50 test patients, 100 cases, 1 fold x 3 seeds``."""
    if not board.rows:
        return f"{board.task}: nothing to rank yet"
    return (
        f"{board.task}: {plural(board.n_patients, 'test patient')}, {plural(board.n_cases, 'case')}, "
        f"{plural(board.n_folds, 'fold')} x {plural(board.n_seeds, 'seed')}"
    )


def marks(board: TaskBoard) -> tuple[dict[str, str], list[str]]:
    """Numbers the notes of a board's rows.

    Returns:
        The numbers of each marked entry, e.g. ``1,3``, and the notes in order, each once.
    """
    texts = list(dict.fromkeys(note for row in board.rows for note in row.notes))
    number = {text: str(place) for place, text in enumerate(texts, start=1)}
    marked = {row.entry: ",".join(number[note] for note in row.notes) for row in board.rows if row.notes}
    return marked, texts


def footer(board: TaskBoard) -> list[str]:
    """Returns the lines under a table: what the numbers mean, and what they cannot say."""
    lines = [f"[{number}] {text}" for number, text in enumerate(marks(board)[1], start=1)]
    lines += [f"not ranked: {name} ({reason})" for name, reason in board.pending.items()]
    lines += list(board.notes)
    if not board.rows:
        return lines
    lines.append(
        "Means over patients; seeds, folds, images and labels averaged first. "
        f"[95% CI]: BCa bootstrap over patients, {board.resamples} resamples."
    )
    if board.comparisons:
        lines += _test_lines(board)
    if board.n_patients < FEW_PATIENTS:
        lines.append(
            f"With {plural(board.n_patients, 'patient')} an interval tends to be too narrow; read it as a hint."
        )
    lines.append(
        "train: mean time of a final trial. fail: trials x cases without a value, counted as the worst. "
        "miss: labels there, not predicted."
    )
    return lines


def _test_lines(board: TaskBoard) -> list[str]:
    tests = plural(board.comparisons, "comparison")
    lines = [
        f"p: difference to the best, Wilcoxon signed-rank test over patients, two-sided, Holm over {tests}."
    ]
    shown = {row.verdict for row in board.rows}
    if "tied" in shown:
        lines[0] += f" =: not separable from the best (p >= {ALPHA:g})."
    if "cannot tell" in shown:
        lines.append(
            f"?: cannot tell; {plural(board.n_patients, 'patient')} and {tests} "
            f"give no p below {board.smallest_p:.3g}, whatever the difference."
        )
    return lines
