"""Columns that need all pairs of entries, or their values run by run."""

import math

from bench.leaderboard.column import Column, Value
from bench.leaderboard.formats import NOTHING, number_or_none, shares_text
from bench.leaderboard.table import EntryRow
from bench.stats.variance import PARTS

QUALITY = frozenset({"all", "quality"})
SPREADS = ("true_rank", "mean_trained", "spread")
"""Keys of these columns; see `bench.leaderboard.spread`."""


def _true_rank(row: EntryRow) -> str:
    return NOTHING if math.isnan(row.true_low) else f"{row.true_low:g}–{row.true_high:g}"


def _true_ranks(row: EntryRow) -> dict[str, Value]:
    return {"true_rank_low": number_or_none(row.true_low), "true_rank_high": number_or_none(row.true_high)}


def _shares(row: EntryRow) -> str:
    """Writes shares of variance; nothing of a single run, which has nothing but patients."""
    found = row.components
    return NOTHING if found is None or found.n_runs < 2 else shares_text(found.shares)


def _variances(row: EntryRow) -> dict[str, Value]:
    found = row.components
    numbers = {"spread_sd": math.nan if found is None else math.sqrt(found.total)}
    numbers |= {f"spread_{part}": math.nan if found is None else found.shares[part] for part in PARTS}
    return {key: number_or_none(number) for key, number in numbers.items()}


TRUE_RANK = Column(
    key="true_rank", title="true rank", text=_true_rank, value=_true_ranks, keep=4.5, presets=QUALITY
)
SPREAD = Column(
    key="spread",
    title="spread",
    text=_shares,
    value=_variances,
    keep=2.5,
    presets=QUALITY,
)
