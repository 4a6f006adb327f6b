"""Columns as small whole numbers, so that millions of rows are counted by arithmetic and not by hashing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Codes = NDArray[np.integer]

BLOCK = 1 << 18
"""Rows that are worked on at a time: memory that is used again is faster than new one."""

SPAN = 10_000
"""Up to which whole numbers are their own codes."""

DENSE = 4
"""Combinations per row up to which a table of all combinations is kept; beyond it they are sorted."""


@dataclass(frozen=True)
class Combined:
    """The distinct combinations of several columns.

    Args:
        codes: Which combination each row has, (rows,).
        parts: By column, the code of each combination, (combinations,); in the order of the columns' words.
        words: By column, what its codes mean, sorted; some may not occur.
    """

    codes: Codes
    parts: dict[str, Codes]
    words: dict[str, pd.Index]

    @property
    def number(self) -> int:
        """How many combinations there are."""
        return len(next(iter(self.parts.values())))

    def frame(self) -> pd.DataFrame:
        """Returns the combinations, one per row, with the columns' own values."""
        return pd.DataFrame({name: self.words[name].take(part) for name, part in self.parts.items()})


def column_codes(column: pd.Series) -> tuple[Codes, pd.Index]:
    """Returns a column as codes (rows,) into words, and these sorted; -1 where there is no value.

    Some words may not occur: of a categorical column all are kept, of whole numbers all within their span.
    """
    if pd.api.types.is_integer_dtype(column.dtype) and isinstance(column.dtype, np.dtype) and len(column):
        low, high = column.min(), column.max()
        if high - low < SPAN:
            return column.to_numpy() - low, pd.RangeIndex(low, high + 1)
    if not isinstance(column.dtype, pd.CategoricalDtype):
        numbers, found = pd.factorize(column, sort=True)
        return numbers, pd.Index(found)
    codes: Codes = column.cat.codes.to_numpy()
    words = column.cat.categories
    if words.is_monotonic_increasing:
        return codes, words
    order = words.argsort()
    place = np.full(len(words) + 1, -1, np.int32)
    place[order] = np.arange(len(words))
    return pick(place, codes), words[order]


def combine(rows: pd.DataFrame, columns: Sequence[str]) -> Combined:
    """Finds the distinct combinations of columns, sorted by the first, then the second, and so on.

    Args:
        rows: Rows with values in all of the columns.
        columns: One or several names.

    Raises:
        ValueError: If a column has no value somewhere.
    """
    words: dict[str, pd.Index] = {}
    found = _Found(len(rows))
    for name in columns:
        codes, words[name] = column_codes(rows[name])
        if len(codes) and codes.min() < 0:
            raise ValueError(f"column {name} must have a value in every row")
        found.add(name, codes, max(len(words[name]), 1))
    found.compress()
    return Combined(found.key, found.parts, words)


def pick(values: NDArray[Any], codes: Codes) -> NDArray[Any]:
    """Returns ``values[codes]``; by blocks, as numpy makes an array of wide codes first."""
    result = np.empty(len(codes), values.dtype)
    for start in range(0, len(codes), BLOCK):
        result[start : start + BLOCK] = values[codes[start : start + BLOCK]]
    return result


class _Found:
    """Combinations of the columns so far: a key per row, which is made small only where it must be."""

    def __init__(self, rows: int):
        self.key: Codes = np.zeros(rows, np.int8)
        self.parts: dict[str, Codes] = {}
        self._limit = DENSE * rows + 1_000_000
        self._number = 1
        self._fresh: dict[str, int] = {}

    def add(self, name: str, codes: Codes, size: int) -> None:
        if self._fresh and self._number * size > self._limit:
            self.compress()
        if self._number == 1:
            self.key = codes
        else:
            self.key = _times_plus(self.key, codes, size, _whole(self._number * size))
        self._number *= size
        self._fresh[name] = size

    def compress(self) -> None:
        found, self.key = _compressed(self.key, self._number, self._limit)
        self._number = len(found)
        fresh: dict[str, Codes] = {}
        for name, size in reversed(self._fresh.items()):
            found, fresh[name] = np.divmod(found, size)
        known = {name: part[found] for name, part in self.parts.items()}
        self.parts, self._fresh = known | dict(reversed(fresh.items())), {}


def _times_plus(key: Codes, codes: Codes, size: int, kind: type[np.integer]) -> Codes:
    """Returns ``key * size + codes``; by blocks, so that no second array of all rows is needed."""
    result = np.empty(len(key), kind)
    for start in range(0, len(key), BLOCK):
        block = slice(start, start + BLOCK)
        np.multiply(key[block], size, out=result[block], dtype=kind, casting="unsafe")
        result[block] += codes[block].astype(kind)
    return result


def _whole(size: int) -> type[np.integer]:
    return np.int32 if size <= np.iinfo(np.int32).max else np.int64


def _compressed(key: Codes, size: int, limit: int) -> tuple[Codes, Codes]:
    """Returns the keys that occur, sorted, and the rows' places among them."""
    if size > limit:
        return np.unique(key, return_inverse=True)
    there = np.zeros(size, bool)
    for start in range(0, len(key), BLOCK):
        there[key[start : start + BLOCK]] = True
    found = np.flatnonzero(there)
    if len(found) == size:
        return found, key
    place = np.cumsum(there, dtype=np.int32) - 1
    return found, pick(place, key)
