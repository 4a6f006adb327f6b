"""Columns as codes, against pandas."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stats import codes
from bench.stats.codes import combine

WORDS = st.tuples(st.sampled_from(["b", "a", "c"]), st.integers(-3, 3), st.sampled_from(["x", "y"]))


def check(rows: pd.DataFrame, plain: pd.DataFrame | None = None) -> None:
    names = list(rows.columns)
    plain = rows if plain is None else plain
    found = combine(rows, names)
    expected = plain.drop_duplicates().sort_values(names, ignore_index=True)
    for name in names:
        assert found.frame()[name].tolist() == expected[name].tolist()
        assert found.frame()[name].take(found.codes).tolist() == plain[name].tolist()
    assert found.number == len(expected)


@settings(max_examples=30)
@given(st.lists(WORDS, min_size=1, max_size=20), st.booleans())
def test_combinations_are_those_of_pandas(rows: list[tuple[str, int, str]], sparse: bool) -> None:
    frame = pd.DataFrame(rows, columns=["text", "number", "word"])
    coded = frame.assign(text=pd.Categorical(frame["text"], ["c", "never", "b", "a"]))
    with pytest.MonkeyPatch.context() as patch:
        # Both ways to find them: a table of all, and sorting.
        patch.setattr(codes, "DENSE", -1_000_000 if sparse else codes.DENSE)
        patch.setattr(codes, "BLOCK", 3)
        check(frame)
        # In an order of their own, with a word that does not occur.
        check(coded, frame)


def test_large_numbers_and_spans() -> None:
    check(pd.DataFrame({"seed": [2**40, 0, 2**40, -7], "fold": np.array([1, 0, 1, 2], np.int8)}))


def test_more_combinations_than_an_int32_holds() -> None:
    numbers = np.arange(50_000)
    words = pd.Index([f"{number:05}" for number in range(70_000)])
    one, two = pd.Categorical.from_codes(numbers, words), pd.Categorical.from_codes(69_999 - numbers, words)
    rows = pd.DataFrame({"one": one, "two": two, "three": numbers % 3})
    check(rows, rows.astype({"one": str, "two": str}))


def test_a_row_without_a_value_is_refused() -> None:
    with pytest.raises(ValueError, match="column label must have a value in every row"):
        combine(pd.DataFrame({"label": ["a", None]}), ["label"])


def test_no_rows() -> None:
    found = combine(pd.DataFrame({"a": pd.Categorical([], ["x"]), "b": np.array([], np.int64)}), ["a", "b"])
    assert (found.number, len(found.codes), len(found.frame())) == (0, 0, 0)
