"""Columns of a leaderboard: adding one is one entry."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from bench.leaderboard.column import (
    PRESETS,
    Column,
    Value,
    best_tone,
    estimated,
    known,
    name,
    plain,
    small_tone,
    unfound_tone,
)
from bench.leaderboard.columns_cost import COSTS, TUNING
from bench.leaderboard.columns_spread import SPREAD, SPREADS, TRUE_RANK
from bench.leaderboard.estimate import UNKNOWN
from bench.leaderboard.facts import MetricFacts
from bench.leaderboard.formats import (
    NOTHING,
    count_text,
    duration,
    estimate_text,
    interval_text,
    number_or_none,
    p_text,
    rank_text,
)
from bench.leaderboard.sheet import ALWAYS
from bench.leaderboard.table import EntryRow, Estimate, TaskBoard

__all__ = [
    "MARKS", "NOTHING", "PRESETS", "Column", "columns", "count_text", "duration", "interval_text", "p_text"
]  # fmt: skip

OF_TRIALS = ("loss", *SPREADS, *(column.key for column in (*COSTS, *TUNING)))
"""Columns that predictions of unknown origin do not have."""
MARKS = {"best": "best", "tied": "=", "worse": "", "unsure": "~", "better": "!", "cannot tell": "?"}
BESIDE = ("dice", "hd95", "nsd")
"""Metrics that stand beside the ranked one by default: overlap does not tell how far off a boundary is."""
COUNTS = ("n_valid", "n_empty_reference", "n_hallucinated", "n_failed", "n_missed")
"""What happened to the values behind a mean: columns where entries differ or something was lost, else told below."""
_MEASURED = ("default", "quality")


def columns(board: TaskBoard) -> list[Column]:
    """Returns every column of a task's table, in order; `bench.leaderboard.choose` says which are shown."""
    ranked, *others = board.facts
    said = speaking_counts(board)
    every = [
        _rank(board),
        name("model", lambda row: row.model),
        name("loss", lambda row: row.loss),
        estimated(ranked.name, ranked.title, lambda row: row.metrics[ranked.name], ranked.decimals, PRESETS, ALWAYS,
                  tone=best_tone, keep_full=8.8),
        *_score(board),
        estimated("median", "median", lambda row: row.median, ranked.decimals, ("quality",), 5),
        estimated("mean_trained", f"{ranked.title} with other seeds", lambda row: row.resampled, ranked.decimals,
                  ("quality",), 3.5),
        _difference(ranked),
        _p(board),
        _with_other_seeds(ranked),
        estimated("rank_biserial", "effect", lambda row: _effect(row, "rank_biserial"), 2, ("quality",), 5,
                  signed=True, tone=small_tone),
        estimated("improvement", "P(better)", lambda row: _effect(row, "improvement"), 2, ("quality",), 4,
                  tone=small_tone),
        plain("mdd", "detectable", lambda row: _positive(row.mdd, ranked), lambda row: number_or_none(row.mdd),
              ("quality",), 3),
        TRUE_RANK,
        SPREAD,
        *(_beside(facts, max(6 - place, 2)) for place, facts in enumerate(others)),
        plain("n_valid", "valid", lambda row: str(row.n_valid), lambda row: row.n_valid, said["n_valid"], 7),
        plain("n_empty_reference", "empty", lambda row: str(row.n_empty_reference), lambda row: row.n_empty_reference,
              said["n_empty_reference"], 7),
        plain("n_hallucinated", "false", lambda row: str(row.n_hallucinated), lambda row: row.n_hallucinated,
              said["n_hallucinated"], 8),
        plain("n_failed", "fail", lambda row: str(row.n_failed), lambda row: row.n_failed, said["n_failed"], 8),
        plain("n_missed", "miss", lambda row: str(row.n_missed), lambda row: row.n_missed, said["n_missed"], 8),
        plain("n_imputed", "put in", lambda row: str(row.n_imputed), lambda row: row.n_imputed, ("counts",), 3),
        plain("n", "n", lambda row: NOTHING if row.n is None else str(row.n), lambda row: row.n, ("counts",), 7),
        plain("cases", "cases", lambda row: str(board.n_cases), lambda row: board.n_cases, ("counts",), 1),
        *COSTS,
        *TUNING,
    ]  # fmt: skip
    return every if board.n_folds else [column for column in every if column.key not in OF_TRIALS]


def speaking_counts(board: TaskBoard) -> dict[str, tuple[str, ...]]:
    """Returns, by count, its presets: a count is shown by default where entries differ, or something was lost."""
    seen = {key: {int(getattr(row, key)) for row in board.rows} for key in COUNTS}
    lost = {"n_hallucinated", "n_failed", "n_missed"}
    speak = {key: len(found) > 1 or (key in lost and found != {0}) for key, found in seen.items()}
    return {key: ("default", "counts") if told else ("counts",) for key, told in speak.items()}


