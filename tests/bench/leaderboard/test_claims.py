"""Answers to pre-registered claims."""

import math
from typing import Any

import pytest

from bench.leaderboard.cells import load_tasks
from bench.leaderboard.claims import ClaimResult, answer_claims

CLAIM = {
    "id": "c",
    "task": "lung",
    "better": {"loss": "dice"},
    "than": {"loss": "ce"},
    "metric": "dice",
    "margin": 0,
}


def answer(world: Any, *changes: dict[str, Any]) -> list[ClaimResult]:
    claims = [CLAIM | change for change in changes]
    return answer_claims(claims, load_tasks(world.store), resamples=500)


@pytest.fixture
def two_by_two(world: Any) -> Any:
    """Dice loss gains 0.05 with either model; the models differ by 0.2."""
    for model, base in (("unet", 0.9), ("resunet", 0.7)):
        world.final(model, "dice", quality=base, patients=12)
        world.final(model, "ce", quality=base - 0.05, patients=12)
    return world


@pytest.mark.parametrize(
    ("margin", "expected"), [(0.0, "supported"), (0.03, "supported"), (0.05, "undecided"), (0.08, "refuted")]
)
def test_margin_decides(two_by_two: Any, margin: float, expected: str) -> None:
    (claim,) = answer(two_by_two, {"margin": margin})
    assert claim.answer == expected
    (part,) = claim.comparisons
    assert part.difference.mean == pytest.approx(0.05, abs=0.01)
    assert part.difference.low < part.difference.mean < part.difference.high
    assert part.n_patients == 12
    assert (part.p < 0.05) == (expected != "undecided")


def test_the_opposite_is_refuted(two_by_two: Any) -> None:
    (claim,) = answer(two_by_two, {"better": {"loss": "ce"}, "than": {"loss": "dice"}})
    assert claim.answer == "refuted"


def test_shorter_is_better_for_distances(two_by_two: Any) -> None:
    (claim,) = answer(two_by_two, {"metric": "hd95"})
    assert claim.answer == "supported"
    assert claim.comparisons[0].difference.mean == pytest.approx(1.0, abs=0.2)


def test_an_axis_that_each_study_chose_for_itself_is_not_paired(world: Any) -> None:
    world.final("unet", "ce", quality=0.9, patients=12)
    world.final("resunet", "dice", quality=0.8, patients=12)
    claim = CLAIM | {"better": {"model": "unet"}, "than": {"model": "resunet"}}
    cells = load_tasks(world.store)
    (paired,) = answer_claims([claim], cells, resamples=300)
    (alone,) = answer_claims([claim], cells, resamples=300, compare_axes=["model"])
    assert (paired.answer, alone.answer) == ("undecided", "supported")


def test_free_axes_are_paired_not_pooled(two_by_two: Any) -> None:
    # A third model with CE only, and a very good one: it must not speak for CE.
    two_by_two.final("star", "ce", quality=0.99, patients=12)
    (claim,) = answer(two_by_two, {})
    assert claim.answer == "supported"


def test_each_of_a_list_must_be_beaten(two_by_two: Any) -> None:
    for model in ("unet", "resunet"):
        two_by_two.final(model, "focal", quality=0.95, patients=12)
    (claim,) = answer(two_by_two, {"than": {"loss": ["ce", "focal"]}})
    assert [part.answer for part in claim.comparisons] == ["supported", "refuted"]
    assert [part.than for part in claim.comparisons] == [{"loss": "ce"}, {"loss": "focal"}]
    assert claim.answer == "refuted"


def test_holm_counts_all_comparisons_of_all_claims(two_by_two: Any) -> None:
    (alone,) = answer(two_by_two, {})
    together = answer(two_by_two, {}, {"id": "d", "better": {"model": "unet"}, "than": {"model": "resunet"}})
    assert together[0].comparisons[0].p == pytest.approx(2 * alone.comparisons[0].p)


def test_few_patients_leave_it_undecided(world: Any) -> None:
    world.final("unet", "dice", quality=0.9, patients=5, noise=0)
    world.final("unet", "ce", quality=0.5, patients=5, noise=0)
    (claim,) = answer(world, {})
    (part,) = claim.comparisons
    assert claim.answer == "undecided"
    assert part.why == "5 patients cannot give a p-value below 0.0625"
    assert part.difference.mean == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"than": {"loss": "focal"}}, "no ranked entry has focal"),
        ({"better": {"model": "unet", "loss": "lovasz"}}, "no ranked entry has unet + lovasz"),
        ({"metric": "nsd"}, "no test values of metric 'nsd'"),
    ],
)
def test_nothing_to_compare(two_by_two: Any, change: dict[str, Any], why: str) -> None:
    (claim,) = answer(two_by_two, change)
    assert claim.answer == "undecided"
    assert math.isnan(claim.comparisons[0].p)
    assert why in claim.comparisons[0].why


def test_sides_without_a_common_partner(world: Any) -> None:
    world.final("unet", "dice")
    world.final("resunet", "ce")
    (claim,) = answer(world, {})
    assert claim.comparisons[0].why == "no model has both sides"


def test_imputed_values_are_told(two_by_two: Any) -> None:
    two_by_two.final("unet", "ce", seed=1, patients=12)
    (claim,) = answer(two_by_two, {})
    assert claim.notes == ("rests on marked results: resunet + ce, resunet + dice, unet + dice",)


def test_claims_on_other_tasks_are_left_out(two_by_two: Any) -> None:
    assert answer(two_by_two, {"task": "heart"}) == []
