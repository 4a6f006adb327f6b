"""Which trials have all of their parts: what is damaged or lacks some is set aside, and can be made anew."""

from collections.abc import Callable, Sequence

import pandas as pd

from bench.results.parts import SUFFIX, DamagedError, make_frame, part_file, read_each
from bench.results.schema import make_table
from bench.results.store import KEY, Store, part_name

ASIDE = "damaged"
BESIDE = ("cases", "curves")


def sound_trials(store: Store, say: Callable[[str], object]) -> pd.DataFrame:
    """Returns the trials of a store that are whole, and moves what is left of the others into folders `damaged`.

    Hold the `RunLock`. Nothing is looked for file by file: each folder is listed once.

    Args:
        store: Of the results.
        say: Is told what was set aside, a line for each kind of damage.

    Raises:
        ResultsError: If a part is alien or of a newer version, which is no damage.
        OSError: If results cannot be read or written.
    """
    tables, damaged = {}, []
    for part, found in read_each(store.root, "trials", store.parts()):
        if isinstance(found, DamagedError):
            damaged.append(part)
        else:
            tables[part] = found
    there = {name: store.root.files(name).keys() for name in BESIDE}

    def lacking(attempt: str) -> str | None:
        wanted = ((name, f"{attempt}{SUFFIX}") for name in BESIDE)
        return next((f"{name}/{file}" for name, file in wanted if file not in there[name]), None)

    root, aside = store.root, store.root / "trials" / ASIDE
    attempts = {part: _attempt(table.select(KEY).to_pylist()[0]) for part, table in tables.items()}
    holes = {part: hole for part, attempt in attempts.items() if (hole := lacking(attempt)) is not None}
    for part in list(holes):
        row = store.row(part)
        if row is not None and all(root.exists(part_file(name, _attempt(row))) for name in BESIDE):
            # The worker of a run that died has replaced it between our looks.
            tables[part] = make_table("trials", [row])
            del holes[part]
        else:
            del tables[part]
    _set_aside(store, [part_file("trials", part) for part in damaged])
    if damaged:
        first = root / part_file("trials", damaged[0])
        say(f"{_trials(damaged)} damaged ({first}), moved to {aside} and to be made anew.")
    for part in holes:
        left = [part_file(name, attempts[part]) for name in BESIDE]
        _set_aside(store, [part_file("trials", part), *left])
    if holes:
        first = root / next(iter(holes.values()))
        say(f"{_trials(list(holes), 'lack')} parts ({first}), moved to {aside} and to be made anew.")
    frame = make_frame("trials", list(tables.values()))
    return frame.sort_values(["finished_at", "trial"], ignore_index=True)


def _set_aside(store: Store, files: Sequence[str]) -> None:
    for name in files:
        try:
            content = store.root.read(name)
        except FileNotFoundError:
            continue
        table, _, file = name.partition("/")
        aside, times = f"{table}/{ASIDE}/{file}", 1
        while store.root.exists(aside):
            # What went there before is kept, too.
            times += 1
            aside = f"{table}/{ASIDE}/{file}.{times}"
        store.root.write(aside, content)
        store.root.delete(name)


def _attempt(row: dict[str, object]) -> str:
    return f"{part_name(row)}-{row['attempt']}"


def _trials(parts: Sequence[str], verb: str = "are") -> str:
    one = {"are": "is", "lack": "lacks"}[verb]
    return f"1 trial {one}" if len(parts) == 1 else f"{len(parts):,} trials {verb}"
