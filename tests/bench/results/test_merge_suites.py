"""Plans of several runs become one, or say where they contradict each other."""

from typing import Any

import pytest

from bench.results.merge_suites import unite_suites

NAMES = ("A", "B", "C")


def study(
    id_: str = "s1", entry: str = "unet + dice", seeds: tuple[int, ...] = (0,), **more: Any
) -> dict[str, Any]:
    final = {"folds": [0], "seeds": list(seeds)}
    return {"id": id_, "task": "lung", "entry": entry, "counts": {"numbers": 3}, "final": final, **more}


def suite(**changes: Any) -> dict[str, Any]:
    task = {
        "name": "lung",
        "title": "Lungs",
        "metrics": ["dice"],
        "empty_policy": "nnunet",
        "split_hash": "f0",
    }
    return {
        "suite": "quick",
        "plan": "p1",
        "scale": "full",
        "compare": ["model", "loss"],
        "models": [{"name": "unet"}],
        "losses": [{"name": "dice"}],
        "tasks": [task],
        "studies": [study()],
        "claims": [{"id": "c", "metric": "dice"}],
    } | changes


def test_the_same_plan_stays_what_it_is() -> None:
    assert unite_suites([suite(), suite()], NAMES) == (suite(), [])
    assert unite_suites([None, suite(), None], NAMES) == (suite(), [])
    assert unite_suites([None, None], NAMES) == (None, [])


def test_tasks_studies_claims_and_seeds_are_united() -> None:
    task = suite()["tasks"][0]
    more = suite(
        suite="more",
        plan="p2",
        models=[{"name": "unet"}, {"name": "resunet"}],
        # Titles and where data lie may differ, and what else was measured.
        tasks=[{**task, "title": "X-rays", "dataset": "x", "metrics": ["hd95", "dice"]}, {"name": "heart"}],
        studies=[study(seeds=(1, 2)), study("s2", "resunet + dice")],
        claims=[{"id": "d", "metric": "dice"}],
    )
    united, conflicts = unite_suites([suite(), more], NAMES)
    assert united is not None
    assert conflicts == []
    assert united["suite"] == "quick+more"
    assert united["models"] == more["models"]
    assert united["tasks"] == [{**task, "metrics": ["dice", "hd95"]}, {"name": "heart", "metrics": []}]
    assert [one["id"] for one in united["studies"]] == ["s1", "s2"]
    assert united["studies"][0]["final"] == {"folds": [0], "seeds": [0, 1, 2]}
    assert [claim["id"] for claim in united["claims"]] == ["c", "d"]
    assert united["plan"] not in ("p1", "p2")
    # Whose turn it is does not change what is planned.
    assert (unite_suites([more, suite()], NAMES)[0] or {})["plan"] == united["plan"]


TASK = suite()["tasks"][0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tasks": [{**TASK, "split_hash": "f1"}]}, "task lung: split_hash: f0 in A, f1 in B"),
        ({"tasks": [{**TASK, "empty_policy": "one"}]}, "task lung: empty_policy: nnunet in A, one in B"),
        ({"studies": [study("s2")]}, "lung: unet + dice: study: s1 in A, s2 in B"),
        ({"studies": [study(entry="other")]}, "lung: other: entry: unet + dice in A, other in B"),
        (
            {"studies": [study(counts={"numbers": 5})]},
            "lung: unet + dice: counts: {'numbers': 3} in A, {'numbers': 5} in B",
        ),
        ({"claims": [{"id": "c", "metric": "hd"}]}, "claim c: {'id': 'c', 'metric': 'dice'} in A, "),
        ({"scale": "smoke"}, "scale: full in A, smoke in B"),
        ({"compare": ["model"]}, "compare: ['model', 'loss'] in A, ['model'] in B"),
        (
            {"pseudonyms": "77"},
            "names of cases and patients, by the salt that they were replaced with: none in A, 77 in B",
        ),
    ],
)
def test_a_contradiction_is_a_line_with_both_sides(changes: dict[str, Any], said: str) -> None:
    united, conflicts = unite_suites([suite(), suite(**changes)], NAMES)
    assert len(conflicts) == 1
    assert str(conflicts[0]).startswith(said)
    assert (conflicts[0].kept, conflicts[0].other) == (0, 1)
    assert {**(united or {}), "pseudonyms": None} == {**suite(), "pseudonyms": None}
    # Other data, or names of patients that do not meet, cannot lie side by side, whoever is preferred.
    assert conflicts[0].final == said.startswith(("task lung: split", "scale", "compare", "names"))


def test_older_suites_that_say_less_contradict_nobody() -> None:
    old = suite(tasks=[{"name": "lung"}], studies=[{"id": "s1", "task": "lung", "entry": "unet + dice"}])
    united, conflicts = unite_suites([old, suite()], NAMES)
    assert conflicts == []
    assert united is not None
    assert united["studies"][0]["final"] == {"folds": [0], "seeds": [0]}
    assert united["tasks"][0]["metrics"] == ["dice"]
    new = suite(tasks=[{**suite()["tasks"][0], "patients_from": "images"}])
    for first, second in ((suite(), new), (new, suite())):
        united, conflicts = unite_suites([first, second], NAMES)
        assert conflicts == []
        assert united is not None
        assert united["tasks"][0]["patients_from"] == "images"


def test_a_claim_is_as_old_as_where_it_came_first() -> None:
    first = {"a": {"id": "a", "at": "2026-01-02T00:00:00+00:00"}, "b": {"id": "b", "at": None}}
    second = {
        "a": {"id": "a", "at": "2026-01-01T00:00:00+00:00"},
        "b": {"id": "b", "at": "2026-01-03T00:00:00+00:00"},
    }
    united, conflicts = unite_suites(
        [{"suite": "s", "registered": first}, {"suite": "s", "registered": second}], ["A", "B"]
    )
    assert conflicts == []
    assert united is not None
    assert {key: known["at"] for key, known in united["registered"].items()} == {
        "a": "2026-01-01T00:00:00+00:00",
        "b": "2026-01-03T00:00:00+00:00",
    }
    without, _ = unite_suites([{"suite": "s"}, None], ["A", "B"])
    assert without is not None
    assert "registered" not in without
