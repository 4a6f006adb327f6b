"""Comparisons of two entries where one invents a label that is not there: known answers."""

import math

import pandas as pd
import pytest

from bench.stats.aggregate import POLICIES, Policy, per_patient
from bench.stats.paired import compare
from bench.stats.together import per_patient_together

NAN, INF = math.nan, math.inf
EMPTY, INVENTED = ("both_empty", NAN), ("reference_empty", 0.0)


def cells(**entries: list[tuple[str, float]]) -> pd.DataFrame:
    """Returns one case of each patient, in order: (status, value)."""
    rows = [
        {
            "entry": entry, "fold": 0, "seed": 0, "patient": f"p{i:02}", "case": f"c{i:02}", "label": "lv",
            "value": value, "status": status, "diagonal": 100.0,
        }
        for entry, values in entries.items()
        for i, (status, value) in enumerate(values)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture
def hallucination() -> pd.DataFrame:
    """24 patients, 12 without the label: there, one entry predicts nothing, the other something."""
    there = [("ok", 0.8 + 0.01 * i) for i in range(12)]
    return cells(careful=there + [EMPTY] * 12, hallucinates=there + [INVENTED] * 12)


def test_who_invents_a_label_is_clearly_worse(hallucination: pd.DataFrame) -> None:
    alone = per_patient(hallucination, 0.0)
    lost = compare(alone, "careful", "hallucinates")
    assert (lost.n, lost.p) == (12, 1.0)
    pair = per_patient_together(hallucination, ["careful", "hallucinates"], 0.0, agreed=1.0, alone=alone)
    test = compare(pair, "careful", "hallucinates")
    # Twelve patients alike, twelve that are right by all there is.
    assert (test.n, test.mean) == (24, 0.5)
    assert test.p == pytest.approx(2 / 2**12)
    # Nothing changes in what the entries count on their own.
    assert alone.loc["careful"].isna().sum() == 12


@pytest.mark.parametrize("policy", ["one", "brats"])
def test_where_agreement_counts_anyway_nothing_is_added(hallucination: pd.DataFrame, policy: Policy) -> None:
    alone = per_patient(hallucination, 0.0, policy, 1.0)
    pair = per_patient_together(hallucination, ["careful", "hallucinates"], 0.0, policy, 1.0)
    pd.testing.assert_frame_equal(pair, alone)


def test_distances_count_zero_against_the_diagonal() -> None:
    found = per_patient_together(
        cells(a=[EMPTY, ("ok", 3.0)], b=[("reference_empty", INF), ("ok", 5.0)]), ["b", "a"], "diagonal", agreed=0.0
    )  # fmt: skip
    assert found.index.tolist() == ["b", "a"]
    assert found.to_numpy().tolist() == [[100, 5], [0, 3]]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_failure_counts_against_who_failed(policy: Policy) -> None:
    pair = per_patient_together(cells(a=[EMPTY], b=[("missing", NAN)]), ["a", "b"], 0.0, policy, 1.0)
    assert pair["p00"].tolist() == [1, 0]


def test_cells_that_count_for_neither_and_metrics_that_praise_nothing_are_left_out() -> None:
    both = per_patient_together(
        cells(a=[EMPTY, ("ok", 0.5)], b=[EMPTY, ("ok", 0.6)]), ["a", "b"], 0.0, agreed=1.0
    )
    assert both["p00"].isna().all()
    assert both["p01"].tolist() == [0.5, 0.6]
    without = per_patient_together(cells(a=[EMPTY], b=[INVENTED]), ["a", "b"], 0.0)
    assert math.isnan(without.loc["a", "p00"])


def test_what_one_seed_invents_counts_against_all_seeds_that_do_not() -> None:
    """One seed of two invents: in the other both are right; the label that is there stays as it is."""
    seeds = [cells(a=[EMPTY], b=[INVENTED]), cells(a=[EMPTY], b=[EMPTY]).assign(seed=1)]
    label = cells(a=[("ok", 0.5)], b=[("ok", 0.7)]).assign(label="rv")
    found = per_patient_together(pd.concat([*seeds, label], ignore_index=True), ["a", "b"], 0.0, agreed=1.0)
    assert found["p00"].tolist() == [(1 + 0.5) / 2, ((0 + 1) / 2 + 0.7) / 2]


def test_differences_of_pairs_add_up() -> None:
    """An entry invents a label in none, one or all of three seeds; each pair on its own values."""
    invents = {"never": 0, "once": 1, "always": 3}
    seeds = [
        cells(**{name: [INVENTED if seed < times else EMPTY] for name, times in invents.items()}).assign(seed=seed)
        for seed in range(3)
    ]  # fmt: skip
    every = pd.concat(seeds, ignore_index=True)

    def gap(first: str, second: str) -> float:
        pair = per_patient_together(every, [first, second], 0.0, agreed=1.0)
        return compare(pair, first, second).mean

    assert gap("once", "never") == pytest.approx(-1 / 3)
    assert gap("always", "once") == pytest.approx(-2 / 3)
    assert gap("always", "never") == pytest.approx(gap("always", "once") + gap("once", "never"))


def test_a_third_entry_does_not_matter(hallucination: pd.DataFrame) -> None:
    quiet = hallucination[hallucination["entry"] == "careful"].assign(entry="quiet")
    every = pd.concat([hallucination, quiet], ignore_index=True)
    alone = per_patient(every, 0.0)
    found = per_patient_together(every, ["careful", "quiet"], 0.0, agreed=1.0, alone=alone)
    pd.testing.assert_frame_equal(found, alone.loc[["careful", "quiet"]])


def test_of_several_entries_each_that_left_it_out_counts_as_right() -> None:
    every = cells(a=[EMPTY, EMPTY], b=[INVENTED, EMPTY], c=[EMPTY, EMPTY])
    found = per_patient_together(every, ["a", "b", "c"], 0.0, agreed=1.0)
    assert found["p00"].tolist() == [1, 0, 1]
    assert found["p01"].isna().all()


def test_a_cell_that_comes_twice_is_refused() -> None:
    twice = pd.concat([cells(a=[EMPTY], b=[INVENTED])] * 2, ignore_index=True)
    with pytest.raises(ValueError, match="a cell must come once"):
        per_patient_together(twice, ["a", "b"], 0.0, agreed=1.0)
