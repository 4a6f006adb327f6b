"""What a column of a leaderboard is."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bench.leaderboard.formats import NOTHING, estimate_text, number_or_none
from bench.leaderboard.sheet import ALWAYS, Align, Tone
from bench.leaderboard.table import EntryRow, Estimate

Value = str | int | float | bool | None
Text = Callable[[EntryRow], str]

PRESETS = ("default", "quality", "cost", "counts", "tuning", "all")
"""Sets of columns; every one has rank, model and loss."""


def plain_tone(_row: EntryRow) -> Tone:
    """Nothing stands out."""
    return ""


def best_tone(row: EntryRow) -> Tone:
    """The best stands out together with all that cannot be told from it."""
    return "best" if row.tier == 1 else ""


def small_tone(row: EntryRow) -> Tone:
    """A difference too small to be seen with so many patients fades."""
    return "faint" if row.too_small else ""


def unfound_tone(row: EntryRow) -> Tone:
    """What is no finding fades with its difference."""
    return "faint" if row.too_small and row.verdict in ("tied", "cannot tell") else ""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column.

    Args:
        key: Name, in CSV and for ``--columns``.
        title: Heading.
        text: Writes the cell for people.
        value: Plain values by name, for CSV; one or several.
        keep: Columns with a lower one give way first where a terminal is narrow.
        align: Alignment.
        presets: Sets of columns that it belongs to, of `PRESETS`.
        tone: How a cell stands out.
        short: Writes the cell where there is little room; none where there is no shorter form.
        short_title: Heading then.
        keep_full: As `keep`, for what the short form lacks.
    """

    key: str
    title: str
    text: Text
    value: Callable[[EntryRow], dict[str, Value]]
    keep: float
    align: Align = "right"
    presets: frozenset[str] = frozenset({"all"})
    tone: Callable[[EntryRow], Tone] = plain_tone
    short: Text | None = None
    short_title: str = ""
    keep_full: float = ALWAYS


def plain(
    key: str,
    title: str,
    text: Text,
    value: Callable[[EntryRow], Value],
    presets: Iterable[str],
    keep: float,
) -> Column:
    """Returns a column of one value."""
    return Column(
        key=key,
        title=title,
        text=text,
        value=lambda row: {key: value(row)},
        keep=keep,
        presets=frozenset({"all", *presets}),
    )


def name(key: str, text: Text) -> Column:
    """Returns a column of names, which never gives way."""
    return Column(
        key=key,
        title=key,
        text=text,
        value=lambda row: {key: text(row)},
        keep=ALWAYS,
        align="left",
        presets=frozenset(PRESETS),
        tone=best_tone,
    )


def estimated(
    key: str,
    title: str,
    of: Callable[[EntryRow], Estimate],
    decimals: int,
    presets: Iterable[str],
    keep: float,
    *,
    signed: bool = False,
    interval: bool = True,
    tone: Callable[[EntryRow], Tone] = plain_tone,
    keep_full: float | None = None,
) -> Column:
    """Returns a column of estimates, three values in CSV.

    Args:
        key: Name.
        title: Heading, without what the interval adds.
        of: Takes the estimate from a row.
        decimals: Shown digits.
        presets: Sets of columns that it belongs to.
        keep: See `Column`.
        signed: Whether to write a plus.
        interval: Whether to write the interval where there is room.
        tone: See `Column`.
        keep_full: See `Column`; by default the interval goes just before the column.
    """

    def text(row: EntryRow) -> str:
        return estimate_text(of(row), decimals, signed, interval)

    def short(row: EntryRow) -> str:
        return estimate_text(of(row), decimals, signed, interval=False)

    def value(row: EntryRow) -> dict[str, Value]:
        found = of(row)
        ends = {f"{key}_low": number_or_none(found.low), f"{key}_high": number_or_none(found.high)}
        return {key: number_or_none(found.mean), **ends}

    return Column(
        key=key,
        title=f"{title} [95% CI]" if interval else title,
        text=text,
        value=value,
        keep=keep,
        presets=frozenset({"all", *presets}),
        tone=tone,
        short=short if interval else None,
        short_title=title,
        keep_full=keep - 0.5 if keep_full is None else keep_full,
    )


def known(value: float, write: Callable[[float], str]) -> str:
    """Writes a number; a dash where it is not known."""
    return NOTHING if math.isnan(value) else write(value)
