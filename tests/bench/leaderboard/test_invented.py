"""Labels that are not there and are predicted: they count in every comparison, and in nobody else's mean."""

import csv
import io
import json
import math
from typing import Any

import pytest

from bench.leaderboard import answer_claims, load_tasks, render
from bench.leaderboard.answer import answer
from bench.leaderboard.notes import footer, heading
from bench.leaderboard.request import Request
from bench.leaderboard.table import TaskBoard

CLAIM = {"id": "c", "task": "lung", "better": {"model": "careful"}, "than": {"model": "invents"}}


def write(world: Any, model: str, there: float, invented: int, empty: int = 12, **changes: Any) -> None:
    """Writes 12 patients with the label and `empty` without it; it is predicted in the first `invented` of these."""
    row = world.trial(model, **changes)
    cases = []
    for patient in range(12 + empty):
        dice, hd95, status = there - 0.01 * patient, 10.0, "ok"
        if patient >= 12 + invented:
            dice, hd95, status = math.nan, math.nan, "both_empty"
        elif patient >= 12:
            dice, hd95, status = 0.0, math.inf, "reference_empty"
        cases += [
            world.case(row["trial"], patient, "dice", dice, status),
            world.case(row["trial"], patient, "hd95", hd95, status),
        ]
    world.store.write(row, cases, [])


def board_of(world: Any, **options: Any) -> TaskBoard:
    return answer(world.store, Request(resamples=300, **options), "today").boards[0]


@pytest.fixture
def world_of_two(world: Any) -> Any:
    write(world, "careful", 0.8, 0)
    write(world, "invents", 0.8, 12)
    return world


@pytest.mark.parametrize(("metric", "gap"), [("dice", -0.5), ("hd95", 50.0)])
def test_who_invents_labels_is_clearly_worse(world_of_two: Any, metric: str, gap: float) -> None:
    first, second = board_of(world_of_two, metric=metric).rows
    assert (first.model, second.model, second.verdict, second.n_compared) == (
        "careful",
        "invents",
        "worse",
        24,
    )
    assert second.p == pytest.approx(2 / 2**12)
    assert second.difference.mean == pytest.approx(gap)
    assert second.difference.low < gap < second.difference.high
    # What an entry's own mean says does not depend on who else is there.
    means = {row.model: row.metrics["dice"].mean for row in (first, second)}
    assert means == pytest.approx({"careful": 0.745, "invents": 0.745 / 2})


def test_the_footer_and_the_counts_say_it(world_of_two: Any) -> None:
    board = board_of(world_of_two)
    assert [(row.n_empty_reference, row.n_hallucinated) for row in board.rows] == [(12, 0), (12, 12)]
    assert any("the difference is not that of the means" in line for line in footer(board))
    rows = list(csv.DictReader(io.StringIO(render([board], style="csv"))))
    assert [(row["n_hallucinated"], row["p_patients"]) for row in rows] == [("0", ""), ("12", "24")]
    found = json.loads(render([board], style="json"))["boards"][0]["rows"][1]
    assert (found["n_hallucinated"], found["n_compared"]) == (12, 24)
    assert " | false | " in render([board], style="md")
    assert " | valid | empty | false | fail | miss | " in render([board], style="md", names=("counts",))


def test_a_claim_is_answered_by_it(world_of_two: Any) -> None:
    (found,) = answer_claims([CLAIM], load_tasks(world_of_two.store), resamples=300)
    (part,) = found.comparisons
    assert (found.answer, part.n_patients, part.difference.mean) == ("supported", 24, pytest.approx(0.5))


def test_a_claim_over_several_entries_keeps_the_patient_where_one_of_them_invents(world: Any) -> None:
    for loss, invented in (("dice", 12), ("ce", 0)):
        write(world, "careful", 0.8, 0, loss=loss)
        write(world, "invents", 0.8, invented, loss=loss)
    (found,) = answer_claims([CLAIM], load_tasks(world.store), resamples=300)
    (part,) = found.comparisons
    # 1 against the mean of 0 (invented with Dice loss) and 1 (rightly left out with CE), in half of the patients.
    assert (part.n_patients, part.difference.mean) == (24, pytest.approx(0.25))


def test_patients_that_count_for_neither_are_left_out_and_told(world: Any) -> None:
    write(world, "careful", 0.8, 0)
    write(world, "poor", 0.5, 0)
    board = board_of(world)
    assert (board.n_patients, board.rows[1].n_compared) == (24, 12)
    assert not any("not that of the means" in line for line in footer(board))
    assert "24 test patients, 24 cases, Dice of 12 patients" in heading(board)
    assert "| 0.00049 |" in render([board], style="md")


def test_a_mean_that_hides_inventions_is_marked(world: Any) -> None:
    # Own means: 0.245 of twelve patients, and 12 * 0.845 / 32 = 0.317.
    write(world, "careful", 0.3, 0, empty=20)
    write(world, "invents", 0.9, 20, empty=20)
    board = board_of(world)
    first, second = board.rows
    assert (first.model, second.model) == ("invents", "careful")
    # 12 times 0.6 worse, 20 times right by all there is.
    assert second.difference.mean == pytest.approx((20 - 12 * 0.6) / 32)
    assert second.verdict == "better"
    assert any(line.startswith("!: p < 0.05, but the differences speak against") for line in footer(board))


@pytest.mark.parametrize("scheme", ["rank", "test"])
def test_ranks_within_patients_and_tests_count_inventions(world: Any, scheme: str) -> None:
    """A little better in the 12 patients with the label, wrong in the 20 without."""
    write(world, "careful", 0.8, 0, empty=20)
    write(world, "invents", 0.81, 20, empty=20)
    board = board_of(world, rank_by=scheme, columns=("quality",))
    assert [(row.model, row.rank) for row in board.rows] == [("careful", 1), ("invents", 2)]
    assert board.rows[1].verdict == "worse"
    assert board.map is not None
    # Ranks by tests are those of the map that is shown.
    assert (board.map.iloc[0, 1] < 0.05, board.map.iloc[1, 0] < 0.05) == (True, False)
    assert board.ranking is not None
    assert board.ranking.probability[0, 0] > 0.9


def test_the_interval_over_trainings_is_of_the_difference_that_is_tested(world: Any) -> None:
    for seed in range(3):
        write(world, "careful", 0.8, 0, seed=seed)
        write(world, "invents", 0.8, 12, seed=seed)
    second = board_of(world).rows[1]
    assert second.trained.mean == second.difference.mean == pytest.approx(-0.5)
    # Half of the patients differ by 1, and seeds by nothing: t of 23 degrees of freedom.
    half = 2.0687 * math.sqrt(0.25 * 24 / 23 / 24)
    assert (second.trained.low, second.trained.high) == (
        pytest.approx(-0.5 - half, abs=1e-4),
        pytest.approx(-0.5 + half, abs=1e-4),
    )


def test_other_policies_count_as_before(world_of_two: Any) -> None:
    board = board_of(world_of_two, policy="one")
    first, second = board.rows
    assert second.difference.mean == pytest.approx(second.metrics["dice"].mean - first.metrics["dice"].mean)
    assert not board.paired_absent
