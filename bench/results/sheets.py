"""Writes tables, batch by batch: as CSV, or as Parquet in the layout of results."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from bench.results.cells import FORMULA
from bench.results.folder import Folder
from bench.results.gathered import restore_index
from bench.results.index import PREFIX
from bench.results.parts import part_file
from bench.results.schema import TABLES
from bench.results.transfer import stamped

MOST_ROWS = 2_000_000
"""Case rows in one file: it is read in one piece."""


class Sheets(Protocol):
    """Writes tables into a folder within a `with` block."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def add(self, tables: dict[str, Any]) -> None:
        """Writes rows that belong together.

        Args:
            tables: Arrow tables in today's columns, by name.
        """


class CsvSheets:
    """One CSV file per table; times are ISO 8601 in UTC, nulls are empty, and an apostrophe is before formulas.

    Args:
        folder: It must be there.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._files = ExitStack()
        self._writers: dict[str, Any] = {}

    def __enter__(self) -> Self:
        for name, schema in TABLES.items():
            writer = pyarrow.csv.CSVWriter(self.folder / f"{name}.csv", schema)
            self._writers[name] = self._files.enter_context(writer)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def add(self, tables: dict[str, Any]) -> None:
        """See `Sheets`."""
        for name, table in tables.items():
            self._writers[name].write_table(_marked(table.select(TABLES[name].names).cast(TABLES[name])))


def _marked(table: Any) -> Any:
    """Returns a table in whose texts no spreadsheet sees formulas; see `csv_text`."""
    columns = [
        pc.replace_substring_regex(column, FORMULA, r"'\1") if pa.types.is_string(column.type) else column
        for column in table.columns
    ]
    return pa.Table.from_arrays(columns, schema=table.schema)


class ParquetSheets:
    """Results as compaction leaves them: a folder per table with few files, which `Store` reads.

    Args:
        folder: It must be there.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._group = -1
        self._rows = MOST_ROWS
        self._writers: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        if error is None:
            place = Folder(self.folder)
            restore_index(place)

    def add(self, tables: dict[str, Any]) -> None:
        """See `Sheets`; rows of one trial stand together."""
        if self._rows >= MOST_ROWS:
            self._close()
            self._group, self._rows = self._group + 1, 0
        for name, table in tables.items():
            table = stamped(name, table)
            if name not in self._writers:
                path = self.folder / part_file(name, f"{PREFIX}{self._group:06d}")
                path.parent.mkdir(exist_ok=True)
                self._writers[name] = pq.ParquetWriter(path, table.schema, compression="zstd")
            self._writers[name].write_table(table)
        self._rows += len(tables.get("cases", ()))

    def _close(self) -> None:
        writers, self._writers = self._writers, {}
        for writer in writers.values():
            writer.close()
