"""A full grid, against a merge."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import ResultsError
from bench.leaderboard.measured import full_grid

ENTRIES = ["a", "b", "never run"]
RUNS = pd.DataFrame([(0, 0), (0, 1), (1, 0)], columns=["fold", "seed"])
TEXTS = ["entry", "case", "patient", "label", "metric", "subgroup", "phase", "definition", "status", "unit"]


def values(kept: list[int]) -> pd.DataFrame:
    """Returns some of the rows of 2 entries, 3 runs, 3 cases, 2 labels and 2 metrics."""
    rows = pd.DataFrame({"entry": ENTRIES[:2]}).merge(RUNS, how="cross")
    for name, words in {
        "case": ["p0-i", "p0-j", "p1-i"],
        "label": ["x", "y"],
        "metric": ["dice", "hd"],
    }.items():
        rows = rows.merge(pd.DataFrame({name: words}), how="cross")
    rows = rows.assign(
        patient=rows["case"].str[:2], subgroup=rows["case"].str[:2] + "-group", phase=rows["case"].str[-1],
        definition=rows["metric"] + "/v1", unit=rows["metric"].map({"dice": "", "hd": "mm"}), value=np.arange(72.0),
        diagonal=rows["case"].map({"p0-i": 100.0, "p0-j": 120.0, "p1-i": 90.0}), status="ok",
    )  # fmt: skip
    rows = rows.iloc[kept].reset_index(drop=True).astype(dict.fromkeys(TEXTS, "category"))
    columns = [
        "entry",
        "fold",
        "seed",
        "case",
        "patient",
        "label",
        "metric",
        "subgroup",
        "phase",
        "definition",
    ]
    return rows[[*columns, "value", "status", "unit", "diagonal"]]


@settings(max_examples=12)
@given(st.lists(st.integers(0, 71), min_size=1, max_size=72, unique=True))
def test_what_is_missing_is_there(kept: list[int]) -> None:
    rows = values(kept)
    plain = rows.astype(dict.fromkeys(TEXTS, object))
    keys = ["case", "patient", "label", "metric"]
    known = plain.groupby(keys, as_index=False).agg(
        {"subgroup": "first", "phase": "first", "unit": "first", "diagonal": "max"}
    )
    expected = pd.DataFrame({"entry": ENTRIES}).merge(RUNS, how="cross").merge(known, how="cross")
    own = plain[["entry", "fold", "seed", *keys, "definition", "value", "status"]]
    expected = expected.merge(own, how="left", on=["entry", "fold", "seed", *keys])
    expected["status"] = expected["status"].fillna("missing")
    found = full_grid(rows, ENTRIES, RUNS)
    order = ["entry", "fold", "seed", *keys]
    pd.testing.assert_frame_equal(
        found.astype(dict.fromkeys(TEXTS, object)).sort_values(order, ignore_index=True),
        expected[found.columns].sort_values(order, ignore_index=True),
        check_dtype=False,
    )


def test_what_is_whole_is_not_copied() -> None:
    rows = values(list(range(72)))
    assert full_grid(rows, ENTRIES[:2], RUNS) is rows


def test_no_values_at_all() -> None:
    found = full_grid(values([0]).iloc[:0], ENTRIES, RUNS)
    assert found.empty
    assert found.columns.tolist() == values([0]).columns.tolist()


@pytest.mark.parametrize("number", [1, 2])
def test_runs_that_are_not_expected_are_dropped(number: int) -> None:
    found = full_grid(values(list(range(72))), ENTRIES[:2], RUNS.iloc[:number])
    assert len(found) == 2 * number * 12
    assert (found["status"] == "ok").all()


def test_what_comes_twice_is_refused() -> None:
    rows = values([0, 1, 5, 5])
    message = "a value must come once; twice: entry a, fold 0, seed 0, case p0-j, label x, metric hd"
    with pytest.raises(ResultsError, match=message):
        full_grid(rows, ENTRIES, RUNS)


def test_a_case_of_two_patients_is_refused() -> None:
    rows = values(list(range(71)))
    rows.loc[40, "patient"] = "p1"
    with pytest.raises(ResultsError, match=r"a case must belong to one patient; p\d-\w has several"):
        full_grid(rows, ENTRIES, RUNS)
