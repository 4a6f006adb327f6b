"""What a table's comparisons with the best mean: one family, and a verdict and a tier for each row."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench.leaderboard.estimate import Estimate
from bench.leaderboard.table import EntryRow, TaskBoard, Verdict
from bench.stats.paired import ALPHA, holm, holm_level, smallest_p
from bench.stats.power import minimum_detectable_difference


def smallest_holm_p(comparisons: int, patients: int) -> float:
    """Returns the smallest p-value after Holm's first step in a family of tests, of a test over so many patients."""
    return min(1.0, max(1, comparisons) * smallest_p(patients))


def judged(boards: Sequence[TaskBoard]) -> list[TaskBoard]:
    """Corrects the p-values of all comparisons of these tables as one family, and says what they mean.

    The best is chosen by the same data, so the family is all pairs of entries that could have a p-value, table by
    table, and not only those that are shown. A row is worse than the best if the test says so and all intervals of
    the mean difference agree, at the level of Holm's first step: over patients and, where there are several, over
    trainings.

    Args:
        boards: Tables whose rows have their raw p-values, the best row its verdict.
    """
    family = sum(board.against.family for board in boards if board.against is not None)
    raw = [row.p_raw for board in boards for row in board.rows if row.verdict != "best"]
    corrected = iter(holm(raw, family=family))
    return [
        _judged_board(board, [next(corrected) for row in board.rows if row.verdict != "best"], family)
        for board in boards
    ]


def _judged_board(board: TaskBoard, corrected: Sequence[float], family: int) -> TaskBoard:
    level = holm_level(family)
    others = [row for row in board.rows if row.verdict != "best"]
    p = {row.entry: value for row, value in zip(others, corrected, strict=True)}
    significant = [name for name, value in p.items() if value < ALPHA]
    spans = {} if board.against is None else board.against.intervals(significant, 1 - level)
    sign = board.facts[0].sign if board.facts else 1
    rows = [
        row
        if row.verdict == "best"
        else replace(
            row,
            p=p[row.entry],
            verdict=_verdict(row, p[row.entry], family, [_turned(one, sign) for one in spans.get(row.entry, ())]),
            mdd=minimum_detectable_difference(row.difference_sd, row.n_compared, level),
        )
        for row in board.rows
    ]  # fmt: skip
    return replace(
        board,
        rows=tuple(replace(row, tier=_tier(row, rows)) for row in rows),
        comparisons=family,
        smallest_p=smallest_holm_p(family, max((row.n_compared for row in others), default=0)),
        mdd=_median([row.mdd for row in rows]),
    )


def _median(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.median(known)) if known else math.nan


def _turned(found: Estimate, sign: int) -> tuple[float, float]:
    """Returns the ends of an interval, above zero where better."""
    low, high = sorted((sign * found.low, sign * found.high))
    return low, high


def _verdict(row: EntryRow, p: float, family: int, spans: Sequence[tuple[float, float]]) -> Verdict:
    """Says what a corrected p-value means, given the intervals of the mean difference, above zero where better."""
    if not p < ALPHA:
        few = smallest_holm_p(family, row.n_compared) >= ALPHA
        return "cannot tell" if math.isnan(p) or few else "tied"
    if row.side > 0 or (spans and spans[0][0] > 0):
        return "better"
    return "worse" if spans and all(high < 0 for _, high in spans) else "unsure"


def _tier(row: EntryRow, rows: Sequence[EntryRow]) -> int:
    """Returns 1 for the best and who is not separable from it, 2 for the others, 0 where nothing can be told."""
    if row.verdict == "best":
        others = [other.verdict for other in rows if other.verdict != "best"]
        return 0 if others and set(others) == {"cannot tell"} else 1
    return {"tied": 1, "better": 1, "unsure": 1, "worse": 2, "cannot tell": 0}[row.verdict]
