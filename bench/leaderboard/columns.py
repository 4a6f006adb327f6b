"""Columns of a leaderboard: adding one is one entry."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.leaderboard.facts import MetricFacts
from bench.leaderboard.table import EntryRow, Estimate, TaskBoard

NOTHING = "–"
OF_TRIALS = ("loss", "parameters", "train_s")
"""Columns that predictions of unknown origin do not have."""
MARKS = {"best": "best", "tied": "=", "worse": "", "better": "!", "cannot tell": "?"}

Value = str | int | float | None


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column.

    Args:
        key: Name in CSV.
        title: Heading.
        text: Writes the cell for people.
        value: Plain values by name, for CSV; one or several.
        keep: Columns with a lower one give way first where a terminal is narrow.
        align: Alignment.
    """

    key: str
    title: str
    text: Callable[[EntryRow], str]
    value: Callable[[EntryRow], dict[str, Value]]
    keep: int
    align: Literal["left", "right"] = "right"


def columns(board: TaskBoard) -> list[Column]:
    """Returns the columns of a task's table, in order."""
    ranked, *others = board.facts
    every = [
        _plain("rank", "#", lambda row: f"{row.rank:g}", lambda row: row.rank, keep=9),
        _plain("model", "model", lambda row: row.model, lambda row: row.model, keep=9, align="left"),
        _plain("loss", "loss", lambda row: row.loss, lambda row: row.loss, keep=9, align="left"),
        _metric(ranked, interval=True, keep=9),
        _difference(ranked),
        _p(board),
        *(_metric(facts, interval=False, keep=max(6 - place, 2)) for place, facts in enumerate(others)),
        _plain("parameters", "params", _parameters, lambda row: row.cost.parameters, keep=3),
        _plain("train_s", "train", lambda row: duration(row.cost.train_s), lambda row: _number(row.cost.train_s),
               keep=3),
        _plain("cases", "cases", lambda row: str(board.n_cases), lambda row: board.n_cases, keep=1),
        _plain("n_valid", "valid", lambda row: str(row.n_valid), lambda row: row.n_valid, keep=7),
        _plain("n_empty_reference", "empty", lambda row: str(row.n_empty_reference),
               lambda row: row.n_empty_reference, keep=7),
        _plain("n_hallucinated", "false", lambda row: str(row.n_hallucinated), lambda row: row.n_hallucinated,
               keep=2),
        _plain("n_failed", "fail", lambda row: str(row.n_failed), lambda row: row.n_failed, keep=8),
        _plain("n_missed", "miss", lambda row: str(row.n_missed), lambda row: row.n_missed, keep=8),
    ]  # fmt: skip
    return every if board.n_folds else [column for column in every if column.key not in OF_TRIALS]


def interval_text(facts: MetricFacts, estimate: Estimate) -> str:
    """Writes an estimate with its interval, e.g. ``0.871 [0.842, 0.893]``."""
    if math.isnan(estimate.mean):
        return NOTHING
    if math.isnan(estimate.low):
        return facts.text(estimate.mean)
    return f"{facts.text(estimate.mean)} [{facts.text(estimate.low)}, {facts.text(estimate.high)}]"


def p_text(p: float) -> str:
    """Writes a p-value with two digits, never as zero."""
    if math.isnan(p):
        return NOTHING
    return "<0.0001" if p < 0.0001 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def duration(seconds: float) -> str:
    """Writes a length of time, e.g. ``1m32s``."""
    if math.isnan(seconds):
        return NOTHING
    if seconds < 59.5:
        return f"{seconds:.1f}s" if seconds < 9.95 else f"{seconds:.0f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"


def count_text(number: int) -> str:
    """Writes a large count with three digits, e.g. ``31.0M``."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}" if number / size >= 100 else f"{number / size:.1f}{unit}"
    return str(number)


def _plain(
    key: str,
    title: str,
    text: Callable[[EntryRow], str],
    value: Callable[[EntryRow], Value],
    keep: int,
    align: Literal["left", "right"] = "right",
) -> Column:
    return Column(
        key=key, title=title, text=text, value=lambda row: {key: value(row)}, keep=keep, align=align
    )


def _metric(facts: MetricFacts, interval: bool, keep: int) -> Column:
    def text(row: EntryRow) -> str:
        estimate = row.metrics[facts.name]
        return interval_text(facts, estimate if interval else Estimate(estimate.mean))

    def value(row: EntryRow) -> dict[str, Value]:
        return _estimate(facts.name, row.metrics[facts.name])

    title = f"{facts.title} [95% CI]" if interval else facts.title
    return Column(key=facts.name, title=title, text=text, value=value, keep=keep)


def _difference(facts: MetricFacts) -> Column:
    def text(row: EntryRow) -> str:
        if row.verdict == "best" or math.isnan(row.difference.mean):
            return NOTHING
        return f"{row.difference.mean:+.{facts.decimals}f}"

    def value(row: EntryRow) -> dict[str, Value]:
        return _estimate("difference", row.difference)

    return Column(key="difference", title="to best", text=text, value=value, keep=4)


def _p(board: TaskBoard) -> Column:
    def text(row: EntryRow) -> str:
        if row.verdict == "best":
            return "best"
        p = f"{p_text(row.p)} {MARKS[row.verdict]}".strip() if not math.isnan(row.p) else "?"
        return p if row.n_compared == board.n_patients else f"{p} (n={row.n_compared})"

    def value(row: EntryRow) -> dict[str, Value]:
        return {"p": _number(row.p), "p_patients": None if row.verdict == "best" else row.n_compared}

    return Column(key="p", title="p", text=text, value=value, keep=8)


def _estimate(name: str, estimate: Estimate) -> dict[str, Value]:
    return {
        name: _number(estimate.mean),
        f"{name}_low": _number(estimate.low),
        f"{name}_high": _number(estimate.high),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _parameters(row: EntryRow) -> str:
    return NOTHING if row.cost.parameters is None else count_text(row.cost.parameters)
