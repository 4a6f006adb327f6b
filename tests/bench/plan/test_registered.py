"""When claims were written down."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from bench.plan.registered import claim_key, registered_at, with_registered, withdrawn

CLAIM = {
    "id": "c",
    "task": "lung",
    "better": {"loss": "dice"},
    "than": {"loss": "ce"},
    "metric": "dice",
    "margin": 0.0,
}
FIRST = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def suite(*claims: dict[str, Any]) -> dict[str, Any]:
    return {"suite": "s", "claims": list(claims)}


def test_a_claim_keeps_the_time_of_the_first_run_that_had_it() -> None:
    first = with_registered(suite(CLAIM), None, FIRST.astimezone(timezone(timedelta(hours=9))))
    again = with_registered(suite(CLAIM), first, FIRST + timedelta(days=1))
    assert registered_at(first, CLAIM) == registered_at(again, CLAIM) == FIRST
    assert again["suite"] == "s"


def test_another_margin_is_another_claim() -> None:
    first = with_registered(suite(CLAIM), None, FIRST)
    changed = CLAIM | {"margin": 0.01}
    later = with_registered(suite(changed), first, FIRST + timedelta(days=1))
    assert registered_at(later, changed) == FIRST + timedelta(days=1)
    assert withdrawn(later) == ["c"]
    # Back again: it is as old as it was, and the other one is withdrawn.
    back = with_registered(suite(CLAIM), later, FIRST + timedelta(days=2))
    assert registered_at(back, CLAIM) == FIRST
    assert withdrawn(back) == ["c"]


def test_what_only_looks_different_is_the_same_claim() -> None:
    assert claim_key(CLAIM) == claim_key(CLAIM | {"task": ["lung"], "unit": "patient"})
    assert claim_key(CLAIM) == claim_key({key: CLAIM[key] for key in ("id", "task", "better", "than")})
    assert claim_key(CLAIM) != claim_key(CLAIM | {"equivalence": 0.01})
    assert claim_key(CLAIM) != claim_key(CLAIM | {"task": ["lung", "heart"]})


def test_of_results_that_kept_no_times_nobody_knows() -> None:
    later = with_registered(suite(CLAIM), suite(CLAIM), FIRST)
    assert registered_at(later, CLAIM) is None
    assert registered_at(suite(CLAIM), CLAIM) is None
    assert withdrawn(suite(CLAIM)) == []


def test_a_suite_without_claims_stays_as_it_is() -> None:
    assert with_registered({"suite": "s"}, None, FIRST) == {"suite": "s"}


def test_a_claim_of_another_version_is_no_error() -> None:
    newer = CLAIM | {"prior": "sceptical"}
    kept = with_registered(suite(CLAIM), suite(newer), FIRST)
    assert registered_at(kept, CLAIM) == FIRST
    assert claim_key(newer) != claim_key(CLAIM)
