"""What was gathered: what the index says, and what the groups say that it does not know.

An index is a file like any other: it may be lost or damaged, come out of an older backup, or have been copied over
that of other results. Groups themselves say what is in them: nothing is taken for gone because it is not named.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bench.results.groups import attempts_in, group_rows
from bench.results.index import EMPTY, INDEX_FILE, Index, groups_in, read_index, write_index
from bench.results.parts import DamagedError, say_group
from bench.results.place import Place
from bench.results.schema import KEYS

GATHERED = ("trials", *KEYS)
"""Tables that the index knows; cases and curves go with their trials."""
LOOKS = 20
HELD = 8
"""Places whose index is remembered."""

Tell = Callable[[str, str, DamagedError], object]
"""Takes a table, a group and what is wrong with it."""

_held: dict[str, tuple[Any, Index]] = {}


def fail(name: str, group: str, error: DamagedError) -> None:
    """Raises what it is told, with what to do."""
    raise DamagedError(say_group(name, error)) from error


def load_index(
    place: Place,
    name: str = "trials",
    names: Collection[str] | None = None,
    tell: Tell = fail,
    worse: Collection[str] = (),
) -> Index:
    """Returns what was gathered of a table.

    Of each part that counts which the index names, unless a group that it does not name has a later attempt. What it
    names in a file that is gone stays named, so that whoever reads it hears of that; but for what others have.

    Args:
        place: Of the results.
        name: Of the table, one of `GATHERED`.
        names: Files in its folder, listed before; looked up by default.
        tell: Told of a group that the index does not name and that is damaged; by default that is an error.
        worse: Groups that are damaged: what others have of the same attempt counts.

    Raises:
        FileNotFoundError: If a file has gone in the meantime.
        ResultsError: If a file is damaged or of a newer version.
        OSError: If the place cannot be reached.
    """
    there = groups_in(place.files(name) if names is None else names)
    for _ in range(LOOKS):
        rows = read_known(place).of(name)
        lost = _named(rows) - there
        if not lost:
            break
        # It may have been gathered anew between our looks.
        there = groups_in(place.files(name))
        lost = _named(rows) - there
        if not lost or rows.rows.equals(read_known(place).of(name).rows):
            break
    return _with_unnamed(place, name, rows, sorted(there - _named(rows)), lost.union(worse), tell)


def load_all(
    place: Place,
    tell: Tell = fail,
    worse: Collection[str] = (),
    names: Mapping[str, Collection[str]] | None = None,
) -> Index:
    """Returns what was gathered of all tables; errors and arguments as in `load_index`, names by table."""
    listed = names or {}
    found = [load_index(place, name, listed.get(name), tell, worse).rows for name in GATHERED]
    return Index(pa.concat_tables(found).combine_chunks())


def restore_index(
    place: Place,
    tell: Tell = fail,
    worse: Collection[str] = (),
    names: Mapping[str, Collection[str]] | None = None,
) -> Index:
    """Returns what was gathered of all tables, and writes that down where the index says something else.

    Hold the `RunLock`. Arguments and errors as in `load_all`.
    """
    index, known = load_all(place, tell, worse, names), read_known(place)
    if not _sorted(index).equals(_sorted(known)):
        write_index(place, index)
    return index


def known_index(place: Place) -> Index:
    """Returns what was gathered of trials, for questions about one of them.

    It is read once, and again when it has changed. Errors as in `load_index`.
    """
    stamp = place.stamp(INDEX_FILE)
    held = _held.get(place.url)
    if held is not None and held[0] == stamp:
        return held[1]
    index = load_index(place)
    # A folder is listed quickly, and without an index there may be groups tomorrow.
    if place.stamp(INDEX_FILE) == stamp and (stamp is not None or place.folder is None):
        while len(_held) >= HELD:
            _held.pop(next(iter(_held)))
        _held[place.url] = stamp, index
    return index


def forget() -> None:
    """Lets `known_index` read anew."""
    _held.clear()


def read_known(place: Place) -> Index:
    """Returns what the index says; nothing if it is lost or damaged. Other errors as in `read_index`."""
    try:
        return read_index(place)
    except (FileNotFoundError, DamagedError):
        return EMPTY


def _named(rows: Index) -> set[str]:
    return set(pc.unique(rows.rows["group"]).to_pylist())


def _with_unnamed(
    place: Place, name: str, rows: Index, groups: Iterable[str], worse: Collection[str], tell: Tell
) -> Index:
    """Adds what groups that are not named have beside the rows, or later than they."""
    found: dict[str, dict[str, Any]] = {}
    bad: dict[str, DamagedError] = {}
    for group in groups:
        try:
            for row in group_rows(place, name, group):
                earlier = found.get(row["part"])
                if earlier is None or _attempt(earlier) <= _attempt(row):
                    found[row["part"]] = row
        except DamagedError as error:
            bad[group] = error
    for old in rows.keep(found).rows.to_pylist():
        new = found[old["part"]]
        least = _attempt(old) if old["group"] in worse else _attempt(old) + 1
        if _attempt(new) < least:
            del found[old["part"]]
    rows = rows.without(found).plus(found.values()) if found else rows
    for group, wrong in bad.items():
        if not _is_elsewhere(place, name, group, rows):
            tell(name, group, wrong)
    return rows


def _is_elsewhere(place: Place, name: str, group: str, rows: Index) -> bool:
    """Says whether a damaged group has nothing that the rows have not."""
    if name != "trials":
        return False
    try:
        held = attempts_in(place, name, group)
    except (DamagedError, FileNotFoundError):
        return False
    columns = (rows.rows[column].to_pylist() for column in ("part", "attempt"))
    known = dict(zip(*columns, strict=True))
    return all(known.get(part, 0) >= attempt for part, attempt in held.items())


def _attempt(row: dict[str, Any]) -> int:
    return row.get("attempt") or 0


def _sorted(index: Index) -> Any:
    return index.rows.sort_by([("table", "ascending"), ("part", "ascending")]).combine_chunks()