def _rank(board: TaskBoard) -> Column:
    def values(row: EntryRow) -> dict[str, Value]:
        low, high = number_or_none(row.rank_low), number_or_none(row.rank_high)
        return {"rank": row.rank, "rank_low": low, "rank_high": high, "tier": row.tier or None}

    told = any(not math.isnan(row.rank_low) for row in board.rows)
    return Column(
        key="rank",
        title="# [95% CI]" if told else "#",
        text=lambda row: rank_text(row.rank, row.rank_low, row.rank_high),
        value=values,
        keep=ALWAYS,
        presets=frozenset(PRESETS),
        tone=best_tone,
        short=(lambda row: rank_text(row.rank)) if told else None,
        short_title="#",
        keep_full=8.4,
    )


SCORES = {"rank": ("mean rank", 2), "test": ("wins", 0)}
"""By scheme, what entries are ranked by, and its digits."""


def _score(board: TaskBoard) -> list[Column]:
    """Returns what entries are ranked by, where that is not the mean."""
    if board.scheme not in SCORES:
        return []
    title, decimals = SCORES[board.scheme]
    found, of = board.ranking, dict.fromkeys((row.entry for row in board.rows), math.nan)
    if found is not None:
        of |= dict(zip(found.entries, map(float, found.scores), strict=True))
    text: Callable[[EntryRow], str] = lambda row: known(of[row.entry], lambda x: f"{x:.{decimals}f}")  # noqa: E731
    return [plain("score", title, text, lambda row: number_or_none(of[row.entry]), PRESETS, ALWAYS)]


def _beside(facts: MetricFacts, keep: int) -> Column:
    """Returns a metric beside the ranked one: its mean."""
    return estimated(
        facts.name,
        facts.title,
        lambda row: row.metrics[facts.name],
        facts.decimals,
        _MEASURED if facts.name in BESIDE else ("quality",),
        keep,
        interval=False,
    )


def _difference(facts: MetricFacts) -> Column:
    def of(row: EntryRow) -> Estimate:
        return UNKNOWN if row.verdict == "best" else row.difference

    def text(row: EntryRow, interval: bool) -> str:
        written = estimate_text(of(row), facts.decimals, signed=True, interval=interval)
        return f"({written})" if row.too_small and written != NOTHING else written

    column = estimated(
        "difference", "to best", of, facts.decimals, _MEASURED, 8.6, signed=True, tone=small_tone
    )

    def value(row: EntryRow) -> dict[str, Value]:
        found = of(row)
        numbers = {"difference": found.mean, "difference_low": found.low, "difference_high": found.high}
        small = None if row.verdict == "best" else row.too_small
        return {**{key: number_or_none(one) for key, one in numbers.items()}, "difference_too_small": small}

    return replace(
        column,
        text=partial(text, interval=True),
        short=partial(text, interval=False),
        keep_full=7.5,
        value=value,
    )


def _with_other_seeds(facts: MetricFacts) -> Column:
    """Returns the interval of the difference over patients and trainings: without it the column says nothing new."""
    column = estimated(
        "difference_trained",
        "with other seeds",
        lambda row: row.trained,
        facts.decimals,
        ("quality",),
        4.5,
        signed=True,
    )
    return replace(column, short=None)


def _p(board: TaskBoard) -> Column:
    def text(row: EntryRow) -> str:
        if row.verdict == "best":
            return "best" if len(board.rows) > 1 else NOTHING
        if row.all_failed:
            return "failed"
        p = f"{p_text(row.p)} {MARKS[row.verdict]}".strip() if not math.isnan(row.p) else "?"
        return p if row.n_compared == board.n_valued else f"{p} (n={row.n_compared})"

    def value(row: EntryRow) -> dict[str, Value]:
        if row.all_failed:
            return {"p": None, "p_raw": None, "p_patients": None}
        patients = None if row.verdict == "best" else row.n_compared
        return {"p": number_or_none(row.p), "p_raw": number_or_none(row.p_raw), "p_patients": patients}

    return Column(
        key="p",
        title="p",
        text=text,
        value=value,
        keep=8.5,
        presets=frozenset({"all", *_MEASURED}),
        tone=unfound_tone,
    )


def _effect(row: EntryRow, which: str) -> Estimate:
    if row.effect is None:
        return UNKNOWN
    found = getattr(row.effect, which)
    return Estimate(found.value, found.low, found.high)


def _positive(value: float, facts: MetricFacts) -> str:
    return NOTHING if math.isnan(value) else facts.text(value)
