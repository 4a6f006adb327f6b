"""The tables of a check as text cells, for a terminal and for HTML."""

from collections.abc import Iterator
from dataclasses import dataclass

from medseg.data.check import Report
from medseg.data.check.summary import labels, parts, spreads

# More subgroups than this make a table that nobody reads.
MOST_SUBGROUPS = 12


@dataclass(frozen=True)
class Grid:
    """A table.

    Args:
        headings: One per column; the first column is a name, all others are numbers.
        rows: Cells, one text per heading.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def grids(report: Report) -> tuple[Grid, ...]:
    """Returns the tables of a report: who is where, how cases vary, how often labels occur."""
    return tuple(grid for grid in (_parts(report), _spreads(report), _labels(report)) if grid.rows)


def rounded(value: float, digits: int = 4) -> str:
    """Returns a number with so many digits, but never less than whole."""
    return f"{value:.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def _parts(report: Report) -> Grid:
    found = parts(report)
    names = list(found[0].subgroups)[:MOST_SUBGROUPS] if found else []
    rows = tuple(
        (
            part.name,
            str(part.patients),
            str(part.cases),
            *(str(part.subgroups.get(name, 0)) for name in names),
        )
        for part in found
    )
    return Grid(("part", "patients", "cases", *names), rows)


def _spreads(report: Report) -> Grid:
    rows = tuple(
        (spread.name, rounded(spread.low, 5), rounded(spread.middle, 5), rounded(spread.high, 5))
        for spread in spreads(report)
    )
    return Grid(("over cases", "smallest", "median", "largest"), rows)


def _labels(report: Report) -> Grid:
    found = labels(report)
    known = sum(bool(item.pixels) for item in report.facts)
    volumes = ("mL, smallest", "median", "largest") if any(label.volume_ml for label in found) else ()

    def cells() -> Iterator[tuple[str, ...]]:
        for label in found:
            volume = [rounded(ml) for ml in label.volume_ml] if label.volume_ml else ["–"] * len(volumes)
            yield (
                label.name,
                str(label.value),
                f"{label.cases} of {known}",
                f"{label.share:.2%}",
                f"{label.foreground_share:.1%}",
                *volume,
            )

    return Grid(("label", "value", "cases", "of pixels", "of foreground", *volumes), tuple(cells()))
