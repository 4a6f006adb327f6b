"""Friedman, Iman-Davenport and Nemenyi: what Demsar, R and scipy publish, and peers as oracles."""

import math
from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import f, friedmanchisquare, rankdata

from bench.stats.friedman import cliques, critical_difference, friedman, nemenyi
from bench.stats.rank_sums import exact_tail

# Demsar 2006, table 6: AUC of C4.5, C4.5 with tuned m, with tuned cf, with both, on 14 data sets. Two of the last but
# one are .975 in print and ranked 2 and 3.
DEMSAR = np.fromstring(
    """
    .763 .768 .771 .798  .599 .591 .590 .569  .954 .971 .968 .967  .628 .661 .654 .657  .882 .888 .886 .898
    .936 .931 .916 .931  .661 .668 .609 .685  .583 .583 .563 .625  .775 .838 .866 .875  1. 1. 1. 1.
    .940 .962 .965 .962  .619 .666 .614 .669  .972 .981 .9751 .975  .957 .978 .946 .970
""",
    sep=" ",
).reshape(14, 4)
# Rounding first base, three ways, 22 players; Hollander, Wolfe 1973, p. 140; the example of R's friedman.test.
ROUNDING = np.fromstring(
    """
    5.40 5.50 5.55  5.85 5.70 5.75  5.20 5.60 5.50  5.55 5.50 5.40  5.90 5.85 5.70  5.45 5.55 5.60  5.40 5.40 5.35
    5.45 5.50 5.35  5.25 5.15 5.00  5.85 5.80 5.70  5.25 5.20 5.10  5.65 5.55 5.45  5.60 5.35 5.45  5.05 5.00 4.95
    5.50 5.50 5.40  5.45 5.55 5.50  5.55 5.55 5.35  5.45 5.50 5.55  5.50 5.45 5.25  5.65 5.60 5.40  5.70 5.65 5.55
    6.30 6.30 6.25
""",
    sep=" ",
).reshape(22, 3)


def table(blocks: np.ndarray, names: str = "abcdefghijklmnopqrst", unit: str = "task") -> pd.DataFrame:
    """Returns entries x units, from units x entries."""
    return pd.DataFrame(
        blocks.T,
        index=pd.Index(list(names[: blocks.shape[1]]), name="entry"),
        columns=pd.Index([f"u{i}" for i in range(len(blocks))], name=unit),
    )


def test_demsar() -> None:
    found = friedman(table(DEMSAR), sign=1)
    assert (found.n, found.k) == (14, 4)
    # The paper's ranks: C4.5 3.143, m 2.000, cf 2.893, both 1.964.
    assert list(found.mean_ranks.index) == ["d", "b", "c", "a"]
    assert found.mean_ranks.tolist() == pytest.approx([1.964, 2.000, 2.893, 3.143], abs=5e-4)
    # Its 9.28 and 3.69 take no account of ties; they do as R and scipy do here.
    plain = 12 * 14 / (4 * 5) * ((found.mean_ranks - 2.5) ** 2).sum()
    assert plain == pytest.approx(9.28, abs=5e-3)
    assert 13 * plain / (14 * 3 - plain) == pytest.approx(3.69, abs=5e-3)
    assert found.chi2 == pytest.approx(friedmanchisquare(*DEMSAR.T).statistic)
    assert found.f == pytest.approx(13 * found.chi2 / (14 * 3 - found.chi2))
    assert found.f_p < 0.05


def test_demsar_s_critical_differences_and_groups() -> None:
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=5e-3)
    found = friedman(table(DEMSAR), sign=1, alpha=0.1)
    assert found.critical_difference == pytest.approx(1.12, abs=5e-3)
    # At 0.1 the paper finds C4.5 worse than m and both, and cannot tell to which group cf belongs.
    assert cliques(found.mean_ranks, found.critical_difference) == [("d", "b", "c"), ("c", "a")]
    assert cliques(found.mean_ranks, 1.25) == [("d", "b", "c", "a")]


