"""Slices are no patients: what happens where they are taken for units, and that nothing here takes them."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from bench.stats.aggregate import RunValues, per_patient
from bench.stats.bayes import signed_rank_rope
from bench.stats.friedman import friedman
from bench.stats.paired import compare, differences, significance_map
from bench.stats.permutation import sign_flip_p
from bench.stats.signed_rank import signed_rank_p, signed_rank_rows


def slices(rng: np.random.Generator) -> pd.DataFrame:
    """20 patients x 30 slices: patients differ by -0.006 to 0.01, and their slices scatter around that."""
    patients = np.repeat(np.arange(20), 30)
    gap = np.linspace(-0.006, 0.01, 20)[patients] + rng.normal(0, 0.005, 600)
    frame = pd.DataFrame(
        {"patient": [f"p{i:02}" for i in patients], "case": [f"s{i:03}" for i in range(600)]}
    ).assign(fold=0, seed=0, label="lv", status="ok", diagonal=100.0)
    return pd.concat(
        [frame.assign(entry="a", value=0.8 + gap), frame.assign(entry="b", value=0.8)], ignore_index=True
    )


@pytest.mark.slow
def test_slices_as_units_raise_false_alarms_in_six_of_ten() -> None:
    rng = np.random.default_rng(0)
    d = np.repeat(rng.normal(0, 1, (3000, 20)), 30, axis=1) + rng.normal(0, 1, (3000, 600))
    assert (signed_rank_rows(d) < 0.05).mean() == pytest.approx(0.61, abs=0.03)
    of_patients = d.reshape(3000, 20, 30).mean(axis=2)
    assert (signed_rank_rows(of_patients) < 0.05).mean() == pytest.approx(0.05, abs=0.012)


def test_slices_are_averaged_before_anything_is_tested() -> None:
    cells = slices(np.random.default_rng(1))
    values = per_patient(cells, worst=0.0)
    assert values.shape == (2, 20)
    by_slice = cells.set_index(["entry", "case"])["value"].unstack()
    assert compare(values, "a", "b").n == 20
    # What a test of slices would say of the same numbers.
    assert signed_rank_p((by_slice.loc["a"] - by_slice.loc["b"]).to_numpy()) < 0.001
    assert compare(values, "a", "b").p > 0.05


def test_slices_are_refused_wherever_units_are_taken() -> None:
    """A table of slices, with its own name, or under the patients' names."""
    cells = slices(np.random.default_rng(1))
    by_slice = cells.set_index(["entry", "case"])["value"].unstack()
    renamed = by_slice.set_axis(
        pd.Index(np.repeat([f"p{i:02}" for i in range(20)], 30), name="patient"), axis=1
    )
    rng = np.random.default_rng(0)
    takers: list[Callable[[pd.DataFrame], object]] = [
        lambda values: compare(values, "a", "b"),
        lambda values: significance_map(values, 1),
        lambda values: friedman(values, 1),
        lambda values: sign_flip_p(differences(values, "a", "b"), rng),
        lambda values: signed_rank_rope(differences(values, "a", "b"), 0.01, rng),
        lambda values: sign_flip_p(values.loc["a"] - values.loc["b"], rng),
        lambda values: signed_rank_rope(values.loc["a"] - values.loc["b"], 0.01, rng),
        lambda values: RunValues(
            ("a", "b"), ((0, 0),), tuple(map(str, values.columns)) if values is renamed else ("p",),
            values.to_numpy()[:, None],
        ),
    ]  # fmt: skip
    for take in takers:
        with pytest.raises(ValueError, match=r"patient|origin"):
            take(by_slice)
        with pytest.raises(ValueError, match=r"several times"):
            take(renamed)
