"""A final trial that has not run yet is no failure: who waits for one is not ranked."""

from typing import Any

import pytest

from bench.errors import ResultsError
from bench.leaderboard.answer import Answer, answer
from bench.leaderboard.notes import remarks
from bench.leaderboard.request import Request

BEST, OTHER = "unet + dice", "resunet + dice"
GOES_ON = "`bench run` goes on, --on-missing worst ranks it all the same"


def said(world: Any, **options: Any) -> Answer:
    return answer(world.store, Request(resamples=50, **options), "today")


@pytest.fixture
def midrun(world: Any) -> Any:
    """The better one of two entries still lacks one of two seeds."""
    world.final("unet", quality=0.9)
    for seed in (0, 1):
        world.final("resunet", quality=0.8, seed=seed)
    return world


def test_who_waits_is_not_ranked(midrun: Any) -> None:
    (board,) = said(midrun).boards
    assert [row.entry for row in board.rows] == [OTHER]
    assert board.pending == {BEST: f"1 of 2 final trials not run yet; {GOES_ON}"}
    assert f"not ranked: {BEST} (1 of 2 final trials not run yet; {GOES_ON})" in remarks(board)
    assert board.on_missing is None


@pytest.mark.parametrize("status", ["interrupted", "infra_lost"])
def test_an_undecided_trial_is_not_failed(midrun: Any, status: str) -> None:
    midrun.final("unet", seed=1, status=status)
    midrun.final("resunet", seed=2)
    (board,) = said(midrun).boards
    assert board.pending[BEST].startswith(f"2 of 3 final trials still to be run: 1 {status}, 1 not run;")


def test_what_ran_and_failed_stays_worst(midrun: Any) -> None:
    midrun.final("unet", seed=1, status="oom")
    (board,) = said(midrun).boards
    assert [row.entry for row in board.rows] == [OTHER, BEST]
    assert not board.pending


def test_a_choice_ranks_it_fills_it_or_refuses(midrun: Any) -> None:
    (worst,) = said(midrun, on_missing="worst").boards
    assert [row.entry for row in worst.rows] == [OTHER, BEST]
    assert worst.rows[1].notes == ("incomplete: 1 of 2 final trials counted as worst (1 not run)",)
    (filled,) = said(midrun, on_missing="baseline", baseline=OTHER).boards
    assert [row.entry for row in filled.rows] == [BEST, OTHER]
    with pytest.raises(ResultsError, match=r"unet \+ dice: 8 values of dice missing"):
        said(midrun, on_missing="fail")


def test_the_plan_says_what_is_to_come(world: Any) -> None:
    for model in ("unet", "resunet"):
        world.final(model)
    studies = [
        {
            "id": f"lung-{m}-dice",
            "task": "lung",
            "entry": f"{m} + dice",
            "final": {"folds": [0], "seeds": [0, 1]},
        }
        for m in ("unet", "resunet")
    ]
    world.store.write_suite({"studies": studies})
    (board,) = said(world).boards
    assert not board.rows
    assert set(board.pending) == {BEST, OTHER}
