"""What it would take to decide."""

import math
from itertools import count

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.power import TTestPower

from bench.leaderboard.answers import Question, Step, weigh
from bench.leaderboard.contrast import Contrast
from bench.leaderboard.estimate import Estimate
from bench.leaderboard.judge import judge
from bench.leaderboard.outlook import detectable, outlook
from bench.stats.aggregate import RunValues
from bench.stats.power import EFFICIENCY, minimum_detectable_difference
from bench.stats.variance import difference_components


def patients_needed(difference: float, sd: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Returns from how many patients on a difference is detectable, one by one."""
    return next(n for n in count(2) if minimum_detectable_difference(sd, n, alpha, power) <= difference)


def of_patients(d: np.ndarray) -> Contrast:
    return Contrast(pd.Series(d, [f"p{place}" for place in range(len(d))]).rename_axis("patient"))


def of_runs(values: np.ndarray) -> Contrast:
    """Returns the contrast of differences (runs, patients)."""
    patients = tuple(f"p{place}" for place in range(values.shape[1]))
    both = np.stack([values, np.zeros_like(values)])
    runs = RunValues(("a", "b"), tuple((0, seed) for seed in range(len(values))), patients, both)
    return Contrast(of_patients(values.mean(axis=0)).d, difference_components(runs, "a", "b"))


def spread(n: int, mean: float, sd: float) -> np.ndarray:
    """Returns numbers of exactly this mean and standard deviation."""
    raw = np.random.default_rng(n).normal(0, 1, n)
    return np.asarray(mean + sd * (raw - raw.mean()) / raw.std(ddof=1))


def test_one_training_takes_the_patients_of_the_signed_rank_test() -> None:
    contrast = of_patients(spread(20, 0.012, 0.03))
    found = outlook(contrast, Question(0.002), Estimate(0.012, -0.001, 0.022), family=2)
    assert found is not None
    assert found.towards == "supported"
    assert found.units == patients_needed(0.01, 0.03, 0.025)
    assert found.least == patients_needed(0.02, 0.03, 0.025)
    assert found.detectable == minimum_detectable_difference(contrast.sd, 20, 0.025)
    assert math.isnan(found.seeds)
    assert math.isnan(found.training_share)


@pytest.mark.parametrize(("effect", "by_t"), [(0.2, 198.15), (0.5, 33.37), (0.8, 14.30)])
def test_patients_are_those_of_a_t_test_by_the_efficiency(effect: float, by_t: float) -> None:
    # Cohen 1988, a paired t-test.
    assert TTestPower().solve_power(effect_size=effect, alpha=0.05, power=0.8) == pytest.approx(
        by_t, abs=0.01
    )
    found = outlook(of_patients(spread(20, effect, 1.0)), Question(), Estimate(effect, 0, 1), 1)
    assert found is not None
    assert found.units == pytest.approx(by_t / EFFICIENCY, abs=1.5)


@pytest.mark.parametrize(
    ("mean", "question", "towards"),
    [
        (0.02, Question(0.01, 0.01), "supported"),
        (0.004, Question(0.01, 0.01), "practically equivalent"),
        (-0.02, Question(0.01, 0.01), "refuted"),
        (0.004, Question(0.01), "refuted"),
        # Exactly on the margin no number of patients decides.
        (0.01, Question(0.01), "refuted"),
    ],
)
def test_it_is_towards_what_the_mean_speaks_for(mean: float, question: Question, towards: str) -> None:
    found = outlook(of_patients(np.full(8, mean)), question, Estimate(mean, mean, mean), 1)
    assert found is not None
    assert found.towards == towards
    assert found.units == (math.inf if mean == question.margin else 6)


@pytest.mark.parametrize(
    ("mean", "question", "interval", "end"),
    [
        (0.02, Question(0.01), (0.005, 0.03), 0.02),
        (-0.02, Question(0.01), (-0.04, 0.0), 0.05),
        # Within a region zero is easiest to show, if the interval holds it; else the end that is nearest.
        (0.005, Question(0.02, 0.02), (-0.005, 0.015), 0.02),
        (0.005, Question(0.02, 0.02), (0.004, 0.006), 0.016),
        (-0.005, Question(0.02, 0.02), (-0.006, -0.004), 0.016),
    ],
)
def test_the_favourable_end_of_the_interval(
    mean: float, question: Question, interval: tuple[float, float], end: float
) -> None:
    found = outlook(of_patients(spread(20, mean, 0.03)), question, Estimate(mean, *interval), 1)
    assert found is not None
    power = 0.9 if end == 0.02 and question.equivalence else 0.8
    assert found.least == patients_needed(end, 0.03, 0.05, power)
    assert found.least < found.units


def test_a_family_takes_more() -> None:
    one, many = (
        outlook(of_patients(spread(30, 0.02, 0.03)), Question(0.01), Estimate(0.02, 0.01, 0.03), family)
        for family in (1, 10)
    )
    assert one is not None
    assert many is not None
    assert many.units == patients_needed(0.01, 0.03, 0.005) > one.units
    assert many.detectable == minimum_detectable_difference(0.03, 30, 0.005)


def test_equivalence_takes_both_of_its_tests() -> None:
    at_zero = outlook(of_patients(spread(20, 0.0, 0.03)), Question(0.01, 0.01), Estimate(0, -0.01, 0.01), 1)
    off = outlook(
        of_patients(spread(20, 0.005, 0.03)), Question(0.01, 0.01), Estimate(0.005, -0.005, 0.015), 1
    )
    assert at_zero is not None
    assert off is not None
    # Each of the two tests with 90% power at least, then both have 80%.
    assert at_zero.units == patients_needed(0.01, 0.03, 0.05, 0.9)
    assert off.units > at_zero.units
    assert off.least == at_zero.units


def test_seeds_that_dominate_are_what_helps() -> None:
    rng = np.random.default_rng(0)
    values = 0.02 + np.array([0.03, -0.02, -0.01])[:, None] + rng.normal(0, 0.004, (3, 40))
    found = outlook(of_runs(values), Question(), Estimate(0.02, 0.019, 0.021), 1)
    assert found is not None
    assert found.training_share > 0.99
    assert found.units == math.inf
    assert 8 < found.seeds < 30


def test_patients_that_dominate_are_what_helps() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.001, (3, 20))
    contrast = of_runs(spread(20, 0.01, 0.05) + noise - noise.mean(axis=1)[:, None])
    found = outlook(contrast, Question(), Estimate(0.01, -0.01, 0.03), 1)
    assert found is not None
    assert found.training_share < 0.01
    assert found.seeds == math.inf
    assert found.units == pytest.approx(patients_needed(0.01, 0.05), rel=0.05)


def test_what_runs_scatter_by_beyond_that_falls_with_more_seeds() -> None:
    """Nothing but residual: a patient's mean over r runs has residual / r."""
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 0.05, (3, 20))
    noise += noise.mean() - noise.mean(axis=0) - noise.mean(axis=1)[:, None]
    # As much between patients as the residual explains, so that their own variance is zero.
    contrast = of_runs(0.008 + noise + spread(20, 0, noise.std() * math.sqrt(3 / 2) / math.sqrt(3)))
    parts = contrast.components
    assert (parts.patient, parts.seed) == pytest.approx((0, 0), abs=2e-4)
    found = outlook(contrast, Question(), Estimate(0.008, 0, 0.02), 1)
    assert found is not None
    assert math.isfinite(found.seeds)
    rest = contrast.sd**2 - parts.residual / 3
    expected = next(
        seeds
        for seeds in count(1)
        if minimum_detectable_difference(math.sqrt(max(0.0, rest + parts.residual / seeds)), 20)
        <= contrast.mean
    )
    # The interval over trainings asks for somewhat more.
    assert 3 < expected <= found.seeds < 1.5 * expected