@pytest.mark.parametrize(
    ("k", "at_05", "at_10"),
    [(2, 1.960, 1.645), (3, 2.343, 2.052), (4, 2.569, 2.291), (5, 2.728, 2.459), (10, 3.164, 2.920)],
)
def test_demsar_s_table_5(k: int, at_05: float, at_10: float) -> None:
    unit = math.sqrt(k * (k + 1) / 6)
    assert critical_difference(k, 1) / unit == pytest.approx(at_05, abs=1e-3)
    assert critical_difference(k, 1, 0.1) / unit == pytest.approx(at_10, abs=1e-3)


def test_rounding_times_of_r() -> None:
    found = friedman(table(ROUNDING, unit="patient"), sign=-1)
    assert found.chi2 == pytest.approx(11.143, abs=5e-4)
    assert found.p == pytest.approx(0.003805, abs=5e-7)
    assert found.mean_ranks.index[0] == "c"
    # More than 20 units: by F.
    assert not found.exact
    assert found.f_p == pytest.approx(f.sf(21 * 11.142857 / (44 - 11.142857), 2, 42))


def test_the_example_of_scipy() -> None:
    blocks = np.random.default_rng(18).random((6, 10)).T
    found = friedman(table(blocks), sign=1)
    assert (found.chi2, found.p) == (pytest.approx(11.428571428571416), pytest.approx(0.043514520866727614))


def test_nemenyi_agrees_with_scikit_posthocs() -> None:
    peer = (
        scikit_posthocs.posthoc_nemenyi_friedman(DEMSAR).set_axis(list("abcd")).set_axis(list("abcd"), axis=1)
    )
    ours = nemenyi(friedman(table(DEMSAR), sign=1))
    order = list(ours.index)
    assert ours.to_numpy() == pytest.approx(peer.loc[order, order].to_numpy(), abs=1e-9)


def test_the_direction_and_the_signs_of_tasks() -> None:
    up, down = friedman(table(DEMSAR), 1), friedman(table(-DEMSAR), -1)
    pd.testing.assert_series_equal(up.mean_ranks, down.mean_ranks)
    turned = table(DEMSAR)
    turned["u0"] = -turned["u0"]
    mixed = friedman(turned, {f"u{i}": -1 if i == 0 else 1 for i in range(14)})
    pd.testing.assert_series_equal(mixed.mean_ranks, up.mean_ranks)


def test_values_are_rounded_before_ranking() -> None:
    noise = np.random.default_rng(0).normal(0, 1e-9, DEMSAR.shape)
    pd.testing.assert_series_equal(
        friedman(table(DEMSAR + noise), 1).mean_ranks, friedman(table(DEMSAR), 1).mean_ranks
    )
    assert (friedman(table(DEMSAR), 1, decimals=0).mean_ranks == 2.5).all()


def test_units_without_all_entries_are_left_out_and_named() -> None:
    values = table(DEMSAR)
    values.loc["b", "u3"] = math.nan
    found = friedman(values, 1)
    assert (found.n, found.left_out) == (13, ("u3",))
    assert found.chi2 == pytest.approx(friedmanchisquare(*np.delete(DEMSAR, 3, axis=0).T).statistic)


def test_no_p_value_is_smaller_than_its_data_can_give() -> None:
    agreed = friedman(table(np.tile([0.9, 0.8, 0.7], (3, 1))), 1)
    assert math.isinf(agreed.f)
    assert agreed.smallest_p == pytest.approx(1 / 36)
    assert agreed.f_p == pytest.approx(1 / 36)
    assert agreed.p >= agreed.smallest_p
    assert agreed.can_tell
    assert not friedman(table(np.tile([0.9, 0.8, 0.7], (2, 1))), 1).can_tell
    many = friedman(table(np.tile(np.arange(8.0), (30, 1))), 1)
    assert 0 < many.f_p <= 1e-100


