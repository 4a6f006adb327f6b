"""How many patients a check knows is counted by data set."""

from typing import Any

import pyarrow as pa
import pytest

from bench.results.roster import Roster

TRIALS = pa.table({"trial": ["a", "b", "c"], "data": ["d1", "d1", "d2"]})
CASES = pa.table(
    {"trial": ["a", "a", "a", "b", "c"], "patient": pa.array(["1", "1", "2", "1", "1"]).dictionary_encode()}
)


def task(data: str, patients: int | None, **more: Any) -> dict[str, Any]:
    return {"data_fingerprint": data, **({} if patients is None else {"patients": patients}), **more}


@pytest.mark.parametrize(
    ("tasks", "known", "total"),
    [
        ([task("d1", 10), task("d2", 5)], 3, 15),
        # Two tasks of the same data.
        ([task("d1", 10), task("d1", 9), task("d2", 5)], 3, 15),
        # Data that the plan does not speak of any more.
        ([task("d1", 10)], 2, 10),
        ([task("d1", 10, split={"test": ["2", "3"]}), task("d2", 5, split={"test": 0.2})], 4, 15),
        ([task("d1", 10), task("d2", None)], 3, None),
        ([], 3, None),
    ],
)
def test_patients_are_counted_by_data(tasks: list[Any], known: int, total: int | None) -> None:
    roster = Roster({"tasks": tasks})
    roster.add(TRIALS, CASES)
    assert (roster.known, roster.total) == (known, total)


def test_names_that_the_suite_lists() -> None:
    assert Roster({"tasks": [task("d", 3, split={"test": ["x", 7]}), task("d", 3)]}).listed == {"x", "7"}
    assert Roster({}).listed == set()
