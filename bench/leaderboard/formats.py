"""How numbers are written in a table's cells."""

import math
from collections.abc import Mapping

from bench.leaderboard.estimate import Estimate
from bench.leaderboard.facts import MetricFacts
from bench.stats.variance import PARTS
from bench.words import plural

NOTHING = "–"
SHARES = "patient / seed / fold / rest"
"""What `shares_text` writes, in order."""


def interval_text(facts: MetricFacts, estimate: Estimate) -> str:
    """Writes an estimate with its interval, e.g. ``0.871 [0.842, 0.893]``."""
    return estimate_text(estimate, facts.decimals)


def estimate_text(estimate: Estimate, decimals: int, signed: bool = False, interval: bool = True) -> str:
    """Writes an estimate, with its interval where it has one.

    Args:
        estimate: Mean, low and high.
        decimals: Shown digits.
        signed: Whether to write a plus, as differences have it.
        interval: Whether to write the interval.
    """
    if math.isnan(estimate.mean):
        return NOTHING
    mean, low, high = (number_text(x, decimals, signed) for x in (estimate.mean, estimate.low, estimate.high))
    return mean if math.isnan(estimate.low) or not interval else f"{mean} [{low}, {high}]"


def number_text(value: float, decimals: int, signed: bool = False) -> str:
    """Writes a number; what is rounded to zero has no sign."""
    text = f"{value:{'+' if signed else ''}.{decimals}f}"
    return text.lstrip("+-") if not text.strip("+-0.") else text


def rank_text(rank: float, low: float = math.nan, high: float = math.nan) -> str:
    """Writes a rank with its interval, e.g. ``2 [1–4]``; an end at a shared rank takes in all who share it."""
    return f"{rank:g}" if math.isnan(low) else f"{rank:g} [{math.floor(low)}–{math.ceil(high)}]"


def shares_text(shares: Mapping[str, float]) -> str:
    """Writes shares of variance, e.g. ``82% / 3% / – / 15%``; nothing where nothing is known."""
    if all(math.isnan(share) for share in shares.values()):
        return NOTHING
    return " / ".join(NOTHING if math.isnan(shares[part]) else f"{shares[part]:.0%}" for part in PARTS)


def pairs_text(family: int) -> str:
    """Writes how many comparisons Holm corrects, e.g. ``45 pairs of entries``."""
    return plural(family, "pair of entries", "pairs of entries")


def p_equals(p: float) -> str:
    """Writes a p-value within a sentence, e.g. ``p = 0.03`` or ``p < 0.0001``."""
    text = p_text(p)
    return f"p < {text[1:]}" if text.startswith("<") else f"p = {text}"


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


def short_duration(seconds: float) -> str:
    """Writes a length of time that may be far below a second, e.g. ``31ms``."""
    return f"{1000 * seconds:.2g}ms" if seconds < 0.0995 else duration(seconds)


def count_text(number: float) -> str:
    """Writes a large count with three digits, e.g. ``31.0M``."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}" if number / size >= 100 else f"{number / size:.1f}{unit}"
    return str(number)


def amount(number: float, unit: str = "") -> str:
    """Writes an amount with three digits, e.g. ``1.27 GB`` of 1270 MB; nothing where it is not known."""
    if math.isnan(number):
        return NOTHING
    if unit == "MB" and number >= 1000:
        number, unit = number / 1000, "GB"
    if unit == "J" and number >= 1000:
        number, unit = number / 1000, "kJ"
    text = f"{number:.0f}" if number >= 100 else f"{number:.3g}"
    return f"{text} {unit}".strip()


def number_or_none(value: float) -> float | None:
    """Returns a number as files without NaN hold it."""
    return None if math.isnan(value) else value