def test_two_entries_or_one_task_have_ranks_and_no_test() -> None:
    for values in (table(DEMSAR[:, :2]), table(DEMSAR[:1])):
        found = friedman(values, 1)
        assert not found.can_tell
        assert math.isnan(found.f_p)
        assert math.isnan(found.critical_difference)
        assert found.mean_ranks.notna().all()
        assert nemenyi(found).isna().all().all()


def test_equal_entries() -> None:
    found = friedman(table(np.ones((5, 4))), 1)
    assert (found.chi2, found.f, found.p, found.f_p) == (0, 0, 1, 1)
    assert cliques(found.mean_ranks, found.critical_difference) == [("a", "b", "c", "d")]


def test_nobody_with_all_values() -> None:
    found = friedman(table(np.full((2, 3), math.nan)), 1)
    assert (found.n, found.k) == (0, 3)
    assert found.mean_ranks.isna().all()


@given(st.lists(st.integers(0, 20), min_size=1, max_size=8), st.integers(0, 8))
def test_cliques_are_all_maximal_groups(ranks: list[int], cd: int) -> None:
    names = [f"e{i}" for i in range(len(ranks))]
    found = cliques(pd.Series(ranks, index=names, dtype=float), float(cd))
    value = dict(zip(names, ranks, strict=True))
    within = [
        {name for name in names if low <= value[name] <= low + cd} for low in sorted(set(value.values()))
    ]
    maximal = [g for g in within if len(g) > 1 and not any(g < other for other in within)]
    assert [set(group) for group in found] == maximal


def test_tables_of_neither_patients_nor_tasks_are_refused() -> None:
    values = table(DEMSAR)
    with pytest.raises(ValueError, match="entries x patients or entries x tasks, got entry x slice"):
        friedman(values.rename_axis(columns="slice"), 1)
    with pytest.raises(ValueError, match="u0 comes several times"):
        friedman(pd.concat([values, values], axis=1).rename_axis(columns="task"), 1)
    with pytest.raises(ValueError, match="sign must be 1"):
        friedman(values, 2)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=3), min_size=1, max_size=4))
def test_exact_tail_goes_through_all_orders(blocks: list[list[int]]) -> None:
    ranks = np.stack([rankdata(block) for block in blocks], axis=1)
    observed = (ranks.sum(axis=1) ** 2).sum()
    every = product(*[list(permutations(unit)) for unit in ranks.T])
    tail = np.mean([(np.sum(orders, axis=0) ** 2).sum() >= observed - 1e-9 for orders in every])
    assert exact_tail(ranks) == pytest.approx(tail)


@pytest.mark.parametrize(
    ("ranks", "chi2", "p"),
    [
        ([[1, 1, 1, 2], [2, 3, 2, 1], [3, 2, 3, 3]], 4.5, 0.125),
        ([[1, 1, 1, 1], [2, 2, 3, 2], [3, 3, 2, 3]], 6.5, 0.042),
        ([[1, 1, 2], [2, 2, 1], [3, 3, 4], [4, 4, 3]], 7.4, 0.033),
    ],
)
def test_exact_tail_of_published_tables(ranks: list[list[int]], chi2: float, p: float) -> None:
    """Hollander, Wolfe, table A.15."""
    array = np.array(ranks, float)
    k, n = array.shape
    assert 12 * n / (k * (k + 1)) * ((array.mean(axis=1) - (k + 1) / 2) ** 2).sum() == pytest.approx(chi2)
    assert exact_tail(array) == pytest.approx(p, abs=5e-4)


def test_exact_and_f_agree_where_units_are_many() -> None:
    rng = np.random.default_rng(1)
    blocks = rng.normal(0, 1, (20, 4)) + np.array([0, 0.2, 0.4, 0.9])
    found = friedman(table(blocks), 1)
    assert found.exact
    assert found.f_p == pytest.approx(f.sf(found.f, 3, 57), abs=0.004)


def test_too_many_orders_have_no_exact_answer() -> None:
    rng = np.random.default_rng(0)
    for k, n in ((8, 3), (3, 21), (7, 10)):
        assert exact_tail(np.stack([rng.permutation(k) + 1.0 for _ in range(n)], axis=1)) is None
