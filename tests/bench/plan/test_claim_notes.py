"""Claims that a plan cannot answer."""

from types import SimpleNamespace
from typing import Any

import pytest

from bench.plan.claim_notes import claim_notes
from bench.suite.schema import Claim

SIDES: dict[str, Any] = {"better": {"loss": "dice"}, "than": {"loss": ["bce", "focal"]}}


def notes(patients: dict[str, int], *claims: dict[str, Any], trainings: int = 3) -> list[str]:
    """Returns the notes of a plan as far as it matters here: test patients by task."""
    data = {
        name: SimpleNamespace(split=SimpleNamespace(test=tuple(map(str, range(count)))))
        for name, count in patients.items()
    }
    suite = SimpleNamespace(
        claims=tuple(Claim(id=f"c{place}", **claim) for place, claim in enumerate(claims))
    )
    plan: Any = SimpleNamespace(suite=suite, data=data, studies=(SimpleNamespace(final_total=trainings),))
    return list(claim_notes(plan))


def test_five_test_patients_decide_nothing() -> None:
    (line,) = notes({"lung": 5, "heart": 50}, {"task": "all", **SIDES})
    assert line == (
        "claim c0: 5 test patients of lung cannot give a p-value below 0.0625: it will stay undecided"
    )


def test_a_family_needs_more_of_them() -> None:
    claims = [{"task": ["lung", "heart"], **SIDES}, {"task": "heart", **SIDES}]
    assert notes({"lung": 8, "heart": 50}, claims[1]) == []
    (line,) = notes({"lung": 7, "heart": 50}, *claims)
    assert line == (
        "claim c0: 7 test patients of lung cannot give a p-value below 0.0938 if it is the first of 6 comparisons: "
        "it may stay undecided"
    )


@pytest.mark.parametrize(("trainings", "count"), [(1, 1), (2, 0)])
def test_one_training_says_nothing_of_other_seeds(trainings: int, count: int) -> None:
    found = notes({"lung": 50}, {"task": "lung", **SIDES}, trainings=trainings)
    assert len([line for line in found if line.startswith("claims rest on one training")]) == count


def test_without_claims_there_is_nothing_to_say() -> None:
    assert notes({"lung": 3}, trainings=1) == []


def test_over_tasks_patients_do_not_matter() -> None:
    assert notes({"lung": 3}, {"task": "all", "unit": "task", **SIDES}) == []
