"""Which groups of gathered trials are whole.

One file of a group may hold what took weeks: it is not given up lightly.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bench.errors import ResultsError
from bench.results.aside import set_aside
from bench.results.gathered import read_known, restore_index
from bench.results.groups import attempts_in, read_group
from bench.results.index import EMPTY, Index, groups_in, write_index
from bench.results.pack import write_group
from bench.results.parts import GROUP_REMEDY, SUFFIX, DamagedError, part_file
from bench.results.place import Place
from bench.results.schema import BESIDE, KEYS, TABLES
from bench.results.verify import damaged_group
from bench.words import plural

HANDFUL = 5
"""Trials that are made anew without a question because a group is damaged."""
NEEDED = ("trials", "cases")


@dataclass(frozen=True)
class Groups:
    """Groups of trials.

    Args:
        index: What is there, of all tables.
        damaged: Groups that cannot be read whole, with the first file that is damaged or missing.
        lost: And how many trials lie in them alone.
    """

    index: Index
    damaged: dict[str, str]
    lost: dict[str, int]

    def read(self, place: Place, loose: Collection[str]) -> list[Any]:
        """Returns the rows of trials in whole groups, as Arrow tables.

        Args:
            place: Of the results.
            loose: Trials in files of their own, which win.
        """
        found = []
        for group, rows in self.index.of("trials").groups():
            if group not in self.damaged:
                live = rows.without(loose)
                found.append(read_group(place, "trials", group, live.spans("trials")))
        return found


def look_at_groups(
    place: Place, files: Mapping[str, Collection[str]], loose: Collection[str], anew: bool
) -> Groups:
    """Reads all groups through; learning curves that are lost become empty ones, and the index is restored.

    Hold the `RunLock`.

    Args:
        place: Of the results.
        files: By table, the files in its folder.
        loose: Trials in files of their own, which need no group.
        anew: Whether any number of trials may be given up.

    Raises:
        ResultsError: If more than a handful of trials would be given up.
        OSError: If results cannot be read or written.
    """
    unread: dict[str, str] = {}

    def hear(name: str, group: str, error: DamagedError) -> None:
        if name == "trials":
            unread[group] = damaged_group(place, group, EMPTY, ("trials", *BESIDE))

    index = restore_index(place, hear, names=files)
    if named := _damaged(place, index):
        # Another copy of what they hold may be whole.
        index = restore_index(place, hear, named, files)
        named = _damaged(place, index)
    damaged = unread | named
    lost = {group: _count(place, group) for group in unread}
    lost |= {group: len(rows.without(loose)) for group, rows in index.of("trials").groups() if group in named}
    if sum(lost.values()) > HANDFUL and not anew:
        first, others = place / next(iter(damaged.values())), len(damaged) - 1
        more = f", and so {'is 1 other' if others == 1 else f'are {others:,} others'}" if others else ""
        what = plural(sum(lost.values()), "trial")
        raise ResultsError(f"{first}: damaged or missing{more}, with what belongs to {what}; {GROUP_REMEDY}")
    return Groups(index, damaged, lost)


def _damaged(place: Place, index: Index) -> dict[str, str]:
    """Returns the groups of trials that cannot be read whole, with the first file of each that is at fault."""
    files = {group: damaged_group(place, group, rows, NEEDED) for group, rows in index.of("trials").groups()}
    return {group: file for group, file in files.items() if file}


def mend_groups(place: Place, files: dict[str, set[str]]) -> list[str]:
    """Puts empty files where those with learning curves are lost, and sets damaged tables of runs aside.

    No trial depends on either. Hold the `RunLock`.

    Args:
        place: Of the results.
        files: By table, the files in its folder; those that are set aside go.

    Returns:
        What was lost, a line each.
    """
    said, known = [], read_known(place)
    rows_of = dict(known.of("trials").groups())
    for group in sorted(groups_in(files["trials"])):
        rows = rows_of.get(group, EMPTY)
        if not damaged_group(place, group, rows, ("curves",)) or damaged_group(place, group, rows, NEEDED):
            continue
        file = part_file("curves", group)
        set_aside(place, [file])
        write_group(place, "curves", group, [TABLES["curves"].empty_table()])
        known = _without_curves(known, group)
        if rows:
            write_index(place, known)
        count = len(read_group(place, "trials", group, columns=["trial"]))
        said.append(f"{place / file}: damaged or missing; {plural(count, 'trial')} lost the learning curves.")
    for name in KEYS:
        rows_of = dict(known.of(name).groups())
        for group in sorted(rows_of.keys() | groups_in(files[name])):
            rows, file = rows_of.get(group, EMPTY), part_file(name, group)
            if damaged_group(place, group, rows, (name,)):
                known = known.without(rows.parts(), name)
                write_index(place, known)
                set_aside(place, [file])
                files[name].discard(f"{group}{SUFFIX}")
                said.append(f"{place / file}: damaged or missing; no trial depends on it.")
    return said


def _without_curves(index: Index, group: str) -> Index:
    rows, mine = index.rows, pc.equal(index.rows["group"], group)
    for name in ("curves_from", "curves_rows"):
        place = rows.schema.get_field_index(name)
        emptied = pc.if_else(mine, pa.scalar(0, pa.int64()), rows[name])
        rows = rows.set_column(place, rows.schema.field(name), emptied)
    return Index(rows)


def _count(place: Place, group: str) -> int:
    """Returns how many trials a group has whose own file is damaged, as far as others tell; else many."""
    for name in BESIDE:
        try:
            return len(attempts_in(place, name, group))
        except (DamagedError, FileNotFoundError):
            continue
    return HANDFUL + 1


def give_up(place: Place, groups: Groups) -> None:
    """Sets damaged groups aside. Hold the `RunLock`."""
    index, rows_of = groups.index, dict(groups.index.of("trials").groups())
    for group in groups.damaged:
        index = index.without(rows_of.get(group, EMPTY).parts(), "trials")
        write_index(place, index)
        set_aside(place, [part_file(name, group) for name in ("trials", *BESIDE)])