def test_nothing_is_known_of_one_patient() -> None:
    assert outlook(of_patients(np.array([0.1])), Question(), Estimate(0.1), 1) is None
    assert math.isnan(detectable(of_patients(np.array([0.1])), 0.05))


@pytest.mark.slow
@pytest.mark.parametrize(("truth", "of_run"), [(0.012, 0.0), (0.018, 0.01)])
def test_so_many_patients_and_seeds_decide_in_four_of_five_cases(truth: float, of_run: float) -> None:
    rng, question = np.random.default_rng(2), Question(0.0)

    def drawn(patients: int, seeds: int) -> Contrast:
        values = truth + rng.normal(0, 0.03, patients) + rng.normal(0, of_run, seeds)[:, None]
        return of_runs(values + rng.normal(0, 0.02, (seeds, patients)))

    def share(patients: int, seeds: int) -> float:
        hits = 0
        for _ in range(600):
            one = drawn(patients, seeds)
            reading, _ = judge(one, question, weigh(one.array, question), Step(), resamples=499)
            hits += reading.answer == "supported"
        return hits / 600

    # From a run so large that its components and its mean are the true ones.
    large = drawn(3000, 300)
    parts = large.components
    pilot = Contrast(
        of_patients(spread(40, truth, math.sqrt(parts.patient + parts.residual / 5))).d,
        type(parts)(parts.patient, parts.seed, parts.fold, parts.residual, 40, 5, 1),
    )
    found = outlook(pilot, question, Estimate(truth, 0.0, 2 * truth), 1)
    assert found is not None
    if math.isfinite(found.units):
        assert share(int(found.units), 5) == pytest.approx(0.8, abs=0.07)
    if math.isfinite(found.seeds):
        assert share(40, int(found.seeds)) == pytest.approx(0.8, abs=0.09)
    assert math.isfinite(found.units) or math.isfinite(found.seeds)


@pytest.mark.slow
def test_the_luck_of_three_seeds_is_not_taken_for_a_difference_of_methods() -> None:
    rng, alone, crossed = np.random.default_rng(4), 0, 0
    for _ in range(1000):
        values = rng.normal(0, 0.03, 200) + rng.normal(0, 0.005, (3, 1)) + rng.normal(0, 0.02, (3, 200))
        contrast = of_runs(values)
        evidence = weigh(contrast.array, Question())
        alone += evidence.smallest < 0.05
        crossed += judge(contrast, Question(), evidence, Step(), resamples=199)[0].answer != "undecided"
    assert alone / 1000 > 0.15
    assert crossed / 1000 < 0.085
