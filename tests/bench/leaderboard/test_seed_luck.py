"""Simulation: methods that are equal, trained a few times each; how often a table puts any of them into tier 2."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bench.leaderboard.against_best import AgainstBest, mean_errors
from bench.leaderboard.table import EntryRow, Estimate, TaskBoard
from bench.leaderboard.verdicts import judged
from bench.stats.aggregate import RunValues
from bench.stats.paired import compare, holm
from bench.stats.trainings import mean_error
from bench.stats.variance import difference_components

PATIENTS = 50
TIMES = 200
Row = Callable[..., EntryRow]
Board = Callable[..., TaskBoard]


def trained(rng: np.random.Generator, entries: int, seeds: int, luck: float) -> RunValues:
    """Draws values of equal methods: what patients find hard alike, an entry's own, luck of a seed, and the rest."""
    values = (
        rng.normal(0, 1, PATIENTS)
        + rng.normal(0, luck, (entries, seeds, 1))
        + rng.normal(0, 1, (entries, 1, PATIENTS)) / 2**0.5
        + rng.normal(0, 0.4, (entries, seeds, PATIENTS))
    )
    names = tuple(f"e{place:02}" for place in range(entries))
    patients = tuple(f"p{place:02}" for place in range(PATIENTS))
    return RunValues(names, tuple((0, seed) for seed in range(seeds)), patients, values)


def compared(runs: RunValues) -> AgainstBest:
    alone = pd.DataFrame(
        runs.values.mean(axis=1),
        pd.Index(runs.entries, name="entry"),
        pd.Index(runs.patients, name="patient"),
    )
    best = str(alone.mean(axis=1).idxmax())
    others = [name for name in runs.entries if name != best]
    size = len(runs.entries)
    return AgainstBest(
        best,
        alone,
        pairs={name: alone.loc[[name, best]] for name in others},
        tests={name: compare(alone, name, best) for name in others},
        errors=mean_errors({name: difference_components(runs, name, best) for name in others}, runs),
        family=size * (size - 1) // 2,
        resamples=1999,
    )


def second_tier(against: AgainstBest, make_row: Row, make_board: Board) -> tuple[bool, bool]:
    """Says whether any entry is in tier 2, and whether any would be by the test alone, over shown comparisons."""
    sizes = against.effects(1)
    rows = [
        make_row(name, verdict="cannot tell", p_raw=test.p, difference=Estimate(test.mean), difference_sd=test.sd,
                 n_compared=test.n, effect=sizes[name])
        for name, test in against.tests.items()
    ]  # fmt: skip
    best = make_row(against.best, verdict="best", p_raw=np.nan)
    (board,) = judged([make_board(best, *rows, against=against)])
    alone = holm([test.p for test in against.tests.values()])
    return any(row.tier == 2 for row in board.rows), min(alone) < 0.05


def test_no_pair_counts_as_luckier_than_the_average() -> None:
    """Two entries whose three seeds happen to agree, and two whose seeds do not."""
    rng = np.random.default_rng(0)
    luck = np.array([[0, 0, 0], [0, 0, 0], [-1, 0, 1], [1, -1, 0]])[:, :, None]
    values = luck + rng.normal(0, 0.1, (4, 1, PATIENTS)) + rng.normal(0, 0.01, (4, 3, PATIENTS))
    runs = RunValues(
        ("a", "b", "c", "d"),
        ((0, 0), (0, 1), (0, 2)),
        tuple(f"p{place:02}" for place in range(PATIENTS)),
        values,
    )
    pairs = {name: difference_components(runs, name, "a") for name in "bcd"}
    found = mean_errors(pairs, runs)
    # Variances of a pair's luck: 0, four times 1, and of (-2, 1, 1) 3; three runs.
    average = (0 + 4 * 1 + 3) / 6 / 3
    assert found["b"].trainings == pytest.approx(average, rel=0.02)
    assert found["c"].trainings == pytest.approx(average, rel=0.02)
    assert pairs["b"].seed < 1e-3
    # Of one pair's three runs, and of all four entries'.
    assert mean_error(pairs["c"]).freedom == pytest.approx(2, rel=0.01)
    assert found["b"].freedom == pytest.approx(2 * 3, rel=0.01)
    alone = mean_errors({"c": pairs["c"]}, replace(runs, entries=("a", "c"), values=values[[0, 2]]))
    assert alone["c"] == mean_error(pairs["c"])


@pytest.mark.slow
@pytest.mark.parametrize(("entries", "luck"), [(5, 0.0), (5, 0.2), (10, 0.2), (10, 0.3)])
def test_equal_methods_are_rarely_put_into_the_second_tier(
    entries: int, luck: float, make_row: Row, make_board: Board
) -> None:
    rng = np.random.default_rng(0)
    found = [
        second_tier(compared(trained(rng, entries, 3, luck)), make_row, make_board) for _ in range(TIMES)
    ]
    wrong, by_test_alone = np.mean(found, axis=0)
    print(f"{entries} entries, luck {luck}: {wrong:.1%}, by the test alone {by_test_alone:.1%}")
    assert wrong <= 0.07
    assert by_test_alone > 0.25 or not luck
