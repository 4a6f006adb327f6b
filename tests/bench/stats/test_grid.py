"""Averages made from an array: against pandas' own, with holes, uneven patients and every policy."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stats.aggregate import (
    POLICIES,
    Policy,
    RunValues,
    counted_values,
    per_patient,
    per_run,
    status_counts,
)
from bench.stats.grid import KEY, make_grid


def random_cells(seed: int, keep: float = 0.8) -> pd.DataFrame:
    """Returns cells of 3 entries, 2 folds x 2 seeds, 4 patients with 1 to 3 images, 2 labels; some are not there."""
    rng = np.random.default_rng(seed)
    cases = pd.DataFrame(
        [(f"p{p}", f"p{p}-{i}") for p in range(4) for i in range(1 + p % 3)], columns=["patient", "case"]
    )
    cells = pd.DataFrame({"entry": ["b", "a", "c"]})
    for name, values in {"fold": [0, 1], "seed": [7, 3], "label": ["rv", "lv"]}.items():
        cells = cells.merge(pd.DataFrame({name: values}), how="cross")
    cells = cells.merge(cases, how="cross")
    status = rng.choice(["ok", "both_empty", "reference_empty", "prediction_empty", "missing"], len(cells))
    value = np.where(
        status == "ok",
        rng.random(len(cells)),
        np.where(np.isin(status, ["both_empty", "missing"]), np.nan, np.inf),
    )
    cells = cells.assign(status=status, value=value, diagonal=100.0 + rng.random(len(cells)))
    return cells[rng.random(len(cells)) < keep].sample(frac=1, random_state=seed).reset_index(drop=True)


def by_pandas(cells: pd.DataFrame, levels: list[list[str]], policy: Policy) -> "pd.Series[float]":
    means = (
        cells.assign(counted=counted_values(cells, "diagonal", policy, 0.0))
        .groupby(levels[0])["counted"]
        .mean()
    )
    for level in levels[1:]:
        means = means.groupby(level=level).mean()
    return means


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from(POLICIES), st.booleans())
def test_patients_are_those_of_pandas(seed: int, policy: Policy, coded: bool) -> None:
    cells = random_cells(seed)
    levels = [["entry", "patient", "label", "case"], ["entry", "patient", "label"], ["entry", "patient"]]
    expected = by_pandas(cells, levels, policy).unstack("patient")
    if coded:
        words = ["entry", "patient", "label", "case", "status"]
        cells = cells.astype(dict.fromkeys(words, "category"))
    found = per_patient(cells, "diagonal", policy, 0.0)
    pd.testing.assert_frame_equal(found, expected, check_index_type=False, check_column_type=False)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from(POLICIES))
def test_runs_are_those_of_pandas(seed: int, policy: Policy) -> None:
    cells = random_cells(seed)
    found = per_run(cells, "diagonal", policy, 0.0)
    keys = ["entry", "fold", "seed", "patient"]
    expected = by_pandas(cells, [[*keys, "label", "case"], [*keys, "label"], keys], policy)
    full = pd.MultiIndex.from_tuples(
        [(e, *run, p) for e in found.entries for run in found.runs for p in found.patients]
    )
    np.testing.assert_allclose(found.values.ravel(), expected.reindex(full).to_numpy(), rtol=1e-12)
    assert found.runs == tuple(sorted(found.runs))


def test_runs_average_to_patients_where_nothing_is_left_out() -> None:
    cells = random_cells(0, keep=2.0)
    cells = cells.assign(status="ok", value=np.linspace(0, 1, len(cells)))
    runs, patients = per_run(cells, 0.0), per_patient(cells, 0.0)
    assert (runs.entries, runs.patients) == (tuple(patients.index), tuple(patients.columns))
    assert runs.runs == ((0, 3), (0, 7), (1, 3), (1, 7))
    np.testing.assert_allclose(runs.values.mean(axis=1), patients.to_numpy())


def test_a_patient_s_images_weigh_alike_within_its_label() -> None:
    rows = [("p1", "a", "lv", 0.2), ("p1", "b", "lv", 0.4), ("p1", "a", "rv", 0.9), ("p2", "c", "lv", 0.5)]
    cells = pd.DataFrame(rows, columns=["patient", "case", "label", "value"])
    cells = cells.assign(entry="e", fold=0, seed=0, status="ok", diagonal=1.0)
    assert per_run(cells, 0.0).values.tolist() == [[[pytest.approx(0.6), 0.5]]]


def test_run_values_refuse_what_is_no_patient() -> None:
    values = np.zeros((1, 1, 2))
    with pytest.raises(ValueError, match="a patient comes several times"):
        RunValues(("e",), ((0, 0),), ("p1", "p1"), values)
    with pytest.raises(ValueError, match=r"entries x runs x patients \(1, 1, 3\), got \(1, 1, 2\)"):
        RunValues(("e",), ((0, 0),), ("p1", "p2", "p3"), values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"drop": "diagonal"}, "missing: diagonal"),
        ({"twice": True}, "must come once.*'case': 'p0-0'"),
        ({"patient": "p9"}, "case must belong to one patient; p0-0 has several"),
    ],
)
def test_errors(change: dict[str, Any], message: str) -> None:
    cells = random_cells(1, keep=2.0).sort_values(KEY, ignore_index=True)
    if "drop" in change:
        cells = cells.drop(columns=change["drop"])
    if "twice" in change:
        cells = pd.concat([cells, cells.iloc[:1]], ignore_index=True)
    if "patient" in change:
        cells.loc[0, "patient"] = change["patient"]
    with pytest.raises(ValueError, match=message):
        make_grid(cells, 0.0)


def test_one_s_own_mean_does_not_hang_on_who_is_compared() -> None:
    cells = random_cells(3)
    grid = make_grid(cells, "diagonal")
    alone = grid.per_patient()
    assert grid.together(["c", "a"], math.nan, alone).equals(alone.loc[["c", "a"]])
    pair = grid.together(["c", "a", "c"], 0.0, alone)
    assert pair.index.tolist() == ["c", "a"]
    assert (pair.notna() >= alone.loc[["c", "a"]].notna()).all(axis=None)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_runs_of_entries_that_are_compared_are_those_of_their_averages(seed: int) -> None:
    """One image and label of each patient: no order of averaging matters, whatever is left out."""
    cells = random_cells(seed, keep=2.0)
    cells = cells[(cells["label"] == "lv") & cells["case"].str.endswith("-0")]
    grid = make_grid(cells, "diagonal", agreed=0.0)
    pair = grid.together(["c", "a"], 0.0, grid.per_patient())
    runs = grid.runs_together(["c", "a"], 0.0)
    assert runs.shape == (2, 4, 4)
    for patient in range(4):
        one = runs[:, :, patient]
        # An entry has all runs of a place or none: what is compared is the same in each run.
        assert np.isnan(one).all() or not np.isnan(one).any()
        np.testing.assert_allclose(one.mean(axis=1), pair.iloc[:, patient])


def test_runs_are_as_ever_where_nothing_is_added() -> None:
    grid = make_grid(random_cells(3), "diagonal")
    np.testing.assert_array_equal(grid.runs_together(["b", "a"], math.nan), grid.per_run()[[1, 0]])
    with pytest.raises(KeyError, match="no entry 'z'; there are a, b, c"):
        grid.runs_together(["a", "z"], math.nan)


def test_counts_know_no_words_that_do_not_occur() -> None:
    cells = random_cells(5).astype({"entry": "category", "status": "category"})
    cells["entry"] = cells["entry"].cat.add_categories("never")
    found = status_counts(cells)
    assert found.index.tolist() == ["a", "b", "c"]
    shown = ["n_valid", "n_empty_reference", "n_missed", "n_failed"]
    assert found[shown].sum(axis=1).tolist() == cells["entry"].value_counts().loc[["a", "b", "c"]].tolist()
