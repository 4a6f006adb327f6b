"""A table before it is written in any format: columns of cells, and the lines below them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Tone = Literal["", "best", "faint", "mark", "good", "bad"]
"""How a cell stands out, in formats that can show it: ``faint`` is what must not be read as a finding."""

Align = Literal["left", "right"]
ALWAYS = 9
"""What `keep` is of a column that never gives way."""


@dataclass(frozen=True)
class Cell:
    """Text, and how it stands out."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True, kw_only=True)
class SheetColumn:
    """A column of a table.

    Args:
        title: Heading.
        cells: One per row.
        keep: Columns with a lower one give way first where a terminal is narrow; see `ALWAYS`.
        align: Alignment.
        wraps: Whether its cells may be broken, as names may and numbers may not.
        short: A narrower form of the same, tried before the column gives way.
        keep_full: As `keep`, for what the short form lacks.
        key: Name of what is shown; empty of what needs no word.
        narrow: Whether it takes no more room than its longest word.
    """

    title: str
    cells: tuple[Cell, ...]
    keep: float = ALWAYS
    align: Align = "right"
    wraps: bool = False
    short: "SheetColumn | None" = None
    keep_full: float = ALWAYS
    key: str = ""
    narrow: bool = False

    def broken(self, keep: float) -> "SheetColumn":
        """Returns it as a column that is broken between words before columns of a higher `keep` give way."""
        return replace(self, short=replace(self, narrow=True), keep_full=keep)


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table.

    Args:
        title: Stands above it; empty for a table that belongs to the one before it.
        columns: All of one length; none where there is nothing to show.
        lines: What a reader must know of this table.
        about: Pairs of a column's key and what a reader must know of that column.
        splits: Where a terminal is narrow, nothing gives way: the table is continued below, with so many of its
            first columns again. 0: columns give way.
    """

    title: str
    columns: tuple[SheetColumn, ...] = ()
    lines: tuple[str, ...] = ()
    about: tuple[tuple[str, str], ...] = ()
    splits: int = 0

    @property
    def all_lines(self) -> tuple[str, ...]:
        """All that is to be said of it."""
        return (*self.lines, *self.lines_about({column.key for column in self.columns}))

    def lines_about(self, keys: Collection[str]) -> tuple[str, ...]:
        """Returns what is to be said of some of its columns."""
        return tuple(line for key, line in self.about if key in keys)

    @property
    def rows(self) -> list[tuple[Cell, ...]]:
        """Its cells, row by row."""
        return list(zip(*(column.cells for column in self.columns), strict=True))


def column_of(
    title: str,
    texts: Sequence[str],
    keep: float = ALWAYS,
    align: Align = "right",
    wraps: bool = False,
    key: str = "",
) -> SheetColumn:
    """Returns a column of plain texts."""
    cells = tuple(Cell(text) for text in texts)
    return SheetColumn(title=title, cells=cells, keep=keep, align=align, wraps=wraps, key=key)
