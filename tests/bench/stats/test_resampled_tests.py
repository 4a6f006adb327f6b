"""Signed-rank tests within bootstrap samples: the repeated patients, tested one by one, as oracle."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from bench.stats.resample import draws
from bench.stats.resampled_tests import ResampledTests, holm_rejects, significant_wins
from bench.stats.signed_rank import signed_rank_p


def counts(patients: int, resamples: int, seed: int = 0) -> np.ndarray:
    return np.concatenate(list(draws(patients, np.random.default_rng(seed), resamples)))


def one_by_one(d: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Returns p of being greater, and of being less, of each resample and pair."""
    p = np.empty((2, len(drawn), len(d)))
    for place, alternative in enumerate(("greater", "less")):
        for i, times in enumerate(drawn):
            for j, row in enumerate(d):
                repeated = np.repeat(row, times)
                p[place, i, j] = signed_rank_p(repeated[~np.isnan(repeated)], alternative)
    return p


def gaps(patients: int, seed: int) -> np.ndarray:
    """Four pairs: plain; with zeros and ties of both signs; without some patients; coarse."""
    rng = np.random.default_rng(seed)
    d = rng.normal(0.15, 1, (4, patients))
    d[1, :10], d[1, 10:30] = 0.0, np.resize([0.5, -0.5, 0.5], 20)
    d[2, ::4] = np.nan
    d[3] = np.round(d[3])
    return d


@pytest.mark.parametrize("seed", range(3))
def test_many_patients_agree_to_the_last_digit(seed: int) -> None:
    d, drawn = gaps(120, seed), counts(120, 8, seed)
    np.testing.assert_allclose(ResampledTests(d).p(drawn), one_by_one(d, drawn), rtol=1e-9)


@pytest.mark.parametrize("patients", [6, 9, 20, 50])
def test_few_patients_without_ties_are_exact(patients: int) -> None:
    d = np.random.default_rng(patients).normal(0.4, 1, (5, patients))
    d[4] = np.abs(d[4])
    once = np.ones((1, patients), int)
    np.testing.assert_allclose(ResampledTests(d).p(once), one_by_one(d, once), rtol=1e-9)


@pytest.mark.parametrize("patients", [10, 20, 40])
def test_few_patients_drawn_again_are_nearly_exact(patients: int) -> None:
    d = np.random.default_rng(1).normal(0.4, 1, (3, patients))
    drawn = counts(patients, 60)
    ours, exact = np.stack(ResampledTests(d).p(drawn)), one_by_one(d, drawn)
    assert np.abs(ours - exact).max() < 0.3 / patients
    assert ((ours < 0.05) != (exact < 0.05)).mean() < 0.02
    # With all differences of one sign p is as small as exact p-values get, however often patients were drawn.
    greater, less = ResampledTests(np.abs(d)).p(drawn)
    np.testing.assert_allclose(greater, 2.0**-patients, rtol=1e-9)
    np.testing.assert_allclose(less, 1)


def test_zeros_are_ranked_and_dropped() -> None:
    d = np.array([[0, 0, 0, 0.1, 0.2, -0.3, 0.4, 0.5], [0.0] * 8])
    once = np.ones((1, 8), int)
    np.testing.assert_allclose(ResampledTests(d).p(once), one_by_one(d, once), rtol=1e-9)


def test_too_few_patients_have_no_p() -> None:
    d = np.ones((2, 7))
    d[1, :2] = np.nan
    greater, less = ResampledTests(d).p(np.ones((1, 7), int))
    assert greater[0, 0] == pytest.approx(2.0**-7)
    assert np.isnan([greater[0, 1], less[0, 1]]).all()


@pytest.mark.parametrize("seed", range(20))
def test_holm_agrees_with_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.beta(0.3, 3, (3, 9))
    p[1, ::3] = np.nan
    p[2, :4] = p[2, 4]
    found = holm_rejects(p, 0.05)
    for row, family in zip(found, p, strict=True):
        known = ~np.isnan(family)
        np.testing.assert_array_equal(row[known], multipletests(family[known], 0.05, "holm")[0])
        assert not row[~known].any()


def of_pairs(values: np.ndarray) -> np.ndarray:
    first, second = np.triu_indices(len(values), 1)
    return np.asarray(values[first] - values[second])


def test_wins_are_counted_in_every_resample(monkeypatch: pytest.MonkeyPatch) -> None:
    patient = np.random.default_rng(0).normal(0, 1, 20)
    values = (
        patient
        + np.array([[0.3], [0.0], [0.3], [-0.5]])
        + np.arange(20) * 1e-3 * np.array([[0], [1], [0], [2]])
    )
    drawn = counts(20, 30)
    expected = np.tile([2.0, 1, 2, 0], (30, 1))
    np.testing.assert_array_equal(significant_wins(of_pairs(values), drawn, len(values)), expected)
    monkeypatch.setattr("bench.stats.resampled_tests.BLOCK", 12)
    np.testing.assert_array_equal(significant_wins(of_pairs(values), drawn, len(values)), expected)
    np.testing.assert_array_equal(significant_wins(of_pairs(values[:1]), drawn, 1), np.zeros((30, 1)))
