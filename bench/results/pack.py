"""Writes a group: the rows of many trials, from files of their own and from other groups, one file per table."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.errors import ResultsError
from bench.results.coded import Coder, read_coded_group, read_coded_parts
from bench.results.groups import index_row, read_group
from bench.results.index import PREFIX, Index
from bench.results.names import attempt_of, part_name
from bench.results.parts import AT_ONCE, SUFFIX, DamagedError, part_file, read_each
from bench.results.place import Place
from bench.results.schema import BESIDE, TABLES, UNDECIDED, stamped_schema

MOST_CASES = 4_000_000
"""Case rows of a group, about: what is held in memory to write one."""
BLOCK = 2**17
"""Rows that are compressed together, and can be read without the others."""
SORTED_BY = ("phase", "task", "entry", "trial", "code")
"""What is read together lies together: the final trials of a task."""


@dataclass(frozen=True)
class Packed:
    """What went into a group.

    Args:
        rows: Of the index.
        attempts: Trials that had files of their own, with their attempts.
        left: Trials that found no room.
        skipped: What is damaged and stays where it is, in words.
    """

    rows: list[dict[str, Any]]
    attempts: Mapping[str, int]
    left: list[str]
    skipped: list[str]


def pack(place: Place, loose: Sequence[str], packed: Index, there: Mapping[str, Any]) -> Packed:
    """Writes a group. Nothing is committed, and nothing removed.

    Args:
        place: Of the results.
        loose: Trials in files of their own.
        packed: Trials of other groups.
        there: Files in the folders of cases and curves.

    Raises:
        FileNotFoundError: If a file has gone in the meantime.
        OSError: If the disk is full or read-only, or the store cannot be reached; what was written is removed.
        ResultsError: If a part is alien or of a newer version, or what was written cannot be read back.
    """
    group = f"{PREFIX}{secrets.token_hex(8)}"
    gathering = _Gathering(place, there)
    gathering.take_groups(packed)
    gathering.take(loose)
    if gathering.count == len(gathering.bad):
        return Packed([], {}, gathering.left, gathering.skipped)
    try:
        rows = gathering.write(group)
    except BaseException:
        with suppress(OSError, ResultsError):
            place.delete_all(part_file(name, group) for name in ("trials", *BESIDE))
        raise
    return Packed(rows, gathering.attempts, gathering.left, gathering.skipped)


@dataclass
class _Gathering:
    """Trials on their way into a group; they are numbered in the order in which they come."""

    place: Place
    there: Mapping[str, Any]
    attempts: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    trials: list[Any] = field(default_factory=list)
    count: int = 0
    bad: set[int] = field(default_factory=set)
    beside: dict[str, "_Rows"] = field(default_factory=lambda: {name: _Rows(name) for name in BESIDE})

    def take(self, loose: Sequence[str]) -> None:
        """Takes trials in files of their own, as many as there is room for."""
        rows = _Pieces()
        whole: list[tuple[str, int]] = []
        for part, table in read_each(self.place, "trials", loose):
            if self._is_whole(part, table):
                whole.append((part, table["attempt"][0].as_py()))
                rows.add(table)
        attempts = [attempt_of(part, attempt) for part, attempt in whole]
        taken = 0
        for found in read_coded_parts(self.place, "cases", attempts):
            self._add("cases", self.count + taken, found)
            taken += 1
            if self.beside["cases"].count > MOST_CASES:
                break
        for number, found in enumerate(read_coded_parts(self.place, "curves", attempts[:taken])):
            self._add("curves", self.count + number, found)
        good = (number for number in range(taken) if self.count + number not in self.bad)
        self.attempts |= dict(whole[number] for number in good)
        self.left = [part for part, _ in whole[taken:]]
        self.trials += rows.first(taken)
        self.count += taken

    def take_groups(self, packed: Index) -> None:
        """Takes trials of other groups."""
        for group, rows in packed.groups():
            table = read_group(self.place, "trials", group, rows.spans("trials"))
            # In the order of the file, as they are read.
            order = pc.sort_indices(rows.rows, [("row", "ascending")])
            numbers = np.arange(self.count, self.count + len(table))
            for name, beside in self.beside.items():
                _, counts = Index(rows.rows.take(order)).spans(name)
                beside.add(
                    read_coded_group(self.place, name, group, rows.spans(name)), np.repeat(numbers, counts)
                )
            self.trials.append(table)
            self.count += len(table)

    def write(self, group: str) -> list[dict[str, Any]]:
        """Writes all that was taken; returns the rows of the index."""
        trials = pa.concat_tables([TABLES["trials"].empty_table(), *self.trials]).combine_chunks()
        order = pc.sort_indices(trials, [(name, "ascending") for name in SORTED_BY]).to_numpy()
        order = order[~np.isin(order, list(self.bad))]
        ranks = np.full(len(trials), -1)
        ranks[order] = np.arange(len(order))
        spans = {name: rows.write(self.place, group, ranks, len(order)) for name, rows in self.beside.items()}
        trials = trials.take(pa.array(order))
        write_group(self.place, "trials", group, [trials])
        columns = trials.select(["trial", "code", "attempt", "status"]).to_pylist()
        rows = []
        for number, row in enumerate(columns):
            more = {"status": row["status"], "attempt": row["attempt"]}
            for name, (starts, counts) in spans.items():
                more |= {f"{name}_from": int(starts[number]), f"{name}_rows": int(counts[number])}
            rows.append(index_row("trials", part_name(row), group, number, len(columns), **more))
        return rows

    def _is_whole(self, part: str, table: Any) -> bool:
        if isinstance(table, DamagedError):
            self.skipped.append(str(table))
            return False
        if table["status"][0].as_py() in UNDECIDED:
            # Another attempt is going to replace it.
            return False
        files = [(name, f"{attempt_of(part, table['attempt'][0].as_py())}{SUFFIX}") for name in BESIDE]
        lost = next((f"{name}/{file}" for name, file in files if file not in self.there[name]), None)
        if lost is not None:
            self.skipped.append(f"{self.place / lost}: this part of a trial is missing")
        return lost is None

    def _add(self, name: str, number: int, found: Any) -> None:
        if isinstance(found, DamagedError):
            self.skipped.append(str(found))
            self.bad.add(number)
        else:
            self.beside[name].add(found, np.full(len(found), number))


class _Pieces:
    """Tables of one row each, put together as they come: each for itself takes much more room than its row."""

    def __init__(self) -> None:
        self._pieces: list[Any] = []
        self._last: list[Any] = []

    def add(self, table: Any) -> None:
        self._last.append(table)
        if len(self._last) == AT_ONCE:
            self._close()

    def first(self, count: int) -> list[Any]:
        """Returns the first rows, as tables."""
        self._close()
        return [pa.concat_tables(self._pieces).slice(0, count)] if self._pieces else []

    def _close(self) -> None:
        if self._last:
            self._pieces.append(pa.concat_tables(self._last).combine_chunks())
            self._last = []


class _Rows:
    """Rows of a table that belong to trials; each knows its trial's number."""

    def __init__(self, name: str):
        self._name, self._coder, self._owners = name, Coder(name, TABLES[name].names), [np.empty(0, np.int64)]
        self.count = 0

    def add(self, table: Any, owners: Any) -> None:
        self._coder.add(table)
        self._owners.append(owners)
        self.count += len(table)

    def write(self, place: Place, group: str, ranks: Any, trials: int) -> tuple[Any, Any]:
        """Writes the rows in the order of their trials' ranks; returns where each begins, and how many it has.

        Args:
            place: Of the results.
            group: Name of the file.
            ranks: By the trial's number; those below 0 are left out.
            trials: How many are not.
        """
        rank = ranks[np.concatenate(self._owners)]
        order = np.argsort(rank, kind="stable")[np.count_nonzero(rank < 0) :]
        table, schema = self._coder.table(), TABLES[self._name]
        pieces = (
            table.take(pa.array(order[start : start + BLOCK])).cast(schema)
            for start in range(0, len(order), BLOCK)
        )
        write_group(place, self._name, group, pieces)
        counts = np.bincount(rank[rank >= 0], minlength=trials)
        return np.cumsum(counts) - counts, counts


def write_group(place: Place, name: str, group: str, tables: Iterator[Any] | Sequence[Any]) -> None:
    """Writes a file of a group, and reads it back.

    Raises:
        OSError: If the disk is full or read-only, or the store cannot be reached.
        ResultsError: If it is not what was written.
    """
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, stamped_schema(name), compression="zstd") as writer:
        for table in tables:
            writer.write_table(table.cast(stamped_schema(name)), row_group_size=BLOCK)
    content, file = sink.getvalue(), part_file(name, group)
    place.write(file, content)
    # The only copy, soon: what a disk has lost on the way must show before the others go.
    if place.read(file) != content.to_pybytes():
        raise ResultsError(f"{place / file}: what was written to it just now cannot be read back")
