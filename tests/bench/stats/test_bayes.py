"""Bayesian tests with a region of practical equivalence: baycomp's numbers, and what they cannot say.

The package itself installs a folder `tests` beside all others, which hides ours. Its numbers were written down with
baycomp 1.0.3 and 200,000 draws (50,000 for 40 differences), `random_state=1`.
"""

import math

import numpy as np
import pandas as pd
import pytest

from bench.stats.aggregate import RunValues
from bench.stats.bayes import Rope, correlated_t, fold_differences, signed_rank_rope

ROPE = 0.01


def by_patient(d: "list[float] | np.ndarray") -> pd.Series:
    return pd.Series(np.asarray(d, float), index=pd.RangeIndex(len(d), name="patient"))


def rope_of(d: "list[float] | np.ndarray", rope: float = ROPE, **options: float) -> Rope:
    return signed_rank_rope(by_patient(d), rope, np.random.default_rng(0), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("n", "mean", "sd", "peer"),
    [
        (8, 0.0, 0.02, (0.886, 0.1136, 0.0004)),
        (12, 0.012, 0.02, (0.0002, 0.0975, 0.9023)),
        (40, -0.008, 0.03, (0.9192, 0.0808, 0.0)),
    ],
)
def test_signed_rank_agrees_with_baycomp(n: int, mean: float, sd: float, peer: tuple[float, ...]) -> None:
    d = np.random.default_rng(n).normal(mean, sd, n)
    ours = rope_of(d, draws=40_000)
    assert (ours.worse, ours.equivalent, ours.better) == pytest.approx(peer, abs=0.01)
    assert ours.worse + ours.equivalent + ours.better == pytest.approx(1)
    assert ours.n == n


def test_a_prior_that_weighs_much_makes_equivalent() -> None:
    d = [0.05] * 8
    found = rope_of(d, prior=12.0)
    assert (found.worse, found.equivalent, found.better) == pytest.approx((0.0, 0.1645, 0.8355), abs=0.01)
    assert rope_of(d).better == 1.0


def test_clear_answers() -> None:
    rng = np.random.default_rng(1)
    assert rope_of(rng.normal(0.1, 0.01, 20)).better == 1.0
    assert rope_of(rng.normal(-0.1, 0.01, 20)).worse == 1.0
    assert rope_of(rng.normal(0.0, 0.003, 20)).equivalent == 1.0


def test_turned_differences_turn_the_answer() -> None:
    d = np.random.default_rng(2).normal(0.01, 0.02, 15)
    found, turned = rope_of(d), rope_of(-d)
    assert (found.worse, found.better) == pytest.approx((turned.better, turned.worse), abs=0.02)


def test_the_edge_of_the_rope_is_within() -> None:
    # 0.1 + 0.2 and the like: sums that are not twice the rope in floats.
    assert rope_of([0.1, 0.2, 0.3, 0.1, 0.2, 0.3], rope=0.3).equivalent == 1.0
    assert rope_of([0.01] * 9).equivalent == 1.0


def test_it_speaks_of_patients_and_not_of_the_mean() -> None:
    """The mean of 400 patients is known to 0.005, but hardly a patient's difference is within the rope."""
    d = np.random.default_rng(3).normal(0, 0.1, 400)
    assert abs(d.mean()) < ROPE
    assert rope_of(d).equivalent == 0.0


def test_the_same_generator_gives_the_same_numbers() -> None:
    d = np.random.default_rng(4).normal(0.01, 0.02, 700)
    assert rope_of(d, draws=3000) == rope_of(d, draws=3000)


def test_too_few_patients_cannot_tell() -> None:
    found = rope_of([0.1] * 5)
    assert not found.can_tell
    assert math.isnan(found.equivalent)
    assert found.n == 5
    assert rope_of([0.1] * 6).can_tell


def test_signed_rank_refuses() -> None:
    with pytest.raises(ValueError, match="unknown origin"):
        signed_rank_rope(np.ones(600), ROPE, np.random.default_rng(0))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rope, draws and prior must be above zero, got 0"):
        rope_of([0.1] * 6, rope=0.0)


def cross_validation(d: list[float], seeds: int = 1) -> RunValues:
    """Each fold tests two patients; entry a is better than b by d of the fold, on average over seeds."""
    n = len(d)
    runs = tuple((fold, seed) for fold in range(n) for seed in range(seeds))
    values = np.full((2, len(runs), 2 * n), np.nan)
    for row, (fold, seed) in enumerate(runs):
        mine = slice(2 * fold, 2 * fold + 2)
        values[1, row, mine] = [0.5, 0.7]
        # Patients and seeds scatter around the fold's difference.
        values[0, row, mine] = (
            values[1, row, mine] + d[fold] + [0.01, -0.01] + (seed - (seeds - 1) / 2) * 0.02
        )
    return RunValues(("a", "b"), runs, tuple(f"p{i:02}" for i in range(2 * n)), values)


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize(
    ("rope", "peer"), [(0.0, (0.1812592779, 0.8187407221)), (ROPE, (0.06075, 0.5349435905))]
)
def test_correlated_t_agrees_with_baycomp(seeds: int, rope: float, peer: tuple[float, float]) -> None:
    d = [0.02, -0.01, 0.03, 0.015, 0.0]
    found = correlated_t(cross_validation(d, seeds), "a", "b", rope)
    assert (found.worse, found.better) == pytest.approx(peer, abs=1e-9)
    assert found.worse + found.equivalent + found.better == pytest.approx(1)
    # More seeds do not make more folds.
    assert found.n == 5


def test_correlated_t_follows_the_metric_s_direction_and_the_share_of_test_patients() -> None:
    runs = cross_validation([0.02, -0.01, 0.03, 0.015, 0.0])
    up, down = correlated_t(runs, "a", "b", ROPE), correlated_t(runs, "a", "b", ROPE, sign=-1)
    assert (up.worse, up.better) == pytest.approx((down.better, down.worse))
    assert correlated_t(runs, "a", "b", ROPE, test_share=0.2) == up
    # A larger share of test patients: the folds say less.
    assert correlated_t(runs, "a", "b", ROPE, test_share=0.5).worse > up.worse


def test_correlated_t_without_spread() -> None:
    runs = RunValues(
        ("a", "b"),
        ((0, 0), (1, 0), (2, 0)),
        ("p", "q", "r"),
        np.stack([np.diag([1.0] * 3), np.zeros((3, 3))]),
    )
    runs.values[:, ~np.eye(3, dtype=bool)] = np.nan
    assert correlated_t(runs, "a", "b", 0.5) == Rope(0, 0, 1, 3)
    assert correlated_t(runs, "a", "b", 1.0) == Rope(0, 1, 0, 3)


def test_folds_that_share_test_patients_are_refused() -> None:
    runs = RunValues(("a", "b"), ((0, 0), (1, 0), (2, 0)), ("p", "q"), np.zeros((2, 3, 2)))
    with pytest.raises(
        ValueError, match="test other patients each; p is tested by several: compare over patients"
    ):
        correlated_t(runs, "a", "b", ROPE)


def test_correlated_t_refuses_and_cannot_tell() -> None:
    runs = cross_validation([0.02, -0.01])
    assert not correlated_t(runs, "a", "b", ROPE).can_tell
    assert fold_differences(runs, "a", "b").to_dict() == {0: pytest.approx(0.02), 1: pytest.approx(-0.01)}
    with pytest.raises(ValueError, match="no entry 'c'; there are a, b"):
        correlated_t(runs, "a", "c", ROPE)
    with pytest.raises(ValueError, match="test_share within 0"):
        correlated_t(runs, "a", "b", ROPE, test_share=1.0)
