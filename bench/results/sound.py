"""Which trials have all of their parts: what is damaged or lacks some is set aside, and can be made anew."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.results.aside import ASIDE, set_aside
from bench.results.index import loose_parts
from bench.results.names import attempt_name
from bench.results.parts import SUFFIX, DamagedError, make_frame, part_file, read_each
from bench.results.schema import BESIDE, KEYS, make_table
from bench.results.sound_groups import Groups, give_up, look_at_groups, mend_groups
from bench.results.store import KEY, Store
from bench.results.verify import damaged_parts

Say = Callable[[str], object]


def sound_trials(store: Store, say: Say, anew: bool = False) -> pd.DataFrame:
    """Returns the trials of a store that are whole, and moves what is left of the others into a folder `damaged`.

    Hold the `RunLock`. Nothing is looked for file by file: each folder is listed once. All is read whole, about a
    second per thousand trials in files of their own: what only a leaderboard found damaged, no run would make anew.

    Args:
        store: Of the results.
        say: Is told what was set aside, a line for each kind of damage.
        anew: Whether any number of trials may be set aside because files that hold many are damaged.

    Raises:
        ResultsError: If more than a handful would be, and `anew` does not allow it: no trial was set aside then; or
            if a part is alien or of a newer version, which is no damage.
        OSError: If results cannot be read or written.
    """
    names = store.root.files("trials")
    files = {"trials": set(names), **{name: set(store.root.files(name)) for name in KEYS}}
    for lost in mend_groups(store.root, files):
        say(lost)
    groups = look_at_groups(store.root, files, loose_parts(names), anew)
    tables, damaged = {}, []
    for part, found in read_each(store.root, "trials", loose_parts(names)):
        if isinstance(found, DamagedError):
            damaged.append(part)
        else:
            tables[part] = found
    there = {"trials": names.keys(), **{name: store.root.files(name).keys() for name in BESIDE}}
    _set_damaged_aside(store, damaged, say)
    _set_holes_aside(store, tables, there, say)
    _set_broken_aside(store, tables, say)
    gathered = _sound_groups(store, groups, list(tables), say)
    frame = make_frame("trials", [*tables.values(), *gathered])
    return frame.sort_values(["finished_at", "trial"], ignore_index=True)


def _set_damaged_aside(store: Store, damaged: Sequence[str], say: Say) -> None:
    set_aside(store.root, [part_file("trials", part) for part in damaged])
    if damaged:
        first = store.root / part_file("trials", damaged[0])
        say(f"{_trials(len(damaged))} damaged ({first}), {_moved(store)}")


def _set_holes_aside(store: Store, tables: dict[str, Any], there: Mapping[str, Any], say: Say) -> None:
    """Takes out of `tables` the trials that lack cases or curves."""

    def lacking(attempt: str) -> str | None:
        wanted = ((name, f"{attempt}{SUFFIX}") for name in BESIDE)
        return next((f"{name}/{file}" for name, file in wanted if file not in there[name]), None)

    attempts = _attempts(tables)
    holes = {part: hole for part, attempt in attempts.items() if (hole := lacking(attempt)) is not None}
    for part in list(holes):
        row = store.row(part)
        if row is not None and all(store.root.exists(part_file(name, attempt_name(row))) for name in BESIDE):
            # The worker of a run that died has replaced it between our looks.
            tables[part] = make_table("trials", [row])
            del holes[part]
        else:
            del tables[part]
    for part in holes:
        left = [part_file(name, attempts[part]) for name in BESIDE]
        set_aside(store.root, [part_file("trials", part), *left])
    if holes:
        first = store.root / next(iter(holes.values()))
        say(f"{_trials(len(holes), 'lack')} parts ({first}), {_moved(store)}")


def _set_broken_aside(store: Store, tables: dict[str, Any], say: Say) -> None:
    """Takes out of `tables` the trials whose cases or curves are damaged."""
    attempts = _attempts(tables)
    broken: dict[str, str] = {}
    for name in BESIDE:
        wrong = damaged_parts(store.root, name, list(attempts.values()))
        broken |= {part: part_file(name, attempt) for part, attempt in attempts.items() if attempt in wrong}
    for part in list(broken):
        row = store.row(part)
        if row is not None and attempt_name(row) != attempts[part]:
            # The worker of a run that died has replaced it between our looks.
            tables[part] = make_table("trials", [row])
            del broken[part]
        else:
            del tables[part]
    for part in broken:
        beside = [part_file(name, attempts[part]) for name in BESIDE]
        set_aside(store.root, [part_file("trials", part), *beside])
    if broken:
        first = store.root / next(iter(broken.values()))
        say(f"{_trials(len(broken))} damaged ({first}), {_moved(store)}")


def _sound_groups(store: Store, groups: Groups, loose: Sequence[str], say: Say) -> list[Any]:
    """Returns the rows of trials that were gathered; a group that is damaged or lacks a file is set aside."""
    for group, file in groups.damaged.items():
        lie = _trials(groups.lost[group], "lie")
        say(f"{lie} in files that are damaged ({store.root / file}), {_moved(store)}")
    give_up(store.root, groups)
    return groups.read(store.root, loose)


def _attempts(tables: Mapping[str, Any]) -> dict[str, str]:
    return {part: attempt_name(table.select(KEY).to_pylist()[0]) for part, table in tables.items()}


def _moved(store: Store) -> str:
    return f"moved to {store.root / ASIDE} and to be made anew."


def _trials(count: int, verb: str = "are") -> str:
    one = {"are": "is", "lack": "lacks", "lie": "lies"}[verb]
    return f"1 trial {one}" if count == 1 else f"{count:,} trials {verb}"
