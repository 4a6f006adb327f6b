"""Means with their intervals, and the differences to the best with theirs."""

import math

from matplotlib.axes import Axes

from bench.leaderboard.figures.canvas import SMALL, WIDTH, Drawing, text_width
from bench.leaderboard.figures.rows import Panel, rows_figure
from bench.leaderboard.formats import estimate_text, interval_text, p_text
from bench.leaderboard.palette import Palette
from bench.leaderboard.table import EntryRow, Estimate, TaskBoard
from bench.words import plural

NAME = "intervals"
MARKS = {"best": "o", "tied": "o", "unsure": "o", "worse": "s", "better": "^", "cannot tell": "D"}


def draw_intervals(board: TaskBoard, palette: Palette) -> Drawing:
    """Draws the ranked metric of a task's table.

    Args:
        board: The table.
        palette: Colours.
    """
    facts, rows = board.facts[0], board.rows
    title = f"{board.task}: mean {facts.title}, {plural(board.n_patients, 'patient')}"
    texts = [interval_text(facts, row.metrics[facts.name]) for row in rows]
    panels = [Panel("mean [95% CI]", 1.15)]
    if len(rows) > 1:
        panels.append(Panel(f"minus {rows[0].entry}" if len(rows[0].entry) < 30 else "minus the first", 1.0))
    room = max(text_width(text, SMALL) for text in texts) + 0.2
    figure, axes = rows_figure(
        [row.entry for row in rows],
        panels,
        palette,
        title,
        strong=[_leads(row) for row in rows],
        right=room,
        most_name=2.4,
    )
    _means(axes[0], board, palette)
    if len(rows) > 1:
        _differences(axes[1], board, palette)
    high = axes[0].get_position()
    for number, text in enumerate(texts):
        y = high.y1 - (number + 0.5) / len(rows) * high.height
        figure.text(1 - 0.06 / WIDTH, y, text, ha="right", va="center", size=SMALL, color=palette.ink)
    return Drawing(
        name=NAME,
        of=board.task,
        title=title,
        caption=_caption(board),
        alt="; ".join(_told(row, board) for row in rows) + ".",
        figure=figure,
    )


def _leads(row: EntryRow) -> bool:
    return row.verdict == "best" or row.tier == 1


def _means(axes: Axes, board: TaskBoard, palette: Palette) -> None:
    best = board.rows[0].metrics[board.metric].mean
    axes.axvline(best, color=palette.muted, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    for number, row in enumerate(board.rows):
        _estimate(axes, row.metrics[board.metric], number, row, palette)
    axes.margins(x=0.05)


def _differences(axes: Axes, board: TaskBoard, palette: Palette) -> None:
    axes.axvline(0, color=palette.muted, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    for number, row in enumerate(board.rows):
        if math.isfinite(row.mdd):
            axes.barh(number, 2 * row.mdd, left=-row.mdd, height=1, color=palette.faint, alpha=0.6, zorder=0)
        if number:
            _estimate(axes, row.difference, number, row, palette)
        if number and _retrained(row):
            axes.plot([row.trained.low, row.trained.high], [number] * 2, color=_colour(row, palette), linewidth=0.7,
                      marker="|", markersize=4, zorder=2)  # fmt: skip
    axes.margins(x=0.05)


def _estimate(axes: Axes, found: Estimate, y: int, row: EntryRow, palette: Palette) -> None:
    if math.isnan(found.mean):
        return
    colour = _colour(row, palette)
    if not math.isnan(found.low):
        axes.plot([found.low, found.high], [y, y], color=colour, linewidth=1.6, zorder=3)
    filled = _leads(row) or row.verdict in ("tied", "unsure")
    axes.plot(found.mean, y, marker=MARKS[row.verdict], markersize=5.5, color=colour, zorder=4, linestyle="",
              markerfacecolor=colour if filled else palette.paper, markeredgewidth=1.3)  # fmt: skip


def _colour(row: EntryRow, palette: Palette) -> str:
    return palette.second if row.verdict in ("worse", "better") else palette.accent


def _retrained(row: EntryRow) -> bool:
    """Says whether there is an interval over trainings, too."""
    return math.isfinite(row.trained.low) and math.isfinite(row.trained.high)


def _caption(board: TaskBoard) -> str:
    shown = {"tied" if row.verdict == "unsure" else row.verdict for row in board.rows}
    parts = [f"Mean over patients with its 95% interval (BCa bootstrap, {board.resamples:,} resamples)."]
    if any(math.isnan(row.metrics[board.metric].low) for row in board.rows):
        parts.append("Without a line: too few patients for an interval.")
    if len(board.rows) > 1:
        parts.append(
            f"Right: difference to {board.rows[0].entry}, patient by patient, with its interval; it may be clear "
            "where intervals of means overlap."
        )
    if any(_retrained(row) for row in board.rows[1:]):
        parts.append(
            "Thin line: its interval over patients and trainings; where that holds zero, other seeds may say "
            "otherwise."
        )
    if any(math.isfinite(row.mdd) for row in board.rows):
        parts.append("Grey band: differences that so many patients would not show with 80% power.")
    legend = {
        "tied": "Filled circle, bold: the best, and what cannot be told from it.",
        "worse": "Open square: worse than the best.",
        "better": "Triangle: ranked below the best, better by its differences.",
        "cannot tell": "Open diamond: too few patients for any test.",
    }
    return " ".join([*parts, *(text for verdict, text in legend.items() if verdict in shown)])


def _told(row: EntryRow, board: TaskBoard) -> str:
    facts = board.facts[0]
    text = f"{row.entry} {interval_text(facts, row.metrics[facts.name])}"
    if row.verdict == "best" or math.isnan(row.difference.mean):
        return text
    gap = estimate_text(row.difference, facts.decimals, signed=True)
    if _retrained(row):
        ends = (f"{end:+.{facts.decimals}f}" for end in (row.trained.low, row.trained.high))
        gap += f" (over trainings, too: {' to '.join(ends)})"
    p = "" if math.isnan(row.p) else f", p {p_text(row.p)}"
    return f"{text}, to the best {gap}{p}, {row.verdict}"
