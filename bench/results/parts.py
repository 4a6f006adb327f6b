"""One Parquet file of a table: written in one step, and read with a clear word where it is damaged."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.errors import ResultsError
from bench.results.migrations import UNCHANGED_SINCE
from bench.results.place import Place
from bench.results.schema import BESIDE, KEYS, TABLES, upgrade, version_of

SUFFIX = ".parquet"
GROUP_REMEDY = (
    "put it back; or take the trials from a copy: `bench merge COPY -o RESULTS --skip-damaged`; "
    "or make them anew: `bench run SUITE --retry damaged`"
)
THREADS, AT_ONCE = 2, 64
"""Threads that read files, and how many files' bytes are held at a time."""
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
        name: Of the table, one of `TABLES`.
        part: Name of the file, without its suffix.

    Raises:
        FileNotFoundError: If it is not there.
        OSError: If the disk fails or the store cannot be reached.
        ResultsError: If it is damaged, alien or of a newer version.
    """
    return next(read_tables(place, name, [part]))


def read_tables(
    place: Place, name: str, parts: Sequence[str], columns: Sequence[str] | None = None
) -> Iterator[Any]:
    """Reads many parts, in order; arguments and errors as in `read_each`. Damaged ones are counted."""
    damaged = []
    for _, found in read_each(place, name, parts, columns):
        if isinstance(found, DamagedError):
            damaged.append(found)
        elif not damaged:
            yield found
    raise_damaged(name, damaged)


def read_each(
    place: Place, name: str, parts: Sequence[str], columns: Sequence[str] | None = None
) -> Iterator[tuple[str, Any]]:
    """Reads many parts, in order; yields names with tables, or with what is wrong where a file is damaged.

    Arguments and other errors are as in `read_table`; columns are all by default.
    """

    def parse(part: str, content: bytes) -> Any:
        return read_whole(place, name, part, content, columns)

    return zip(parts, parse_each(place, name, parts, parse), strict=True)


def parse_each(
    place: Place, name: str, parts: Sequence[str], parse: Callable[[str, bytes], Any]
) -> Iterator[Any]:
    """Reads many parts, in order; yields what was made of each, or what is wrong where a file is damaged.

    Args:
        place: Of the results.
        name: Of the table.
        parts: Names of files, without their suffix.
        parse: Makes something of a part's name and its content; in several threads.
    """

    def attempt(item: tuple[str, bytes]) -> Any:
        try:
            return parse(*item)
        except DamagedError as error:
            return error

    contents = place.read_all(part_file(name, part) for part in parts)
    items = zip(parts, contents, strict=True)
    with ThreadPoolExecutor(THREADS) as threads:
        while batch := list(islice(items, AT_ONCE)):
            # A thread costs more than a file or two.
            yield from threads.map(attempt, batch) if len(batch) > THREADS else map(attempt, batch)


def raise_damaged(name: str, damaged: Sequence[DamagedError]) -> None:
    """Raises what says how many files of a table are damaged, and what to do, if there are any."""
    if damaged:
        raise DamagedError(_remedy(name, damaged)) from damaged[0]


@contextmanager
def remedy(name: str) -> Iterator[None]:
    """Says of a damaged group of a table what to do."""
    try:
        yield
    except DamagedError as error:
        raise DamagedError(say_group(name, error)) from error


def say_group(name: str, error: DamagedError) -> str:
    """Says of a damaged group of a table what to do."""
    return f"{error}; {group_remedy(name)}"


def group_remedy(name: str) -> str:
    """Says what to do about a damaged or lost file of many rows of a table; deleting it is no remedy."""
    if name in KEYS:
        return "put it back, or let `bench run SUITE` set it aside: no trial depends on it"
    if name == "curves":
        return "put it back, or let `bench run SUITE` go on without these learning curves"
    return GROUP_REMEDY


def _remedy(name: str, damaged: Sequence[DamagedError]) -> str:
    first, more = str(damaged[0]), len(damaged) - 1
    others = f", and so {'is 1 other' if more == 1 else f'are {more:,} others'}" if more else ""
    if name in KEYS:
        return f"{first}{others}; delete what is damaged: no trial depends on it"
    return f"{first}{others}; `bench run SUITE` sets aside what is damaged, and makes it anew"


def read_whole(
    place: Place, name: str, part: str, content: bytes, columns: Sequence[str] | None = None
) -> Any:
    """Returns what is in a part's file as an Arrow table in today's columns; errors as in `read_table`."""
    where = str(place / part_file(name, part))
    with open_part(place, name, part, pa.BufferReader(content)) as file:
        if columns is None:
            table = upgrade(name, file.read(use_threads=False), where)
        else:
            table = read_columns(file, name, where, columns)
    if name not in BESIDE and len(table) != 1:
        raise DamagedError(f"{where}: damaged: must hold one {name.removesuffix('s')}, holds {len(table)}")
    return table


def read_columns(
    file: pq.ParquetFile, name: str, where: str, columns: Sequence[str], blocks: Sequence[int] | None = None
) -> Any:
    """Reads some of today's columns; arguments beside these and errors as in `upgrade`.

    Args:
        file: Of the table, open.
        name: Of the table.
        where: File, for messages.
        columns: In this order.
        blocks: Numbers of row groups; all by default.
    """
    numbers = range(file.metadata.num_row_groups) if blocks is None else blocks
    schema = file.schema_arrow
    today = version_of(schema, where) >= UNCHANGED_SINCE[name]
    if today and set(schema.names) == set(TABLES[name].names):
        return file.read_row_groups(list(numbers), list(columns), use_threads=False).select(list(columns))
    return upgrade(name, file.read_row_groups(list(numbers), use_threads=False), where).select(list(columns))


@contextmanager
def open_part(
    place: Place, name: str, part: str, source: Any, coded: Sequence[str] = ()
) -> Iterator[pq.ParquetFile]:
    """Opens what is in a file of a table; what is damaged says so, also while it is read.

    Args:
        place: Of the results.
        name: Of the table.
        part: Name of the file, without its suffix.
        source: Its content, for Arrow to read.
        coded: Text columns that are to be read as dictionaries.
    """
    try:
        with _opened(source, coded) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            # The disk's fault, or that of what lies between; the file may be whole.
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        where = place / part_file(name, part)
        raise DamagedError(f"{where}: damaged or not Parquet ({reason})") from error


def _opened(source: Any, coded: Sequence[str]) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(source, read_dictionary=list(coded))
    except KeyError:
        # An older version had no such column.
        source.seek(0)
        return pq.ParquetFile(source)


def make_frame(name: str, tables: list[Any], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Returns Arrow tables, one after the other, as a frame; typed even if there is none.

    Args:
        name: Of the table.
        tables: With these columns.
        columns: Of the frame; all by default.
    """
    schema = pa.schema([TABLES[name].field(column) for column in columns or TABLES[name].names])
    table = pa.concat_tables(tables) if tables else schema.empty_table()
    frame: pd.DataFrame = table.to_pandas()
    for field in schema:
        if field.nullable and field.type in _NULLABLE:
            frame[field.name] = table[field.name].to_pandas(types_mapper=_NULLABLE.get)
    return frame
