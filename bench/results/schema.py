"""Results tables: rows are checked on their way in, and older files are brought up to date on their way out."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from bench.errors import ResultsError
from bench.results.columns import (
    BESIDE,
    CASES,
    CHOICES,
    CURVES,
    ENV,
    KEYS,
    RUN_ENDS,
    RUNS,
    STUDIES,
    TABLES,
    TRIAL_STATUSES,
    TRIALS,
    UNDECIDED,
    VALUE_STATUSES,
)
from bench.results.migrations import MIGRATIONS

__all__ = [
    "BESIDE",
    "CASES",
    "CHOICES",
    "CURVES",
    "ENV",
    "KEYS",
    "MIGRATIONS",
    "RUNS",
    "RUN_ENDS",
    "SCHEMA_VERSION",
    "STUDIES",
    "TABLES",
    "TRIALS",
    "TRIAL_STATUSES",
    "UNDECIDED",
    "VALUE_STATUSES",
    "VERSION_KEY",
    "make_table",
    "stamped_schema",
    "upgrade",
    "version_of",
]

SCHEMA_VERSION = 5
VERSION_KEY = b"medseg_bench.schema_version"


def make_table(name: str, rows: Iterable[Mapping[str, Any]]) -> Any:
    """Checks rows and returns them as an Arrow table that carries the schema version.

    Args:
        name: One of `TABLES`.
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
    return pa.Table.from_arrays(arrays, schema=stamped_schema(name))


def stamped_schema(name: str) -> Any:
    """Returns a table's Arrow schema as files carry it: with the version."""
    return TABLES[name].with_metadata({VERSION_KEY: str(SCHEMA_VERSION)})


def upgrade(name: str, table: Any, where: str) -> Any:
    """Brings a table that was read from a file to today's schema.

    Args:
        name: One of `TABLES`.
        table: Arrow table with its file's schema metadata.
        where: File, for messages.

    Raises:
        ResultsError: If the file is not one of ours, or was written by a newer version.
    """
    version = version_of(table.schema, where)
    for step in range(version, SCHEMA_VERSION):
        if step not in MIGRATIONS:
            raise ResultsError(f"{where}: results schema {version} can no longer be read")
        table = MIGRATIONS[step](name, table)
    schema = TABLES[name]
    if table.schema.equals(schema):
        return table
    if set(table.column_names) != set(schema.names):
        raise ResultsError(
            f"{where}: not a {name} file of medseg-bench: {_difference(table.column_names, schema.names)}"
        )
    table = table.select(schema.names).replace_schema_metadata(None)
    # To cast forty columns of a row takes longer than to read it.
    return table if table.schema.equals(schema) else table.cast(schema)


def version_of(schema: Any, where: str) -> int:
    """Returns the version of the results schema that a file says it has; arguments and errors as in `upgrade`."""
    stamp = (schema.metadata or {}).get(VERSION_KEY, b"")
    if not stamp.isdigit():
        raise ResultsError(f"{where}: not a results file of medseg-bench; move it out of the results folder")
    version = int(stamp)
    if version > SCHEMA_VERSION:
        raise ResultsError(
            f"{where}: written with results schema {version}, this medseg-bench reads up to {SCHEMA_VERSION}; "
            "install a newer one"
        )
    return version


def _difference(got: Iterable[str], expected: Iterable[str]) -> str:
    got, expected = set(got), set(expected)
    parts = [("missing", expected - got), ("unknown", got - expected)]
    return "; ".join(f"{word} column {', '.join(sorted(names))}" for word, names in parts if names)
