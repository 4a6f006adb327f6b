"""Case rows at scale: texts as codes into one list of words per column, so that millions of rows stay small."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.results.groups import read_group
from bench.results.index import Index
from bench.results.parts import (
    DamagedError,
    open_part,
    parse_each,
    part_file,
    raise_damaged,
    read_columns,
    remedy,
)
from bench.results.place import Place
from bench.results.schema import TABLES


def read_coded(
    place: Place, name: str, parts: Sequence[str], packed: Index, columns: Sequence[str], only: str | None
) -> Any:
    """Reads columns of many trials as one Arrow table.

    Args:
        place: Of the results.
        name: Of the table.
        parts: Names of files, without their suffix.
        packed: What else is wanted, of groups.
        columns: In this order.
        only: Keep the rows whose column ``part`` is this; all by default.

    Returns:
        The rows of the parts in their order, then those of the groups. Texts are dictionaries with the narrowest
        codes that do, one and the same dictionary in all chunks of a column, its words in the order in which they
        came.

    Raises:
        FileNotFoundError: If a part is not there.
        ResultsError: If one is damaged, alien or of a newer version.
    """
    coder, damaged = Coder(name, columns), []
    for found in read_coded_parts(place, name, parts, columns, only):
        if isinstance(found, DamagedError):
            damaged.append(found)
        elif not damaged:
            coder.add(found)
    raise_damaged(name, damaged)
    for group, rows in packed.groups():
        with remedy(name):
            coder.add(read_coded_group(place, name, group, rows.spans(name), columns, only))
    return coder.table()


def read_coded_parts(
    place: Place, name: str, parts: Sequence[str], columns: Sequence[str] = (), only: str | None = None
) -> Iterator[Any]:
    """Reads parts; yields their tables, or what is wrong where one is damaged.

    Other errors and arguments are as in `read_coded`, but that no columns mean all; each table has dictionaries of
    its own.
    """
    columns = columns or TABLES[name].names
    return parse_each(
        place, name, parts, lambda part, content: _read(place, name, part, content, columns, only)
    )


def read_coded_group(
    place: Place,
    name: str,
    group: str,
    spans: tuple[Any, Any],
    columns: Sequence[str] = (),
    only: str | None = None,
) -> Any:
    """Returns rows of a group; arguments and errors as in `read_group` and `read_coded_parts`."""
    columns = columns or TABLES[name].names
    table = read_group(place, name, group, spans, _with_part(columns, only), text_columns(name))
    return _only(table, name, columns, only)


def _read(
    place: Place, name: str, part: str, content: bytes, columns: Sequence[str], only: str | None
) -> Any:
    with open_part(place, name, part, pa.BufferReader(content), text_columns(name)) as file:
        table = read_columns(file, name, str(place / part_file(name, part)), _with_part(columns, only))
    return _only(table, name, columns, only)


def _with_part(columns: Sequence[str], only: str | None) -> list[str]:
    return list(columns) if only is None else list(dict.fromkeys([*columns, "part"]))


def _only(table: Any, name: str, columns: Sequence[str], only: str | None) -> Any:
    coded = _coded(name, tuple(table.column_names))
    if not table.schema.equals(coded):
        # What was read of an older version is plain.
        table = table.cast(coded)
    if only is not None and _words(table["part"]) != {only}:
        table = table.filter(pc.equal(table["part"].cast(pa.string()), only))
    return table.select(list(columns))


@cache
def text_columns(name: str) -> tuple[str, ...]:
    """Returns the text columns of a table."""
    return tuple(field.name for field in TABLES[name] if _is_text(field))


@cache
def _coded(name: str, columns: tuple[str, ...]) -> Any:
    fields = [TABLES[name].field(column) for column in columns]
    text = pa.dictionary(pa.int32(), pa.string())
    return pa.schema([field.with_type(text) if _is_text(field) else field for field in fields])


def _is_text(field: Any) -> bool:
    return bool(pa.types.is_string(field.type))


def _words(column: Any) -> set[str]:
    return {word for chunk in column.chunks for word in chunk.dictionary.to_pylist()}


class Coder:
    """Gathers tables with dictionaries, one at a time, so that what is held is narrow.

    Args:
        name: Of the table.
        columns: Those of the tables that are going to come.
    """

    def __init__(self, name: str, columns: Sequence[str]):
        self._columns = {column: _Column(TABLES[name].field(column)) for column in columns}

    def add(self, table: Any) -> None:
        """Takes the rows of a table."""
        for column, gathered in zip(table.columns, self._columns.values(), strict=True):
            for chunk in column.chunks:
                gathered.add(chunk)

    def table(self) -> Any:
        """Returns all rows."""
        return pa.table({name: gathered.array() for name, gathered in self._columns.items()})


class _Column:
    """Gathers the chunks of a column; texts as codes into all words so far."""

    def __init__(self, field: Any):
        self._type = field.type
        self._text = _is_text(field)
        self._words: dict[str, int] = {}
        self._chunks: list[Any] = []
        self._dictionary: Any = None
        self._codes: Any = None

    def add(self, chunk: Any) -> None:
        if not self._text:
            self._chunks.append(chunk)
            return
        # One trial after the other has the same cases, labels and metrics.
        if self._dictionary is None or not chunk.dictionary.equals(self._dictionary):
            words, self._dictionary = self._words, chunk.dictionary
            codes = [words.setdefault(word, len(words)) for word in chunk.dictionary.to_pylist()]
            self._codes = np.array(codes, np.min_scalar_type(-max(1, len(words))))
        self._chunks.append(self._codes[chunk.indices.to_numpy()])

    def array(self) -> Any:
        if not self._text:
            return pa.chunked_array(self._chunks, self._type)
        width = _width(self._words)
        codes = np.concatenate(
            [np.empty(0, width.to_pandas_dtype()), *self._chunks], dtype=width.to_pandas_dtype()
        )
        self._chunks.clear()
        return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(list(self._words), pa.string()))


def _width(words: dict[str, int]) -> Any:
    return pa.from_numpy_dtype(np.min_scalar_type(-max(1, len(words))))
