"""What spreadsheets would evaluate is marked, and can be had back."""

import re

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bench.results.cells import FORMULA, csv_text


@pytest.mark.parametrize("text", ["=SUM(A1)", "+1", "-1", "@x", "\tx", "\rx", "'=x", "''-x"])
def test_formulas_have_an_apostrophe_more(text: str) -> None:
    assert csv_text(text) == f"'{text}"
    assert pc.replace_substring_regex(pa.array([text, None]), FORMULA, r"'\1").to_pylist() == [
        f"'{text}",
        None,
    ]


@pytest.mark.parametrize("text", ["", "a=b", "'a", " =x", "x\n=y", "1e-3", "unet + dice"])
def test_other_texts_stay(text: str) -> None:
    assert csv_text(text) == text
    assert pc.replace_substring_regex(pa.array([text]), FORMULA, r"'\1").to_pylist() == [text]


@pytest.mark.parametrize("text", ["=x", "'=x", "''=x", "'x", "x"])
def test_every_text_comes_back(text: str) -> None:
    assert re.sub(r"^'('*[=+\-@\t\r])", r"\1", csv_text(text)) == text
