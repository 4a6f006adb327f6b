"""Unites the tables of what is no trial: runs, studies, and what runs ran on."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bench.results.merge_suites import Conflict, Tree, unite_finals
from bench.results.schema import KEYS
from bench.results.store import Store

Row = Mapping[str, Any]

SAME = ("task", "metric", "space_json", "search_json", "labels_json", "data", "split")
"""What two rows of one study must agree on; labels, the plan, and folds and seeds of final trials may differ."""
PLANNED = ("entry", "budget_json")
"""Likewise; where both have their suites, these are compared."""
FINAL = ("labels_json", "data", "split")
"""Of these no word of one side settles a conflict."""


def merge_rows(stores: Sequence[Store], target: Store, suite: Tree | None = None) -> None:
    """Writes the rows of `runs`, `studies` and `env` that the target does not have.

    Of one key the first store's row counts. A run that was going on when its results were copied
    gives way to the same run when it had ended. Of a study the folds and seeds of its final trials are united.

    Args:
        stores: The first one comes first.
        target: Where they go.
        suite: The united suite, if there is one.

    Raises:
        ResultsError: If rows cannot be read, or the target refuses.
        OSError: If the disk is full or a store cannot be reached.
    """
    planned = {str(study["id"]): study.get("final", {}) for study in (suite or {}).get("studies", ())}
    for name, key in KEYS.items():
        found: dict[str, Row] = {}
        for store in stores:
            for row in store.table(name).to_pylist():
                first = found.get(row[key])
                if first is None or (first.get("end") == "running" and row["end"] != "running"):
                    found[row[key]] = row
                elif name == "studies":
                    found[row[key]] = {**first, "final_json": _united(first, row)}
        if name == "studies":
            for study, final in planned.items():
                if study in found and _tree(found[study]["final_json"]) != final:
                    found[study] = {**found[study], "final_json": json.dumps(final)}
        there = {row[key]: row for row in target.table(name).to_pylist()}
        for row_key, row in found.items():
            if there.get(row_key) != row:
                target.write_row(name, row)


def study_conflicts(
    stores: Sequence[Store], names: Sequence[str], suites: Sequence[Tree | None]
) -> list[Conflict]:
    """Returns where rows of `studies` say something else of the same study.

    Args:
        stores: The first one comes first.
        names: Of their places, for messages.
        suites: What each planned; conflicts between these are told by `unite_suites`.

    Raises:
        ResultsError: If rows cannot be read.
        OSError: If a store cannot be reached.
    """
    seen: dict[str, tuple[Row, int]] = {}
    found = []
    for place, store in enumerate(stores):
        for row in store.table("studies").to_pylist():
            first, kept = seen.setdefault(row["study"], (row, place))
            compared = SAME if suites[kept] and suites[place] else (*SAME, *PLANNED)
            for column in compared:
                if _tree(first[column]) != _tree(row[column]):
                    what = column.removesuffix("_json")
                    title = f"study {row['task']}: {row['entry']}"
                    told = f"{title}: other {what} in {names[kept]} than in {names[place]}"
                    found.append(Conflict(told, kept, place, column in FINAL))
    return found


def _united(first: Row, second: Row) -> str:
    one, other = _tree(first["final_json"]), _tree(second["final_json"])
    if one == other or not isinstance(one, dict) or not isinstance(other, dict):
        return str(first["final_json"])
    return json.dumps(unite_finals(one, other))


def _tree(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
