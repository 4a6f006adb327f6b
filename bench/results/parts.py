"""One Parquet file of a table: written in one step, and read with a clear word where it is damaged."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.errors import ResultsError
from bench.results.place import Place
from bench.results.schema import TABLES, upgrade

SUFFIX = ".parquet"
_NULLABLE = {pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}


class DamagedError(ResultsError):
    """A file of results that cannot be read, by whatever version."""


def part_file(name: str, part: str) -> str:
    """Returns where a part of a table lies within the results."""
    return f"{name}/{part}{SUFFIX}"


def write_table(place: Place, name: str, part: str, table: Any) -> None:
    """Writes an Arrow table; errors as in `Place.write`."""
    # A single row grows by compression, and takes twice as long to read.
    compression = "zstd" if len(table) > 1 else "none"
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression=compression)
    place.write(part_file(name, part), sink.getvalue())


def read_table(place: Place, name: str, part: str) -> Any:
    """Returns a part as an Arrow table in today's columns.

    Args:
        place: Of the results.
        name: Of the table: ``"trials"``, ``"cases"`` or ``"curves"``.
        part: Name of the file, without its suffix.

    Raises:
        FileNotFoundError: If it is not there.
        OSError: If the disk fails or the store cannot be reached.
        ResultsError: If it is damaged, alien or of a newer version.
    """
    return next(read_tables(place, name, [part]))


def read_tables(place: Place, name: str, parts: Sequence[str]) -> Iterator[Any]:
    """Reads many parts, in order; arguments and errors as in `read_table`. Damaged ones are counted."""
    damaged = []
    for _, found in read_each(place, name, parts):
        if isinstance(found, DamagedError):
            damaged.append(found)
        elif not damaged:
            yield found
    if damaged:
        raise DamagedError(_remedy(name, damaged)) from damaged[0]


def read_each(place: Place, name: str, parts: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Reads many parts, in order; yields names with tables, or with what is wrong where a file is damaged.

    Arguments and other errors are as in `read_table`.
    """
    contents = place.read_all(part_file(name, part) for part in parts)
    for part, content in zip(parts, contents, strict=True):
        try:
            yield part, _parse(place, name, part, content)
        except DamagedError as error:
            yield part, error


def _remedy(name: str, damaged: Sequence[DamagedError]) -> str:
    first, more = str(damaged[0]), len(damaged) - 1
    others = f", and so {'is 1 other' if more == 1 else f'are {more:,} others'}" if more else ""
    if name == "trials":
        return f"{first}{others}; `bench run SUITE` sets aside what is damaged, and makes it anew"
    return f"{first}{others}; delete what is damaged: `bench run SUITE` then makes these trials anew"


def _parse(place: Place, name: str, part: str, content: bytes) -> Any:
    path = place / part_file(name, part)
    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            table = file.read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DamagedError(f"{path}: damaged or not Parquet ({reason})") from error
    table = upgrade(name, table, str(path))
    if name == "trials" and len(table) != 1:
        raise DamagedError(f"{path}: damaged: must hold one trial, holds {len(table)}")
    return table


def make_frame(name: str, tables: list[Any]) -> pd.DataFrame:
    """Returns Arrow tables, one after the other, as a frame; typed even if there is none."""
    schema = TABLES[name]
    table = pa.concat_tables(tables) if tables else schema.empty_table()
    frame: pd.DataFrame = table.to_pandas()
    for field in schema:
        if field.nullable and field.type in _NULLABLE:
            frame[field.name] = table[field.name].to_pandas(types_mapper=_NULLABLE.get)
    return frame
