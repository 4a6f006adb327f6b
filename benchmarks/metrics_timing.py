"""Rounds in turn on one core, rows of results, tables and JSON; imported by metrics.py."""

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

from rich.console import Console
from rich.table import Table

Side = Callable[[], object]

# A side that takes less is repeated until a round takes as long.
_ROUND_S = 0.05


@dataclass(frozen=True)
class Row:
    """One measurement.

    Args:
        part: Of the benchmark.
        case: What was measured on.
        side: Whose code, and what it did.
        value: Seconds per volume unless `unit` says otherwise; the median of the rounds.
        low: The least.
        high: The largest.
        unit: Of the three.
        ratio: How many times as long as ours in the same round, the median; of other units: what the bar is for.
        bar: What the ratio must reach, or what it may reach at most if `below`.
        below: Whether the bar is a limit.
        note: What a reader should know.
    """

    part: str
    case: str
    side: str
    value: float
    low: float
    high: float
    unit: str = "s"
    ratio: float | None = None
    bar: float | None = None
    below: bool = False
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None without one."""
        if self.bar is None or self.ratio is None:
            return None
        return self.ratio <= self.bar if self.below else self.ratio >= self.bar


@contextmanager
def one_core() -> Iterator[None]:
    """Keeps this process, and all that it starts, to one core."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@dataclass(frozen=True)
class Bench:
    """What the command line says of timing.

    Args:
        rounds: Rounds that count; each side's first one is left out.
        patience_s: A side whose first round took longer is not repeated: that one counts.
    """

    rounds: int
    patience_s: float

    def in_turn(self, sides: Mapping[str, Side]) -> dict[str, list[float]]:
        """Returns the seconds that each side takes, by round; the sides take turns."""
        first = {name: _seconds(side, 1) for name, side in sides.items()}
        repeats = {name: max(1, round(_ROUND_S / seconds)) for name, seconds in first.items()}
        once = {name for name, seconds in first.items() if seconds > self.patience_s}
        found: dict[str, list[float]] = {name: [first[name]] if name in once else [] for name in sides}
        for _ in range(self.rounds):
            for name, side in sides.items():
                if name not in once:
                    found[name].append(_seconds(side, repeats[name]))
        return found


def _seconds(side: Side, repeats: int) -> float:
    started = time.perf_counter()
    for _ in range(repeats):
        side()
    return (time.perf_counter() - started) / repeats


def times_as_long(theirs: Sequence[float], ours: Sequence[float]) -> float:
    """Returns the median over rounds of how many times as long they took; of medians where rounds differ."""
    if len(theirs) != len(ours):
        return statistics.median(theirs) / statistics.median(ours)
    return statistics.median(a / b for a, b in zip(theirs, ours, strict=True))


def rows_of(
    part: str,
    case: str,
    seconds: Mapping[str, Sequence[float]],
    bars: Mapping[str, float],
    notes: Mapping[str, str],
) -> list[Row]:
    """Returns a row for each side; the first side is ours."""
    ours = next(iter(seconds.values()))
    return [
        Row(
            part,
            case,
            side,
            statistics.median(times),
            min(times),
            max(times),
            ratio=times_as_long(times, ours),
            bar=bars.get(side),
            note="; ".join(filter(None, (notes.get(side, ""), "one round" if len(times) == 1 else ""))),
        )
        for side, times in seconds.items()
    ]


@dataclass
class Report:
    """Rows, shown as soon as a part is done unless they are printed as JSON in the end.

    Args:
        as_json: Print JSON instead of tables.
        with_bars: Whether bars count; of tiny volumes they do not.
        rows: What was measured so far.
        console: Where tables go.
    """

    as_json: bool
    with_bars: bool = True
    rows: list[Row] = field(default_factory=list)
    console: Console = field(default_factory=lambda: Console(width=150))

    def say(self, text: str) -> None:
        """Prints a line between tables."""
        if not self.as_json:
            self.console.print(text, highlight=False)

    def add(self, title: str, rows: Sequence[Row]) -> None:
        """Keeps rows, and prints them."""
        if not self.with_bars:
            rows = [replace(row, bar=None) for row in rows]
        self.rows.extend(rows)
        if self.as_json:
            return
        table = Table(title=title, title_justify="left", title_style="bold")
        several = len({row.case for row in rows}) > 1
        for name in ("on", "side") if several else ("side",):
            table.add_column(name)
        for name in ("median", "range", "ratio", "bar"):
            table.add_column(name, justify="right")
        table.add_column("")
        for row in rows:
            mark = {None: "", True: "met", False: "MISSED"}[row.met]
            bar = "" if row.bar is None else f"{'<' if row.below else '>='} {row.bar:g} {mark}"
            ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
            spread = f"{_shown(row.low, row.unit)} to {_shown(row.high, row.unit)}"
            names = (row.case, row.side) if several else (row.side,)
            table.add_row(*names, _shown(row.value, row.unit), spread, ratio, bar, row.note)
        self.console.print(table)

    def end(self) -> None:
        """Prints the JSON, or which bars were missed."""
        if self.as_json:
            print(json.dumps([asdict(row) | {"met": row.met} for row in self.rows], indent=1))
            return
        if not self.with_bars:
            return
        missed = [row for row in self.rows if row.met is False]
        barred = sum(row.met is not None for row in self.rows)
        self.say(f"{barred - len(missed)} of {barred} bars met")
        for row in missed:
            self.say(f"  missed: {row.part}, {row.case}, {row.side}: {row.ratio:.2f}, bar {row.bar:g}")


def _shown(value: float, unit: str) -> str:
    if unit != "s":
        return f"{value:.3g} {unit}".strip()
    return f"{value:.2f} s" if value >= 1 else f"{1e3 * value:.2f} ms"
