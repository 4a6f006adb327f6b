"""Case rows that come later: what is new, what is there already, and what contradicts it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from bench.results.schema import make_table

KEY = ("part", "case", "label", "metric", "definition")
RELATIVE, ABSOLUTE = 2e-6, 1e-12
"""How far two computations of one number may lie apart: spacings were rounded to 6 decimals of a mm before."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class CaseConflict:
    """Two values of the same.

    Args:
        where: Part, case, label and definition.
        first: Status and value that are there.
        second: Status and value that were to be added.
    """

    where: str
    first: tuple[str, float | None]
    second: tuple[str, float | None]

    def __str__(self) -> str:
        first, second = self.shown()
        return f"{self.where} is {first}, now {second}"

    def shown(self) -> tuple[str, str]:
        """Returns both values, with enough digits to differ."""
        (status, value), (other_status, other) = self.first, self.second
        numbers = apart(value, other)
        first, second = (
            number if one == "ok" else f"{number} ({one})"
            for number, one in zip(numbers, (status, other_status), strict=True)
        )
        return first, second


@dataclass(frozen=True)
class Additions:
    """What became of rows that were to be added to a trial's.

    Args:
        added: Rows that were not there.
        same: How many were there, with the same value.
        differences: Those that are there with another value; if there is one, nothing is added.
    """

    added: tuple[Row, ...]
    same: int
    differences: tuple[CaseConflict, ...]

    @property
    def conflicts(self) -> tuple[str, ...]:
        """The differences in words."""
        return tuple(map(str, self.differences))


def compare_cases(table: Any, rows: Sequence[Row]) -> Additions:
    """Compares rows with those of a cases table; a definition must not change its numbers.

    Args:
        table: Arrow table of one trial's case rows.
        rows: Rows of the cases table.

    Raises:
        ValueError: If two of the rows are of the same part, case, label, metric and definition.
    """
    columns = [table[name].to_pylist() for name in (*KEY, "status", "value")]
    known = {cells[: len(KEY)]: cells[len(KEY) :] for cells in zip(*columns, strict=True)}
    added: dict[tuple[Any, ...], Row] = {}
    differences: list[CaseConflict] = []
    same = 0
    for row in rows:
        key = tuple(row[name] for name in KEY)
        if key in added:
            raise ValueError(f"cases rows must differ in {', '.join(KEY)}; twice: {key}")
        if key not in known:
            added[key] = row
            continue
        status, value = known[key]
        if status == row["status"] and same_number(value, row["value"]):
            same += 1
        else:
            part, case, label, _, definition = key
            where = f"{part} {case} {label}: {definition}"
            differences.append(CaseConflict(where, known[key], (row["status"], row["value"])))
    return Additions(tuple(added.values()), same, tuple(differences))


def with_rows(table: Any, rows: Sequence[Row]) -> Any:
    """Returns a cases table with rows after its own; errors as in `make_table`."""
    added = make_table("cases", rows)
    # Its schema carries the version.
    return pa.concat_tables([table.cast(added.schema), added]).combine_chunks()


def same_number(first: float | None, second: float | None) -> bool:
    """Says whether two computations of one number agree; NaN agrees with NaN, null with null."""
    if first is None or second is None:
        return first is second
    if math.isnan(first) or math.isnan(second):
        return math.isnan(first) and math.isnan(second)
    return first == second or math.isclose(first, second, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def apart(first: float | None, second: float | None) -> tuple[str, str]:
    """Writes two numbers with as many digits as tell them apart, three at least."""
    if first is None or second is None or first == second:
        one, other = ("null" if value is None else f"{value:.12g}" for value in (first, second))
        return one, other
    digits = next((n for n in range(3, 17) if f"{first:.{n}g}" != f"{second:.{n}g}"), 17)
    return f"{first:.{digits}g}", f"{second:.{digits}g}"
