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
class Additions:
    """What became of rows that were to be added to a trial's.

    Args:
        added: Rows that were not there.
        same: How many were there, with the same value.
        conflicts: Those that are there with another value, in words; if there is one, nothing is added.
    """

    added: tuple[Row, ...]
    same: int
    conflicts: tuple[str, ...]


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
    conflicts, same = [], 0
    for row in rows:
        key = tuple(row[name] for name in KEY)
        if key in added:
            raise ValueError(f"cases rows must differ in {', '.join(KEY)}; twice: {key}")
        if key not in known:
            added[key] = row
            continue
        status, value = known[key]
        if status == row["status"] and _equal(value, row["value"]):
            same += 1
        else:
            part, case, label, _, definition = key
            conflicts.append(
                f"{part} {case} {label}: {definition} is {_shown(status, value)}, now "
                f"{_shown(row['status'], row['value'])}"
            )
    return Additions(tuple(added.values()), same, tuple(conflicts))


def with_rows(table: Any, rows: Sequence[Row]) -> Any:
    """Returns a cases table with rows after its own; errors as in `make_table`."""
    added = make_table("cases", rows)
    # Its schema carries the version.
    return pa.concat_tables([table.cast(added.schema), added]).combine_chunks()


def _equal(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    if math.isnan(first) or math.isnan(second):
        return math.isnan(first) and math.isnan(second)
    return first == second or math.isclose(first, second, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def _shown(status: str, value: float | None) -> str:
    number = "null" if value is None else f"{value:.12g}"
    return number if status == "ok" else f"{number} ({status})"
