"""Ranks and their bootstrap: worked examples, a ranking of every resample one by one as oracle, and simulations."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, rankdata

from bench.stats.certain_ranks import certain_ranks
from bench.stats.paired import significance_map
from bench.stats.ranking import SCHEMES, RankBootstrap, Scheme, bootstrap_ranks, overall, rank
from bench.stats.resample import draws
from bench.stats.schemes import Scorer


def table(rows: dict[str, object]) -> pd.DataFrame:
    frame = pd.DataFrame.from_dict(rows, orient="index").astype(float)
    frame.columns = pd.Index([f"p{i}" for i in range(frame.shape[1])], name="patient")
    return frame.rename_axis(index="entry")


def entries(number: int, patients: int, seed: int = 0, step: float = 0.05) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 0.1, patients) + rng.normal(0, 0.1, (number, patients))
    return table({f"e{i}": row + i * step for i, row in enumerate(values)})


OUTLIER = table({"a": [0.9, 0.9, 0.1], "b": [0.8, 0.8, 0.8], "c": [0.7, 0.7, 0.7]})


@pytest.mark.parametrize(
    ("scheme", "expected"), [("mean", [3, 1, 2]), ("rank", [1, 2, 3]), ("test", [2, 2, 2])]
)
def test_schemes_disagree_over_an_outlier(scheme: Scheme, expected: list[int]) -> None:
    # Means 0.63, 0.8, 0.7; mean ranks 5/3, 5/3 and 8/3.
    found = rank(OUTLIER, 1, scheme, 3)
    if scheme == "rank":
        expected = [1.5, 1.5, 3]
    assert found.to_dict() == dict(zip("abc", expected, strict=True))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_clear_order_whatever_the_scheme(scheme: Scheme) -> None:
    values = table(
        {name: np.arange(10) / 100 + height for name, height in (("x", 0.2), ("y", 0.9), ("z", 0.5))}
    )
    values.loc["x", "p3"] += 0.001
    assert rank(values, 1, scheme, 3).to_dict() == {"x": 3, "y": 1, "z": 2}
    assert rank(values, -1, scheme, 3).to_dict() == {"x": 1, "y": 3, "z": 2}


def test_values_are_rounded_first() -> None:
    values = table({"a": [0.80042, 0.80042], "b": [0.8, 0.8], "c": [0.8006, 0.8006]})
    assert rank(values, 1, "mean", 3).tolist() == [2.5, 2.5, 1]
    assert rank(values, 1, "mean", 4).tolist() == [2, 3, 1]
    assert rank(values, 1, "rank", 3).tolist() == [2.5, 2.5, 1]


def test_float_noise_does_not_part_equal_means() -> None:
    # A sum differs in the last bit with the order of patients, and 0.4935 is on a half.
    below, above = np.nextafter(0.4935, [0, 1])
    assert round(below, 3) != round(above, 3)
    scorer = Scorer.of(entries(2, 8), 1, "mean", 3)
    assert scorer.ranks(np.array([[below, above]])).tolist() == [[1.5, 1.5]]


def test_no_value_comes_last_or_is_left_out() -> None:
    values = table({"a": [np.nan] * 3, "b": [0.1, 0.2, 0.3], "c": [np.nan, 0.9, 0.1]})
    assert rank(values, 1, "mean", 3).tolist() == [3, 2, 1]
    # b: 1 + 1/2 + 1/2, 2 + 1/2, 1 + 1/2; c: 1 + 1/2 and 2 + 1/2. Means 2 and 2.
    assert rank(values, 1, "rank", 3).tolist() == [3, 1.5, 1.5]
    found = bootstrap_ranks(values, 1, "mean", 3, np.random.default_rng(0), 50)
    assert np.isnan([found.scores[0], found.score_low[0], found.score_high[0]]).all()
    # Where c has no value either, the two share the last places.
    assert (found.ranks[0], found.low[0], found.high[0]) == (3, 2.5, 3)


def test_tests_rank_by_the_significance_map() -> None:
    values = entries(5, 40, seed=2, step=0.05)
    wins = (significance_map(values, 1) < 0.05).sum(axis=1).to_numpy()
    assert len(set(wins.tolist())) > 2
    np.testing.assert_array_equal(rank(values, 1, "test", 3), rankdata(-wins))
    assert rank(values.iloc[:, :5], 1, "test", 3).tolist() == [3] * 5


def test_tests_are_of_each_pair_s_own_values() -> None:
    """As where both rightly leave a label out: with a third entry these patients count for both, alone for none."""
    together = entries(3, 30, step=0.1)
    alone = together.copy()
    alone.iloc[:2, :26] = np.nan

    def pairs(first: str, second: str) -> pd.DataFrame:
        return (alone if {first, second} == {"e0", "e1"} else together).loc[[first, second]]

    assert rank(together, 1, "test", 3).tolist() == [3, 2, 1]
    assert rank(together, 1, "test", 3, pairs).tolist() == [2.5, 2.5, 1]
    rng = np.random.default_rng(0)
    found = bootstrap_ranks(together, 1, "test", 3, rng, 50, pairs=pairs)
    assert found.ranks.tolist() == [2.5, 2.5, 1]
    assert found.low[0] == 2.5
    over_tasks = overall({"a": (together, 1, 3)}, rng, "test", 50, pairs={"a": pairs})
    assert over_tasks.scores.tolist() == [2.5, 2.5, 1]


def naive(values: pd.DataFrame, scheme: Scheme, resamples: int) -> np.ndarray:
    """Ranks tables in which patients stand as often as they were drawn."""
    found = []
    for counts in np.concatenate(list(draws(values.shape[1], np.random.default_rng(5), resamples))):
        drawn = values.iloc[:, np.repeat(np.arange(values.shape[1]), counts)]
        drawn = table({str(name): row.to_numpy() for name, row in drawn.iterrows()})
        found.append(rank(drawn, 1, scheme, 2).to_numpy())
    return np.array(found)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_bootstrap_agrees_with_ranking_each_resample(scheme: Scheme) -> None:
    # Beyond 50 patients both take the normal approximation.
    values = entries(4, 60, step=0.03).round(2)
    found = bootstrap_ranks(values, 1, scheme, 2, np.random.default_rng(5), 80)
    full, boot = rank(values, 1, scheme, 2).to_numpy(), naive(values, scheme, 80)
    np.testing.assert_array_equal(found.ranks, full)
    ends = np.quantile(boot, [0.025, 0.975], axis=0, method="inverted_cdf")
    np.testing.assert_array_equal([found.low, found.high], ends)
    np.testing.assert_allclose(found.tau, [kendalltau(full, row).statistic for row in boot])
    shares = np.zeros((4, 4))
    for ranks in boot:
        for place, mine in enumerate(ranks):
            tied = (ranks == mine).sum()
            first = round(mine - (tied - 1) / 2) - 1
            shares[place, first : first + tied] += 1 / tied / 80
    np.testing.assert_allclose(found.probability, shares, atol=1e-12)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_distances_are_better_when_lower(scheme: Scheme) -> None:
    values = entries(5, 30)
    one = bootstrap_ranks(values, 1, scheme, 3, np.random.default_rng(0), 50)
    other = bootstrap_ranks(-values, -1, scheme, 3, np.random.default_rng(0), 50)
    assert len(set(one.ranks.tolist())) > 1
    np.testing.assert_array_equal(one.ranks, other.ranks)
    np.testing.assert_array_equal(one.probability, other.probability)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_probabilities_are_doubly_stochastic(scheme: Scheme) -> None:
    found = bootstrap_ranks(entries(6, 15, step=0.0), 1, scheme, 3, np.random.default_rng(0), 200)
    np.testing.assert_allclose(found.probability.sum(axis=1), 1)
    np.testing.assert_allclose(found.probability.sum(axis=0), 1)
    assert (found.low <= found.high).all()


def test_scores_are_what_was_ranked() -> None:
    values = entries(3, 30)
    found = bootstrap_ranks(values, 1, "mean", 3, np.random.default_rng(0))
    np.testing.assert_allclose(found.scores, values.mean(axis=1))
    assert (found.score_low < found.scores).all()
    assert (found.scores < found.score_high).all()
    assert (found.entries, found.scheme, found.patients) == (("e0", "e1", "e2"), "mean", 30)


def test_ranks_shake_with_few_patients_and_stand_with_many() -> None:
    few, many = (
        bootstrap_ranks(entries(5, n, step=0.02), 1, "mean", 4, np.random.default_rng(0)) for n in (10, 3000)
    )
    assert np.mean(few.tau) < 0.9 < 0.99 < np.mean(many.tau)
    np.testing.assert_array_equal(many.low, many.high)


def test_alone_and_all_tied() -> None:
    alone = bootstrap_ranks(entries(1, 8), 1, "test", 3, np.random.default_rng(0), 20)
    assert (alone.ranks.tolist(), alone.probability.tolist()) == ([1], [[1]])
    assert np.isnan(alone.tau).all()
    tied = bootstrap_ranks(table({"a": [1] * 7, "b": [1] * 7}), 1, "mean", 3, np.random.default_rng(0), 20)
    assert (tied.low.tolist(), tied.high.tolist()) == ([1.5, 1.5], [1.5, 1.5])
    assert (tied.probability == 0.5).all()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_same_generator_state_same_ranks(scheme: Scheme) -> None:
    one, two = (bootstrap_ranks(entries(4, 12), 1, scheme, 3, np.random.default_rng(3), 60) for _ in range(2))
    np.testing.assert_array_equal(one.probability, two.probability)
    np.testing.assert_array_equal(one.tau, two.tau)


def over(tables: dict[str, tuple[pd.DataFrame, int, int]], scheme: Scheme = "mean") -> RankBootstrap:
    return overall(tables, np.random.default_rng(0), scheme, 300)


def test_over_tasks_by_mean_rank() -> None:
    first, second = entries(3, 20, step=1.0), entries(3, 9, seed=1, step=1.0)
    distances = second.iloc[[2, 0, 1]]
    found = over({"a": (first, 1, 3), "b": (first, 1, 3), "c": (distances, -1, 1)})
    # Ranks 3 2 1, twice, and 1 2 3.
    np.testing.assert_allclose(found.scores, [7 / 3, 2, 5 / 3])
    np.testing.assert_array_equal(found.ranks, [3, 2, 1])
    np.testing.assert_array_equal([found.score_low, found.score_high], [found.scores] * 2)
    assert found.patients == 49


@pytest.mark.parametrize("scheme", SCHEMES)
def test_one_task_is_that_task(scheme: Scheme) -> None:
    values = entries(4, 25)
    alone = bootstrap_ranks(values, 1, scheme, 3, np.random.default_rng(0), 300)
    found = over({"only": (values, 1, 3)}, scheme)
    np.testing.assert_array_equal(found.scores, alone.ranks)
    np.testing.assert_array_equal(found.probability, alone.probability)
    np.testing.assert_array_equal(found.low, alone.low)


def test_mean_ranks_of_many_tasks_are_steadier() -> None:
    one = over({"t0": (entries(4, 15, step=0.02), 1, 4)})
    many = over({f"t{i}": (entries(4, 15, seed=i, step=0.02), 1, 4) for i in range(12)})
    assert (many.score_high - many.score_low).mean() < 0.6 * (one.score_high - one.score_low).mean()


def test_bad_arguments() -> None:
    values = entries(2, 8)
    with pytest.raises(ValueError, match="unknown ranking scheme 'median'; there are mean, rank, test"):
        rank(values, 1, "median")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sign must be 1"):
        rank(values, 2)
    with pytest.raises(ValueError, match="at least one patient"):
        rank(values.iloc[:, :0], 1)
    with pytest.raises(ValueError, match="resamples must be at least 1"):
        bootstrap_ranks(values, 1, "mean", 3, np.random.default_rng(0), 0)
    with pytest.raises(ValueError, match="at least one task"):
        over({})
    with pytest.raises(ValueError, match="every entry in each task; b: e1 not in all"):
        over({"a": (values, 1, 3), "b": (values.iloc[:1], 1, 3)})


def test_slices_are_refused() -> None:
    slices = entries(2, 8)
    slices.columns = pd.Index(["p0"] * 8, name="patient")
    with pytest.raises(ValueError, match="patient p0 comes several times"):
        rank(slices, 1)
    with pytest.raises(ValueError, match="patient p0 comes several times"):
        bootstrap_ranks(slices, 1, "mean", 3, np.random.default_rng(0))


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["mean", "rank"])
@pytest.mark.parametrize("gap", [0.25, 1.0])
def test_intervals_hold_the_true_rank(scheme: Scheme, gap: float) -> None:
    """Ten entries a part of a standard error apart."""
    rng, hits, times = np.random.default_rng(0), 0.0, 200
    step = gap * np.sqrt(2) * 0.1 / np.sqrt(30)
    for seed in range(times):
        found = bootstrap_ranks(entries(10, 30, seed, step), 1, scheme, 6, rng, 300)
        truth = np.arange(10, 0, -1)
        hits += ((found.low <= truth) & (truth <= found.high)).mean()
    assert hits / times >= 0.94


@pytest.mark.slow
def test_bootstrap_is_too_sure_of_a_winner_among_equals_and_certain_ranks_are_not() -> None:
    rng, sure, held, times = np.random.default_rng(0), [], 0, 200
    for seed in range(times):
        values = entries(10, 30, seed, step=0.0)
        found = bootstrap_ranks(values, 1, "mean", 6, rng, 300)
        sure.append(found.probability[found.ranks.argmin(), 0])
        bounds = certain_ranks(values, 1, rng, resamples=299)
        held += bool(((bounds["low"] <= 1) & (bounds["high"] >= 10)).all())
    # The truth is 10%.
    assert 0.35 < np.mean(sure) < 0.55
    assert held / times >= 0.93
