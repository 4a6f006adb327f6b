"""Columns of the results tables, their words, and how older files are read. See docs/results_schema.md."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pyarrow as pa

from bench.errors import ResultsError

SCHEMA_VERSION = 4
VERSION_KEY = b"medseg_bench.schema_version"

TRIAL_STATUSES = (
    "complete",
    "interrupted",
    "diverged",
    "pruned",
    "oom",
    "timeout",
    "data_error",
    "crashed",
    "infra_lost",
)
UNDECIDED = ("interrupted", "infra_lost")
"""Statuses that say nothing about the trial itself; they never take the place of a result."""

VALUE_STATUSES = ("ok", "both_empty", "reference_empty", "prediction_empty", "missing", "failed")

_TIME = pa.timestamp("us", tz="UTC")

# What version 2 added to `trials`.
_COST: dict[str, Any] = {
    "gmacs": pa.float64(),
    "samples_per_s": pa.float64(),
    "data_share": pa.float64(),
    "compute_share": pa.float64(),
    "validation_share": pa.float64(),
    "peak_memory_mb": pa.float64(),
    "energy_j": pa.float64(),
    "micro_batch": pa.int32(),
    "processes": pa.int32(),
    "compiled": pa.bool_(),
    "memory_format": pa.string(),
    "notes": pa.string(),
}


def _columns(required: Mapping[str, Any], optional: Mapping[str, Any]) -> Any:
    fields = [pa.field(name, kind, nullable=False) for name, kind in required.items()]
    return pa.schema(fields + [pa.field(name, kind) for name, kind in optional.items()])


TRIALS = _columns(
    {
        "trial": pa.string(),
        "suite": pa.string(),
        "study": pa.string(),
        "phase": pa.string(),
        "number": pa.int32(),
        "setting": pa.string(),
        "setting_json": pa.string(),
        "spec_json": pa.string(),
        "task": pa.string(),
        "model": pa.string(),
        "loss": pa.string(),
        "entry": pa.string(),
        "fold": pa.int32(),
        "seed": pa.int64(),
        "status": pa.string(),
        "detail": pa.string(),
        "attempt": pa.int32(),
        "metric": pa.string(),
        "epochs": pa.int32(),
        "batch_size": pa.int32(),
        "precision": pa.string(),
        "device": pa.string(),
        "code": pa.string(),
        "data": pa.string(),
        "split": pa.string(),
        "versions_json": pa.string(),
        "started_at": _TIME,
        "finished_at": _TIME,
    },
    {
        "value": pa.float64(),
        "parameters": pa.int64(),
        "best_epoch": pa.int32(),
        "steps": pa.int64(),
        "wall_s": pa.float64(),
        "train_s": pa.float64(),
        "device_s": pa.float64(),
        **_COST,
        # Since version 4.
        "node": pa.string(),
    },
)

CASES = _columns(
    {
        "trial": pa.string(),
        "code": pa.string(),
        "attempt": pa.int32(),
        "part": pa.string(),
        "case": pa.string(),
        "patient": pa.string(),
        "subgroup": pa.string(),
        # Since version 3.
        "phase": pa.string(),
        "label": pa.string(),
        "metric": pa.string(),
        "definition": pa.string(),
        "status": pa.string(),
        "unit": pa.string(),
        "diagonal": pa.float64(),
    },
    {"value": pa.float64()},
)

CURVES = _columns(
    {
        "trial": pa.string(),
        "code": pa.string(),
        "attempt": pa.int32(),
        "epoch": pa.int32(),
        "step": pa.int64(),
    },
    {
        "train_loss": pa.float64(),
        "learning_rate": pa.float64(),
        "score": pa.float64(),
        "wall_s": pa.float64(),
    },
)

TABLES: dict[str, Any] = {"trials": TRIALS, "cases": CASES, "curves": CURVES}

CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "trials": {"status": TRIAL_STATUSES, "phase": ("tune", "final")},
    "cases": {
        "status": VALUE_STATUSES,
        "part": ("validation", "test"),
        "phase": ("ED", "ES", ""),
        "unit": ("mm", "px", "mL", ""),
    },
    "curves": {},
}
"""Columns that hold one of a few words."""

Migration = Callable[[str, Any], Any]


def _add_cost(name: str, table: Any) -> Any:
    if name == "trials":
        for column, kind in _COST.items():
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


MIGRATIONS: dict[int, Migration] = {1: _add_cost, 2: _add_phase, 3: _add_node}
"""From version v: a function of the table's name and its Arrow table, returning that of version v + 1."""


def make_table(name: str, rows: Iterable[Mapping[str, Any]]) -> Any:
    """Checks rows and returns them as an Arrow table that carries the schema version.

    Args:
        name: ``"trials"``, ``"cases"`` or ``"curves"``.
        rows: Rows with exactly the table's columns.

    Raises:
        ValueError: If a row lacks a column, has one too many, or a value is of the wrong type or not one of
            the column's words.
    """
    schema, listed = TABLES[name], list(rows)
    expected = set(schema.names)
    for number, row in enumerate(listed):
        if row.keys() != expected:
            raise ValueError(f"{name} row {number}: {_difference(row.keys(), expected)}")
        for column, choices in CHOICES[name].items():
            if row[column] not in choices:
                raise ValueError(
                    f"{name} row {number}: {column} must be one of {', '.join(map(repr, choices))}, "
                    f"got {row[column]!r}"
                )
    arrays = []
    for field in schema:
        values = [row[field.name] for row in listed]
        if not field.nullable and None in values:
            raise ValueError(f"{name} row {values.index(None)}: {field.name} must not be empty")
        try:
            arrays.append(pa.array(values, field.type))
        except (pa.ArrowException, TypeError, OverflowError) as error:
            raise ValueError(f"{name}: column {field.name} must be {field.type}: {error}") from error
    return pa.Table.from_arrays(arrays, schema=schema.with_metadata({VERSION_KEY: str(SCHEMA_VERSION)}))


def upgrade(name: str, table: Any, where: str) -> Any:
    """Brings a table that was read from a file to today's schema.

    Args:
        name: ``"trials"``, ``"cases"`` or ``"curves"``.
        table: Arrow table with its file's schema metadata.
        where: File, for messages.

    Raises:
        ResultsError: If the file is not one of ours, or was written by a newer version.
    """
    stamp = (table.schema.metadata or {}).get(VERSION_KEY, b"")
    if not stamp.isdigit():
        raise ResultsError(f"{where}: not a results file of medseg-bench; move it out of the results folder")
    version = int(stamp)
    if version > SCHEMA_VERSION:
        raise ResultsError(
            f"{where}: written with results schema {version}, this medseg-bench reads up to {SCHEMA_VERSION}; "
            "install a newer one"
        )
    for step in range(version, SCHEMA_VERSION):
        if step not in MIGRATIONS:
            raise ResultsError(f"{where}: results schema {version} can no longer be read")
        table = MIGRATIONS[step](name, table)
    schema = TABLES[name]
    if set(table.column_names) != set(schema.names):
        raise ResultsError(
            f"{where}: not a {name} file of medseg-bench: {_difference(table.column_names, schema.names)}"
        )
    return table.select(schema.names).cast(schema)


def _difference(got: Iterable[str], expected: Iterable[str]) -> str:
    got, expected = set(got), set(expected)
    parts = [("missing", expected - got), ("unknown", got - expected)]
    return "; ".join(f"{word} column {', '.join(sorted(names))}" for word, names in parts if names)
