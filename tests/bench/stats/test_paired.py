"""Comparisons of entries over patients, families of comparisons, and refusals."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon
from statsmodels.stats.multitest import multipletests

from bench.stats.paired import (
    compare,
    differences,
    holm,
    holm_level,
    one_per_patient,
    significance_map,
    smallest_map_p,
    smallest_p,
)


def table(**rows: list[float]) -> pd.DataFrame:
    frame = pd.DataFrame.from_dict(rows, orient="index")
    return frame.rename_axis(index="entry").rename_axis(columns="patient")


def test_compare_pairs_by_patient() -> None:
    rng = np.random.default_rng(0)
    patient = rng.random(12)
    values = table(a=list(patient + 0.01), b=list(patient))
    found = compare(values, "a", "b")
    # The same shift in every patient: certain, though the entries' ranges overlap almost wholly.
    assert found.p == pytest.approx(smallest_p(12))
    assert (found.mean, found.median, found.n) == (pytest.approx(0.01), pytest.approx(0.01), 12)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_too_few_patients_cannot_tell(n: int) -> None:
    found = compare(table(a=[1.0] * n, b=[0.0] * n), "a", "b")
    assert not found.can_tell
    assert math.isnan(found.p)
    assert found.smallest_p == 2.0 ** (1 - n)
    assert found.mean == 1.0
    assert compare(table(a=[1.0] * 6, b=[0.0] * 6), "a", "b").can_tell


def test_patients_without_both_values_are_left_out() -> None:
    values = table(a=[1.0, math.nan, 3.0], b=[0.5, 1.0, math.nan])
    assert differences(values, "a", "b").to_dict() == {0: 0.5}
    nobody = compare(table(a=[math.nan], b=[1.0]), "a", "b")
    assert (nobody.n, nobody.can_tell) == (0, False)


def test_unknown_entry_and_slices_are_refused() -> None:
    with pytest.raises(ValueError, match="no entry 'c'; there are a, b"):
        differences(table(a=[1.0], b=[1.0]), "a", "c")
    slices = table(a=[1.0, 2.0], b=[1.0, 2.0])
    slices.columns = pd.Index(["p1", "p1"], name="patient")
    with pytest.raises(ValueError, match="patient p1 comes several times"):
        compare(slices, "a", "b")


def test_holm() -> None:
    # Sorted 0.01, 0.03, 0.04 times 3, 2, 1, never falling.
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
    found = holm([math.nan, 0.02, 0.04])
    assert math.isnan(found[0])
    assert found[1:] == pytest.approx([0.04, 0.04])


@pytest.mark.parametrize("seed", range(5))
def test_holm_agrees_with_statsmodels(seed: int) -> None:
    p = np.random.default_rng(seed).beta(0.3, 3, 9).round(3)
    p[4] = p[5]
    assert holm(list(p)) == pytest.approx(multipletests(p, method="holm")[1])
    padded = multipletests([*p, *[1.0] * 6], method="holm")[1][:9]
    assert holm(list(p), family=15) == pytest.approx(padded)


def test_holm_of_a_family_that_is_larger_than_what_is_given() -> None:
    assert holm([0.01, 0.04], family=5) == pytest.approx([0.05, 0.16])
    assert holm([0.01, 0.04], family=5) == holm([0.01, 0.04, 1.0, 1.0, 1.0])[:2]
    assert math.isnan(holm([math.nan], family=3)[0])
    with pytest.raises(ValueError, match="a family of 1 tests cannot hold 2 p-values"):
        holm([0.01, 0.04], family=1)


def test_holm_s_first_step_is_bonferroni_s() -> None:
    assert holm_level(5) == pytest.approx(0.01)
    assert holm_level(0) == 0.05
    assert holm([0.0099] + [0.9] * 4)[0] < 0.05 < holm([0.0101] + [0.9] * 4)[0]


def test_the_spread_of_differences_is_told() -> None:
    found = compare(table(a=[1.0, 2.0, 4.0], b=[1.0, 1.0, 1.0]), "a", "b")
    assert found.sd == pytest.approx(np.std([0, 1, 3], ddof=1))
    assert math.isnan(compare(table(a=[1.0], b=[0.0]), "a", "b").sd)


def three_entries() -> pd.DataFrame:
    """Ten patients: a is better than b and c by far, b and c take turns."""
    base = np.linspace(0.5, 0.9, 10)
    turn = 0.001 * np.array([1, -2, 3, -4, 5, -6, 7, -8, 9, -10])
    return table(a=list(base + 0.05), b=list(base), c=list(base + turn))


def test_map_of_one_sided_tests_by_hand() -> None:
    found = significance_map(three_entries(), sign=1)
    assert list(found.index) == list(found.columns) == ["a", "b", "c"]
    assert np.isnan(np.diag(found)).all()
    # Six ordered pairs: a beats b and c with p = 2^-10 each, Holm times 6 and 5, then never falling.
    assert found.loc["a", "b"] == found.loc["a", "c"] == pytest.approx(6 * 2.0**-10)
    turn = (three_entries().loc["c"] - three_entries().loc["b"]).to_numpy()
    greater = [wilcoxon(np.round(x, 6), alternative="greater").pvalue for x in (turn, -turn)]
    assert found.loc["b", "c"] == pytest.approx(min(1.0, 4 * min(greater)))
    assert found.loc["b", "a"] == 1.0


def test_map_turns_with_the_direction_of_the_metric() -> None:
    more, less = significance_map(three_entries(), 1), significance_map(three_entries(), -1)
    pd.testing.assert_frame_equal(more.T.rename_axis(index="better", columns="than"), less)


def test_map_says_nothing_where_patients_are_too_few() -> None:
    values = three_entries()
    values.loc["c", values.columns[5:]] = math.nan
    found = significance_map(values, 1)
    assert found[["c"]].isna().all().all()
    assert found.loc["c"].isna().all()
    # Those pairs are not in the family: two tests are left.
    assert found.loc["a", "b"] == pytest.approx(2 * 2.0**-10)
    assert significance_map(values.iloc[:, :8], 1, alpha=0.005).isna().all().all()
    assert significance_map(values.iloc[:1], 1).isna().all().all()


def test_smallest_p_of_a_map() -> None:
    every = np.arange(1.0, 9.0)
    found = significance_map(table(a=list(3 * every), b=list(2 * every), c=list(every)), 1)
    assert found.loc["a", "b"] == pytest.approx(smallest_map_p(3, 8))
    assert smallest_map_p(3, 8) == 6 / 2**8
    # Four entries over six patients: no map can show anything.
    assert smallest_map_p(4, 6) > 0.05


def test_map_on_tables_made_for_each_pair() -> None:
    values, asked = three_entries(), []

    def pairs(first: str, second: str) -> pd.DataFrame:
        asked.append((first, second))
        return values.loc[[second, first]].iloc[:, :7]

    found = significance_map(values, 1, pairs=pairs)
    assert asked == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found.loc["a", "b"] == pytest.approx(6 * 2.0**-7)


def test_map_refuses_slices_and_unknown_directions() -> None:
    slices = table(a=[1.0, 2.0], b=[1.0, 2.0]).set_axis(pd.Index(["p1", "p1"], name="patient"), axis=1)
    with pytest.raises(ValueError, match="patient p1 comes several times"):
        significance_map(slices, 1)
    with pytest.raises(ValueError, match=r"sign must be 1 \(more is better\) or -1, got 0"):
        significance_map(three_entries(), 0)


def test_differences_are_known_to_be_of_patients() -> None:
    d = differences(three_entries(), "a", "b")
    assert one_per_patient(d) == pytest.approx([0.05] * 10)
    with pytest.raises(ValueError, match=r"from differences\(\); got numbers of unknown origin"):
        one_per_patient(d.to_numpy())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown origin"):
        one_per_patient(d.rename_axis("slice"))
    with pytest.raises(ValueError, match="patient 0 comes several times"):
        one_per_patient(pd.concat([d, d]))
    with pytest.raises(ValueError, match="must be finite"):
        one_per_patient(d.replace(d.iloc[0], math.inf))
