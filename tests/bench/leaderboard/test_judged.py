"""What corrected p-values and intervals mean: verdicts, tiers, and what so many patients could have seen."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pytest

from bench.leaderboard.against_best import AgainstBest
from bench.leaderboard.table import EntryRow, Estimate, TaskBoard
from bench.leaderboard.verdicts import judged
from bench.stats.effects import Effect, Size
from bench.stats.power import minimum_detectable_difference

Row = Callable[..., EntryRow]
Board = Callable[..., TaskBoard]
NAN = math.nan


@dataclass(frozen=True)
class Told(AgainstBest):
    """Comparisons whose intervals are given."""

    spans: Mapping[str, list[Estimate]] = field(default_factory=dict)
    asked: list[float] = field(default_factory=list)

    def intervals(self, names: Sequence[str], level: float) -> dict[str, list[Estimate]]:
        self.asked.append(level)
        return {name: self.spans[name] for name in names}


def effect(side: float) -> Effect:
    size = Size(side)
    return Effect(n=30, mean=size, median=size, rank_biserial=size, improvement=size)


@pytest.fixture
def make(make_row: Row, make_board: Board) -> Callable[..., TaskBoard]:
    """Returns a table of raw p-values and differences, not judged yet: all pairs of entries can have a p-value."""

    def build(
        *pairs: tuple[float, float],
        patients: int | Sequence[int] = 30,
        sides: Sequence[float] | None = None,
        spans: Sequence[list[tuple[float, float]]] | None = None,
        **changes: Any,
    ) -> TaskBoard:
        each = [patients] * len(pairs) if isinstance(patients, int) else list(patients)
        ends = spans or [[(gap - abs(gap) / 2, gap + abs(gap) / 2)] for _, gap in pairs]
        best = make_row(
            "best + dice",
            verdict="best",
            p_raw=NAN,
            tier=0,
            difference=Estimate(0.0),
            difference_sd=NAN,
            mdd=NAN,
        )
        others = [
            make_row(f"m{place} + dice", verdict="cannot tell", p_raw=p, difference=Estimate(gap), tier=0,
                     difference_sd=0.05, n_compared=n, effect=effect(side))
            for place, ((p, gap), n, side) in enumerate(
                zip(pairs, each, sides or [gap for _, gap in pairs], strict=True)
            )
        ]  # fmt: skip
        known = {
            row.entry: [Estimate(0.0, *end) for end in one] for row, one in zip(others, ends, strict=True)
        }
        size = len(pairs) + 1
        against = Told(best.entry, pd.DataFrame(), {}, {}, family=size * (size - 1) // 2, spans=known)
        return make_board(
            best, *others, **{"n_patients": max(each, default=30), "against": against} | changes
        )

    return build


def verdicts(board: TaskBoard) -> list[str]:
    return [row.verdict for row in board.rows]


def tiers(board: TaskBoard) -> list[int]:
    return [row.tier for row in board.rows]


def test_verdicts_and_tiers(make: Callable[..., TaskBoard]) -> None:
    (board,) = judged([make((0.9, -0.001), (0.0001, -0.1), (0.0002, 0.02))])
    assert verdicts(board) == ["best", "tied", "worse", "better"]
    # Who is better by its differences belongs to the first tier, whatever its mean.
    assert tiers(board) == [1, 1, 2, 1]
    # Six pairs of four entries, of which three are shown: times 6, 5, and 4.
    assert [row.p for row in board.rows[1:]] == pytest.approx([1.0, 0.0006, 0.001])
    assert board.comparisons == 6


def test_the_side_is_that_of_the_test_not_of_the_mean(make: Callable[..., TaskBoard]) -> None:
    """Better in 27 of 30 patients, and three disasters: the mean says worse."""
    (board,) = judged([make((0.0001, -0.07), sides=[0.8], spans=[[(-0.16, -0.001)]])])
    assert (verdicts(board), tiers(board)) == (["best", "better"], [1, 1])
    # The other way round: the ranks say worse, the mean better.
    (board,) = judged([make((0.0001, 0.07), sides=[-0.8], spans=[[(0.001, 0.16)]])])
    assert (verdicts(board), tiers(board)) == (["best", "better"], [1, 1])


@pytest.mark.parametrize(
    ("spans", "verdict"),
    [
        ([(-0.2, -0.01)], "worse"),
        ([(-0.2, 0.01)], "unsure"),
        ([(-0.2, 0.0)], "unsure"),
        ([(-0.2, -0.01), (-0.3, -0.001)], "worse"),
        ([(-0.2, -0.01), (-0.3, 0.1)], "unsure"),
    ],
)
def test_worse_is_who_is_so_by_the_test_and_all_intervals(
    make: Callable[..., TaskBoard], spans: list[tuple[float, float]], verdict: str
) -> None:
    (board,) = judged([make((0.0001, -0.1), spans=[spans])])
    assert verdicts(board) == ["best", verdict]
    assert tiers(board) == [1, 2 if verdict == "worse" else 1]


def test_intervals_are_at_the_level_of_the_family(make: Callable[..., TaskBoard]) -> None:
    boards = [make((0.0001, -0.1), (0.6, -0.1)), make((0.9, -0.1))]
    first, second = judged(boards)
    assert isinstance(first.against, Told)
    assert isinstance(second.against, Told)
    # Three pairs and one.
    assert first.against.asked == [pytest.approx(1 - 0.05 / 4)]
    assert first.comparisons == second.comparisons == 4


def test_who_has_too_few_patients_of_its_own_cannot_be_told(make: Callable[..., TaskBoard]) -> None:
    (board,) = judged([make((0.9, -0.1), (2 / 64, -0.1), (0.0001, -0.1), patients=[30, 6, 30])])
    assert verdicts(board)[1:] == ["tied", "cannot tell", "worse"]
    assert tiers(board) == [1, 1, 0, 2]
    assert board.rows[2].mdd == math.inf


def test_where_nothing_can_be_told_nobody_is_in_a_tier(make: Callable[..., TaskBoard]) -> None:
    (board,) = judged([make((NAN, -0.1), (NAN, -0.2), patients=4)])
    assert verdicts(board) == ["best", "cannot tell", "cannot tell"]
    assert tiers(board) == [0, 0, 0]
    assert all(row.mdd == math.inf for row in board.rows[1:])
    assert all(row.too_small for row in board.rows[1:])


def test_too_many_comparisons_for_so_few_patients_cannot_tell(make: Callable[..., TaskBoard]) -> None:
    # Six patients give 2/64 at best, times three pairs: no p below 0.094.
    (board,) = judged([make((2 / 64, -0.1), (2 / 64, -0.2), patients=6)])
    assert board.smallest_p == pytest.approx(6 / 64)
    assert verdicts(board)[1:] == ["cannot tell", "cannot tell"]


def test_a_single_entry_is_the_best(make: Callable[..., TaskBoard]) -> None:
    (board,) = judged([make()])
    assert (verdicts(board), tiers(board), board.comparisons) == (["best"], [1], 0)
    assert math.isnan(board.mdd)


def test_parts_are_one_family(make: Callable[..., TaskBoard]) -> None:
    alone = judged([make((0.02, -0.1))])[0]
    assert verdicts(alone)[1] == "worse"
    first, second = judged([make((0.02, -0.1)), make((0.03, -0.1), (0.5, -0.1))])
    # One pair and three: times 4, 3 and 2.
    assert [row.p for row in first.rows[1:]] == pytest.approx([0.08])
    assert [row.p for row in second.rows[1:]] == pytest.approx([0.09, 1.0])
    assert verdicts(first)[1] == "tied"
    assert first.comparisons == second.comparisons == 4


def test_what_could_be_seen_is_reckoned_with_the_family(make: Callable[..., TaskBoard]) -> None:
    (board,) = judged([make((0.5, -0.01), (0.6, -0.01))])
    expected = minimum_detectable_difference(0.05, 30, 0.05 / 3)
    assert [row.mdd for row in board.rows[1:]] == pytest.approx([expected, expected])
    assert board.mdd == pytest.approx(expected)
    assert expected > minimum_detectable_difference(0.05, 30, 0.05)


def test_shorter_distances_are_better(make: Callable[..., TaskBoard]) -> None:
    from bench.leaderboard.facts import metric_facts

    facts = (metric_facts("hd95", "mm"),)
    (board,) = judged([make((0.001, 5.0), (0.001, -5.0), sides=[-0.5, 0.5], facts=facts)])
    assert verdicts(board)[1:] == ["worse", "better"]
