"""Moves trials between stores as they are, many at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bench.errors import ResultsError
from bench.results.names import attempt_name, part_name
from bench.results.parts import write_table
from bench.results.schema import BESIDE, TABLES, make_table, stamped_schema
from bench.results.store import KEY, Store

AT_ONCE, LEAST, MOST = 64, 16, 5_000
"""Trials that are read in one go: at first, and at least and at most later."""
ROWS_AT_ONCE = 500_000
"""Case rows that are held at a time, about."""
LOOKS = 3

ORDER = ("phase", "task", "entry", "finished_at")
Key = tuple[str, str]
"""Of a trial: its id and the code that made it."""


class _Batches:
    """Hands out trials, as many at a time as have about `ROWS_AT_ONCE` rows, by those that came before."""

    def __init__(self, keys: Sequence[Any]):
        self._keys, self._done, self._size = keys, 0, AT_ONCE

    def __iter__(self) -> Iterator[Sequence[Any]]:
        while self._done < len(self._keys):
            batch = self._keys[self._done : self._done + self._size]
            self._done += len(batch)
            yield batch

    def saw(self, rows: int) -> None:
        """Hears how many rows there were so far, of all trials that were handed out last."""
        each = max(1, rows) / max(1, self._size)
        self._size = min(MOST, max(min(LEAST, AT_ONCE), int(ROWS_AT_ONCE / each)))


def split_by_trial(table: Any) -> dict[Key, Any]:
    """Returns the rows of each trial and code, of an Arrow table in which those of one stand together."""
    table = table.combine_chunks()
    found: dict[Key, Any] = {}
    start, keys = 0, list(zip(table["trial"].to_pylist(), table["code"].to_pylist(), strict=True))
    for stop in range(1, len(keys) + 1):
        if stop == len(keys) or keys[stop] != keys[start]:
            found[keys[start]] = table.slice(start, stop - start)
            start = stop
    return found


def trial_tables(store: Store, keys: Sequence[Key], names: Sequence[str]) -> Iterator[tuple[Key, list[Any]]]:
    """Yields keys with what their trials have in some tables.

    Args:
        store: Of the results.
        keys: Of the trials, in the order in which they are to come.
        names: ``"cases"``, ``"curves"``.

    Raises:
        ResultsError: As in `Store.cases`.
    """
    batches = _Batches(keys)
    for batch in batches:
        ids = {trial for trial, _ in batch}
        tables = [store.table(name, ids) for name in names]
        batches.saw(max(map(len, tables)))
        found = [split_by_trial(table) for table in tables]
        for key in batch:
            yield (
                key,
                [mine.get(key, TABLES[name].empty_table()) for name, mine in zip(names, found, strict=True)],
            )


def trial_batches(
    store: Store, watch: Callable[[int, int], object] = lambda done, total: None
) -> Iterator[dict[str, Any]]:
    """Yields the tables of all trials, some trials at a time; what is read together stands together.

    A run may go on meanwhile: what it adds after the start is left out, and a trial that it replaces comes whole, as
    it was or as it is.

    Args:
        store: Of the results.
        watch: Told how many trials are done, and how many there are.

    Raises:
        ResultsError: As in `Store.cases`.
    """
    trials = store.table("trials").select([*ORDER, "trial"]).sort_by([(name, "ascending") for name in ORDER])
    ids = list(dict.fromkeys(trials["trial"].to_pylist()))
    batches, done = _Batches(ids), 0
    for batch in batches:
        tables = _whole(store, batch)
        batches.saw(len(tables["cases"]))
        yield tables
        done += len(batch)
        watch(done, len(ids))


def _whole(store: Store, ids: Sequence[str]) -> dict[str, Any]:
    for _ in range(LOOKS):
        tables = {name: store.table(name, ids) for name in ("trials", *BESIDE)}
        attempts, *beside = [set(_keys(table)) for table in tables.values()]
        if set().union(*beside) <= attempts:
            return tables
    raise ResultsError(
        f"{store.root}: trials change faster than they can be read; try again when the run has ended"
    )


def _keys(table: Any) -> list[tuple[Any, ...]]:
    unique = table.group_by(KEY).aggregate([])
    return list(zip(*(unique[name].to_pylist() for name in KEY), strict=True))


def commit(target: Store, row: Mapping[str, Any], cases: Any, curves: Any, replaces: bool) -> None:
    """Writes a trial.

    Args:
        target: Where it goes.
        row: Of the trials table.
        cases: Arrow table of its rows.
        curves: Likewise.
        replaces: Whether the target has an earlier row of it.

    Raises:
        OSError: If the disk is full or read-only, or the store cannot be reached.
        ResultsError: If the store refuses.
    """
    if replaces:
        target.write(row, cases.to_pylist(), curves.to_pylist())
        return
    part = part_name(row)
    for name, table in (("cases", cases), ("curves", curves)):
        write_table(target.root, name, attempt_name(row), stamped(name, table))
    write_table(target.root, "trials", part, make_table("trials", [row]))


def stamped(name: str, table: Any) -> Any:
    """Returns a table in today's columns that says which version of them it has."""
    return table.select(TABLES[name].names).cast(stamped_schema(name))
