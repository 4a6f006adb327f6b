"""How older files become tables in today's columns, one version at a time."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from bench.results.columns import COST

Migration = Callable[[str, Any], Any]


def _add_cost(name: str, table: Any) -> Any:
    if name == "trials":
        for column, kind in COST.items():
            table = table.append_column(column, pa.nulls(len(table), kind))
    return table


def _add_phase(name: str, table: Any) -> Any:
    if name == "cases":
        table = table.append_column("phase", pa.array([""] * len(table), pa.string()))
    return table


def _add_node(name: str, table: Any) -> Any:
    if name == "trials":
        table = table.append_column("node", pa.nulls(len(table), pa.string()))
    return table


def _add_run(name: str, table: Any) -> Any:
    if name == "trials":
        table = table.append_column("run", pa.nulls(len(table), pa.string()))
        table = table.append_column("case_s", pa.nulls(len(table), pa.float64()))
    return table


MIGRATIONS: dict[int, Migration] = {1: _add_cost, 2: _add_phase, 3: _add_node, 4: _add_run}
"""From version v: a function of the table's name and its Arrow table, returning that of version v + 1."""

UNCHANGED_SINCE = {"trials": 5, "cases": 3, "curves": 1, "runs": 5, "studies": 5, "env": 5}
"""By table, the version from which on a file's columns are today's."""
