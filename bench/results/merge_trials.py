"""Compares what several stores hold of the same trials."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bench.results.additions import apart, compare_cases, same_number
from bench.results.merge_suites import Conflict
from bench.results.schema import TABLES, UNDECIDED
from bench.results.store import Store
from bench.results.transfer import Key, trial_tables
from bench.words import plural

Row = Mapping[str, Any]


@dataclass
class Owners:
    """Which store each trial is taken from.

    Args:
        rows: By trial and code: the row that counts.
        places: And the number of its store.
        same: Other stores that have the same trial complete.
        more: Of these, which were measured by more.
        conflicts: Where two contradict each other.
    """

    rows: dict[Key, Row] = field(default_factory=dict)
    places: dict[Key, int] = field(default_factory=dict)
    same: dict[Key, list[int]] = field(default_factory=dict)
    more: dict[Key, list[int]] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)


def find_owners(stores: Sequence[Store], names: Sequence[str]) -> Owners:
    """Decides which store each trial is taken from: the first that has a result of it.

    A trial is its id and the code that made it. Two rows of it are the same if they ended alike, with the same value;
    times, hosts, attempts and costs do not matter. A row that says nothing about its trial (it was interrupted or
    lost) gives way to one that does.

    Args:
        stores: The first one comes first.
        names: Of their places, for messages.

    Raises:
        ResultsError: If one cannot be read.
    """
    owners, tuned = Owners(), _Tuned(names)
    for place, store in enumerate(stores):
        rows: list[Row] = store.table("trials").to_pylist()
        twice = tuned.add(rows, place)
        owners.conflicts += twice.values()
        for row in rows:
            if row["study"] not in twice:
                _add(owners, row, place, names)
    return owners


def _add(owners: Owners, row: Row, place: int, names: Sequence[str]) -> None:
    key = (row["trial"], row["code"])
    first = owners.rows.get(key)
    if first is None or (first["status"] in UNDECIDED and row["status"] not in UNDECIDED):
        owners.rows[key], owners.places[key] = row, place
        owners.same.pop(key, None)
    elif row["status"] in UNDECIDED:
        return
    elif (told := _difference(first, row)) is not None:
        kept = owners.places[key]
        line = f"{title(row)}: {told[0]} in {names[kept]}, {told[1]} in {names[place]}"
        owners.conflicts.append(Conflict(line, kept, place))
    elif row["status"] == "complete":
        owners.same.setdefault(key, []).append(place)


def _difference(first: Row, second: Row) -> tuple[str, str] | None:
    if first["status"] != second["status"]:
        return first["status"], second["status"]
    if first["status"] == "complete" and not same_number(first["value"], second["value"]):
        one, other = apart(first["value"], second["value"])
        return f"{first['metric']} {one}", f"{second['metric']} {other}"
    return None


def title(row: Row) -> str:
    """Names a trial for a person: ``lung: unet + dice, final, fold 0, seed 1 (0123456789abcdef)``."""
    which = f"trial {row['number']}" if row["phase"] == "tune" else "final"
    return f"{row['task']}: {row['entry']}, {which}, fold {row['fold']}, seed {row['seed']} ({row['trial']})"


class _Tuned:
    """Finds studies that were tuned in two places: two searches are no equal budget, and no search."""

    def __init__(self, names: Sequence[str]):
        self._names = names
        # By study, code and number: the trials that have it, and a place and setting to name.
        self._seen: dict[tuple[str, str, int], tuple[set[str], int, str]] = {}

    def add(self, rows: Sequence[Row], place: int) -> dict[str, Conflict]:
        """Adds a place's rows; returns its studies that others tuned otherwise."""
        mine: dict[tuple[str, str, int], list[Row]] = {}
        for row in rows:
            if row["phase"] == "tune" and row["status"] not in UNDECIDED:
                mine.setdefault((row["study"], row["code"], row["number"]), []).append(row)
        twice: dict[str, Conflict] = {}
        for key, found in sorted(mine.items()):
            trials, kept, setting = self._seen.get(key, (set(), place, ""))
            if trials and trials.isdisjoint(row["trial"] for row in found):
                first = found[0]
                told = (
                    f"{first['task']}: {first['entry']} was tuned twice: trial {first['number']} has "
                    f"{setting} in {self._names[kept]}, {_setting(first)} in {self._names[place]}"
                )
                twice.setdefault(first["study"], Conflict(told, kept, place, leaves_out=True))
        for key, found in mine.items():
            if key[0] not in twice:
                trials, kept, setting = self._seen.setdefault(key, (set(), place, _setting(found[0])))
                trials.update(row["trial"] for row in found)
        return twice


def _setting(row: Row) -> str:
    try:
        values = json.loads(row["setting_json"])
    except ValueError:
        values = {}
    plain = ", ".join(f"{key}={value}" for key, value in values.items()) if isinstance(values, dict) else ""
    return plain if plain and len(plain) <= 80 else f"setting {row['setting']}"


def compare_all_cases(stores: Sequence[Store], names: Sequence[str], owners: Owners) -> None:
    """Compares the cases of trials that several stores have, and notes where they differ; errors as in `Store`."""
    for (kept, other), keys in sorted(_pairs(owners).items()):
        both = (trial_tables(stores[place], keys, ["cases"]) for place in (kept, other))
        for (key, (mine,)), (_, (theirs,)) in zip(*both, strict=True):
            more, told = _cases_difference(mine, theirs, (names[kept], names[other]))
            if told:
                owners.conflicts.append(Conflict(f"{title(owners.rows[key])}: {told}", kept, other))
                owners.same[key].remove(other)
            elif more:
                owners.more.setdefault(key, []).append(other)


def _pairs(owners: Owners) -> dict[tuple[int, int], list[Key]]:
    pairs: dict[tuple[int, int], list[Key]] = {}
    for key, others in owners.same.items():
        for other in others:
            pairs.setdefault((owners.places[key], other), []).append(key)
    return pairs


def _cases_difference(mine: Any, theirs: Any, names: tuple[str, str]) -> tuple[bool, str]:
    """Says whether the second table of one trial's cases has more, and where the two differ; empty: nowhere."""
    if _all_same(mine, theirs):
        return False, ""
    for part in ("validation", "test"):
        first, second = (_case_names(table, part) for table in (mine, theirs))
        if first != second:
            some = sorted(first ^ second)[0]
            counts = f"{len(first):,} in {names[0]}, {len(second):,} in {names[1]}"
            return False, f"other {part} cases, e.g. {some}: {counts}"
    found = compare_cases(mine, theirs.to_pylist())
    if not found.differences:
        return bool(found.added), ""
    first_one, *others = found.differences
    one, other = first_one.shown()
    more = f" and {plural(len(others), 'other value')}" if others else ""
    return False, f"{first_one.where} {one} in {names[0]}, {other} in {names[1]}{more}"


def _all_same(mine: Any, theirs: Any) -> bool:
    texts = [field.name for field in TABLES["cases"] if field.name not in ("attempt", "value", "diagonal")]
    return bool(
        mine.select(texts).equals(theirs.select(texts))
        and all(map(same_number, mine["value"].to_pylist(), theirs["value"].to_pylist()))
    )


def _case_names(table: Any, part: str) -> set[str]:
    return set(table.filter(pc.equal(table["part"], pa.scalar(part)))["case"].to_pylist())
