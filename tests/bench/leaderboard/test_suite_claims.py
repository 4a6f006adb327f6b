"""Claims of a suite: one family whatever is looked at, and when they were written down."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bench.leaderboard.claim_sheet import claim_cells
from bench.leaderboard.load import load_tasks
from bench.leaderboard.notes import changed_claims, notice
from bench.leaderboard.suite_claims import suite_claims
from bench.plan.registered import with_registered

CLAIMS = [
    {"id": f"{task}-{loss}", "task": task, "better": {"loss": "dice"}, "than": {"loss": loss}}
    for task in ("lung", "heart")
    for loss in ("ce", "focal")
]


@pytest.fixture(scope="module")
def two_tasks(shared_world: Any) -> Any:
    for task in ("lung", "heart"):
        for loss, quality in (("dice", 0.9), ("ce", 0.8), ("focal", 0.85)):
            shared_world.final("unet", loss, quality=quality, patients=12, task=task)
    return shared_world


def studies(*names: str) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{task}-unet-{loss}",
            "task": task,
            "entry": f"unet + {loss}",
            "models": [{"label": "unet"}],
            "losses": [{"label": loss}],
            "final": {"folds": [0], "seeds": [0]},
        }
        for task in ("lung", "heart")
        for loss in names
    ]


def test_the_family_is_all_claims_whatever_task_is_looked_at(two_tasks: Any) -> None:
    two_tasks.store.write_suite(
        {"suite": "quick", "claims": CLAIMS, "studies": studies("dice", "ce", "focal")}
    )
    whole = suite_claims(two_tasks.store, load_tasks(two_tasks.store), resamples=99)
    part = suite_claims(two_tasks.store, load_tasks(two_tasks.store, tasks=["lung"]), resamples=99)
    assert [claim.id for claim in whole] == [claim["id"] for claim in CLAIMS]
    assert [claim.id for claim in part] == ["lung-ce", "lung-focal"]
    assert {claim.family for claim in part} == {4}
    assert [claim.comparisons[0].p for claim in part] == [claim.comparisons[0].p for claim in whole[:2]]


def test_the_family_is_the_same_before_other_tasks_have_results(world: Any) -> None:
    """Both tasks are planned; the second one has no result yet, then it has: what is known stays as it was."""
    world.store.write_suite({"suite": "quick", "claims": CLAIMS, "studies": studies("dice", "ce", "focal")})
    seen = []
    for task in ("lung", "heart"):
        for loss, quality in (("dice", 0.9), ("ce", 0.8), ("focal", 0.85)):
            world.final("unet", loss, quality=quality, patients=12, task=task)
        claims = suite_claims(world.store, load_tasks(world.store), resamples=99)
        seen.append([(claim.family, claim.comparisons[0].p, claim.answer) for claim in claims[:2]])
    assert seen[0] == seen[1]
    family, p, found = seen[0][0]
    assert (family, found) == (4, "supported")
    assert p == pytest.approx(4 * 2 / 2**12)


def test_planned_entries_are_known_from_the_suite(two_tasks: Any) -> None:
    claim = {**CLAIMS[0], "than": {"loss": "tversky"}}
    two_tasks.store.write_suite(
        {"suite": "quick", "claims": [claim], "studies": studies("dice", "ce", "focal", "tversky")}
    )
    (found,) = suite_claims(two_tasks.store, load_tasks(two_tasks.store), resamples=99)
    assert found.answer == "undecided"
    assert found.comparisons[0].why == "no ranked entry has tversky; unet + tversky: no trials yet"


def test_no_suite_claims_nothing(two_tasks: Any) -> None:
    two_tasks.store.write_suite({"suite": "quick"})
    assert suite_claims(two_tasks.store, load_tasks(two_tasks.store)) == []


@pytest.mark.parametrize(("minute", "early", "late"), [(0, 0, False), (1, 1, False), (9, 2, True)])
def test_claims_that_came_after_their_results_say_so(
    two_tasks: Any, minute: int, early: int, late: bool
) -> None:
    at = datetime(2026, 1, 2, 0, minute, 30, tzinfo=UTC)
    suite = {"suite": "quick", "claims": CLAIMS[:1], "studies": studies("dice", "ce", "focal")}
    two_tasks.store.write_suite(with_registered(suite, None, at))
    (found,) = suite_claims(two_tasks.store, load_tasks(two_tasks.store), resamples=99)
    # Its trials finished after one and two minutes.
    expected = f"written down on 2026-01-02 00:0{minute} UTC, after {early} of 2 of its final trials were run"
    assert found.notes == ((expected,) if early else ())
    # Of one side alone nobody knows the answer.
    assert found.late == late
    assert claim_cells(found, found.comparisons[0])[1] == ("supported (late)" if late else "supported")


def test_withdrawn_claims_are_told() -> None:
    first = with_registered({"claims": CLAIMS[:2]}, None, datetime(2026, 1, 1, tzinfo=UTC))
    later = with_registered({"claims": CLAIMS[:1]}, first, datetime(2026, 1, 2, tzinfo=UTC))
    assert changed_claims(first) == []
    assert changed_claims(later) == ["Claims of earlier runs, changed or dropped since: lung-focal."]
    assert notice(later | {"scale": "smoke"}).endswith("dropped since: lung-focal.")
