"""Gathers the parts of many trials into few files, so that results of any size open quickly.

What is gathered lies in groups (see `bench.results.index`): they are written beside what is there, then the index is
replaced, which commits them, and only then what they hold goes from where it was. So a crash at any moment leaves
every trial whole, and once for whoever reads by the index. A part in a file of its own wins over what was gathered of
it before.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from bench.results.gathered import forget, load_index, restore_index
from bench.results.groups import index_row, read_group
from bench.results.index import PREFIX, Index, is_group, loose_parts, write_index
from bench.results.names import attempt_of
from bench.results.pack import MOST_CASES, Packed, pack, write_group
from bench.results.parts import SUFFIX, DamagedError, part_file, read_each
from bench.results.place import Place
from bench.results.schema import BESIDE, KEYS
from bench.results.sweep import Sweep
from bench.results.verify import damaged_group
from bench.words import plural_rows

DUE = 1_000
"""Trials in files of their own from which on a run gathers them when it ends."""
FEW = 20
"""Likewise rows of `runs`, `studies` and `env`."""
MOST_TRIALS = 20_000
"""Trials of a group."""

TRIES = 4
"""Times that it is begun anew because a file has gone in the meantime."""

Watch = Callable[[int, int], object]


@dataclass(frozen=True)
class Compacted:
    """What a compaction did.

    Args:
        trials: How many were in files of their own and are in a group now.
        groups: How many groups there are now, each a file per table.
        skipped: What is damaged or lacks parts, in words; it stays where it is unless it says otherwise.
    """

    trials: int
    groups: int
    skipped: tuple[str, ...] = ()


def is_due(place: Place) -> bool:
    """Says whether there is enough to gather, or whether what was gathered has been replaced since.

    Args:
        place: Of the results.

    Raises:
        ResultsError: If they cannot be read.
        OSError: Likewise.
    """
    names = place.files("trials")
    loose = loose_parts(names)
    if len(loose) >= DUE:
        return True
    return any(map(is_group, names)) and len(load_index(place, "trials", names).keep(loose)) > 0


def compact(place: Place, watch: Watch = lambda done, total: None) -> Compacted:
    """Gathers what lies in files of its own. Hold the `RunLock`.

    Trials that were interrupted or lost stay as they are: another attempt is going to replace them.

    Args:
        place: Of the results.
        watch: Told how many trials of how many have been looked at.

    Raises:
        ResultsError: If a part is alien or of a newer version, or the store refuses.
        OSError: If the disk is full or read-only, or the store cannot be reached; nothing is lost.
    """
    for _ in range(TRIES - 1):
        try:
            return _Compaction(place, watch).run()
        except FileNotFoundError:
            # The worker of a run that died has replaced a part between two looks.
            continue
        finally:
            forget()
    return _Compaction(place, watch).run()


class _Compaction:
    def __init__(self, place: Place, watch: Watch):
        self._place, self._watch = place, watch
        self._skipped: list[str] = []
        self._trials = 0
        self._damaged: set[str] = set()
        self._index = self._known()
        self._times = place.files("trials")
        self._there = {name: place.files(name) for name in BESIDE}

    def run(self) -> Compacted:
        files = {name: self._place.files(name) for name in KEYS} | self._there | {"trials": self._times}
        sweep = Sweep(self._place, self._index, self._damaged, self._skipped.append)
        sweep.run(files)
        older = sweep.older(loose_parts(self._times))
        loose, packed = self._plan([part for part in loose_parts(self._times) if part not in set(older)])
        total = len(loose) + len(packed)
        while loose or len(packed):
            whole = _first(packed, MOST_TRIALS)
            room = int(whole.spans("cases")[1].sum()) < MOST_CASES
            count = MOST_TRIALS - len(whole) if room else 0
            done = pack(self._place, loose[:count], whole, self._there)
            self._commit(done, whole)
            loose, packed = [*done.left, *loose[count:]], packed.without(whole.parts())
            self._watch(total - len(loose) - len(packed), total)
        for name in KEYS:
            self._gather_rows(name)
        groups = sum(1 for _ in self._index.of("trials").groups())
        return Compacted(self._trials, groups, tuple(self._skipped))

    def _known(self) -> Index:
        """Returns what is there, and notes which groups are damaged or lack a file: these stay as they are."""
        index = restore_index(self._place, self._hear)
        found = self._look_through(index)
        if found:
            # Another copy of what they hold may be whole.
            index = restore_index(self._place, self._hear, found)
            found = self._look_through(index)
        self._skipped += found.values()
        self._damaged.update(found)
        return index

    def _hear(self, name: str, group: str, error: DamagedError) -> None:
        if group not in self._damaged:
            self._skipped.append(str(error))
            self._damaged.add(group)

    def _look_through(self, index: Index) -> dict[str, str]:
        """Returns the groups that are damaged or lack a file, with what is wrong, in words."""
        found = {}
        for name, tables in {"trials": ("trials", *BESIDE), **{key: (key,) for key in KEYS}}.items():
            for group, rows in index.of(name).groups():
                if file := damaged_group(self._place, group, rows, tables):
                    held = plural_rows(len(rows), name)
                    found[group] = f"{self._place / file}: damaged or missing, with what belongs to {held}"
        return found

    def _plan(self, loose: list[str]) -> tuple[list[str], Index]:
        """Returns trials that are to be gathered: those in files of their own, and those of groups to be rewritten.

        Groups are rewritten if they are small, or if something in them has been replaced: those who read them
        without the index meet it twice.
        """
        again: list[str] = []
        small: list[list[str]] = []
        for group, rows in self._index.of("trials").groups():
            if group in self._damaged:
                continue
            live = rows.without(loose)
            of, cases = rows.rows["of"][0].as_py(), int(rows.spans("cases")[1].sum())
            if len(live) < of:
                again += live.parts()
            elif of < MOST_TRIALS / 2 and cases < MOST_CASES / 2:
                small.append(live.parts())
        if loose or again or len(small) > 1:
            again += chain.from_iterable(small)
        return loose, self._index.of("trials").keep(again)

    def _commit(self, done: Packed, packed: Index) -> None:
        gone = [*done.attempts, *packed.parts()]
        before = {group for group, _ in self._index.of("trials").groups()}
        self._index = self._index.without(gone, "trials").plus(done.rows)
        write_index(self._place, self._index)
        self._skipped += done.skipped
        self._trials += len(done.attempts)
        # What a worker of a run that died has written in the meantime stays, and wins.
        now = self._place.files("trials")
        moved = [part for part in done.attempts if self._unchanged(part, now)]
        self._place.delete_all(part_file("trials", part) for part in moved)
        for name in BESIDE:
            self._place.delete_all(part_file(name, attempt_of(part, done.attempts[part])) for part in moved)
        empty = before - {group for group, _ in self._index.of("trials").groups()}
        for name in ("trials", *BESIDE):
            self._place.delete_all(part_file(name, group) for group in sorted(empty))

    def _unchanged(self, part: str, now: Mapping[str, float]) -> bool:
        file = f"{part}{SUFFIX}"
        return now.get(file) == self._times[file]

    def _gather_rows(self, name: str) -> None:
        """Gathers a table that has one row per file."""
        loose = loose_parts(self._place.files(name))
        if len(loose) < FEW:
            return
        found = dict(read_each(self._place, name, loose))
        self._skipped += [str(table) for table in found.values() if isinstance(table, DamagedError)]
        loose = [part for part, table in found.items() if not isinstance(table, DamagedError)]
        if len(loose) < FEW:
            return
        tables = [found[part] for part in loose]
        known = self._index.of(name)
        for group, rows in known.groups():
            known = known.without(rows.parts()) if group in self._damaged else known
        for old, kept in known.without(loose).groups():
            tables.append(read_group(self._place, name, old, kept.spans(name)))
        table, group = pa.concat_tables(tables), f"{PREFIX}{secrets.token_hex(8)}"
        write_group(self._place, name, group, [table])
        parts: Sequence[Any] = table[KEYS[name]].to_pylist()
        new = [index_row(name, part, group, number, len(parts)) for number, part in enumerate(parts)]
        self._index = self._index.without(known.parts(), name).plus(new)
        write_index(self._place, self._index)
        self._place.delete_all(part_file(name, part) for part in loose)
        self._place.delete_all(part_file(name, old) for old, _ in known.groups())


def _first(index: Index, count: int) -> Index:
    """Returns the first rows, not more than that and not more than a group has room for."""
    cases = np.cumsum(index.spans("cases")[1])
    return Index(index.rows.slice(0, max(0, min(count, np.searchsorted(cases, MOST_CASES) + 1))))
