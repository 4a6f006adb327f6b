"""Case rows with coded texts: the same rows as plain ones, in less room."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.errors import ResultsError
from bench.results.coded import Coder
from bench.results.compaction import compact
from bench.results.schema import CASES, SCHEMA_VERSION, VERSION_KEY
from bench.results.store import Store

Rows = Callable[..., dict[str, Any]]
TEXTS = [field.name for field in CASES if pa.types.is_string(field.type)]


@pytest.fixture(params=["loose", "compacted", "both"])
def store(request: pytest.FixtureRequest, tmp_path: Path, trial_row: Rows, case_row: Rows) -> Store:
    store = Store(tmp_path)
    for number, trial in enumerate("abc"):
        if trial == "c" and request.param == "both":
            compact(store.root)
        rows = [
            case_row(trial=trial, case=f"c{case}", value=number + case / 100, part=part, label=f"l{number}")
            for case in range(70 * (number + 1))
            for part in ("validation", "test")
        ]
        store.write(trial_row(trial=trial, minutes=number), rows, [])
    if request.param == "compacted":
        compact(store.root)
    return store


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    texts = [name for name in frame if frame[name].dtype == "category"]
    frame = frame.astype(dict.fromkeys(texts, "str"))
    return frame.sort_values(["trial", "case", "part"], ignore_index=True)


@pytest.mark.parametrize("part", [None, "test"])
@pytest.mark.parametrize("trials", [None, ["a", "c"], []])
def test_rows_are_those_of_the_frame(store: Store, part: str | None, trials: list[str] | None) -> None:
    table = store.case_table(trials, part)
    assert table.column_names == CASES.names
    assert all(pa.types.is_dictionary(table[name].type) for name in TEXTS)
    found = table.to_pandas()
    assert list(found.columns[found.dtypes == "category"]) == TEXTS
    expected = store.cases(trials, part)
    assert len(found) == len(expected)
    if len(found):
        pd.testing.assert_frame_equal(plain(found), plain(expected), check_exact=True)


def test_columns_come_as_they_were_asked_for(store: Store) -> None:
    table = store.case_table(part="test", columns=["value", "case", "trial"])
    assert table.column_names == ["value", "case", "trial"]
    assert len(table) == len(store.cases(part="test"))


def test_codes_are_as_narrow_as_they_can_be(store: Store) -> None:
    kinds = {field.name: field.type for field in store.case_table().schema}
    # There are 210 cases, and up to three of all else.
    assert kinds["case"].index_type == pa.int16()
    assert {kinds[name].index_type for name in TEXTS if name != "case"} == {pa.int8()}


@pytest.mark.parametrize("count", [1, 127, 128, 129, 32_768, 32_769])
def test_words_and_codes_agree_when_words_become_many(count: int) -> None:
    coder = Coder("cases", ["case", "value"])
    words = [f"w{number}" for number in range(count)]
    for start in range(0, count, 1000):
        piece = words[start : start + 1000]
        coder.add(pa.table({"case": pa.array(piece).dictionary_encode(), "value": [0.5] * len(piece)}))
    table = coder.table()
    assert table["case"].to_pylist() == words
    assert table.schema.field("case").type.index_type.bit_width == (
        8 if count <= 128 else 16 if count <= 32_768 else 32
    )


def test_no_rows_are_a_table(tmp_path: Path) -> None:
    table = Store(tmp_path).case_table()
    assert (len(table), table.column_names) == (0, CASES.names)
    assert table.to_pandas()["case"].dtype == "category"


def test_what_is_damaged_is_named(tmp_path: Path, trial_row: Rows, case_row: Rows) -> None:
    store = Store(tmp_path)
    for trial in "abc":
        store.write(trial_row(trial=trial), [case_row(trial=trial)], [])
    first, second, _ = sorted((tmp_path / "cases").iterdir())
    first.write_bytes(b"PAR1 rubbish")
    second.write_bytes(b"")
    with pytest.raises(
        ResultsError, match=f"{first}: damaged or not Parquet .* is 1 other; `bench run SUITE` sets"
    ):
        store.case_table()
    newer = pq.read_table(tmp_path / "cases" / "c-c0dec0de-1.parquet")
    newer = newer.replace_schema_metadata({VERSION_KEY: str(SCHEMA_VERSION + 1)})
    pq.write_table(newer, first)
    with pytest.raises(ResultsError, match=f"{first}: written with results schema .*; install a newer one"):
        store.case_table(["a"])
    first.unlink()
    with pytest.raises(ResultsError, match=f"{first}: this part of a trial is missing"):
        store.case_table()


@pytest.mark.parametrize("trials", [None, ["a", "c"]])
def test_known_trials_are_not_read_again(
    store: Store, trials: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, known = store.case_table(trials), store.trials()
    with monkeypatch.context() as patch:
        patch.setattr("bench.results.reader.read_tables", lambda *args: list(zip(args[2], strict=True)))
        assert store.case_table(trials, known=known).equals(expected)
    assert store.case_table(trials, known=known.iloc[:1]).equals(expected)


def test_what_was_replaced_since_is_looked_for_anew(store: Store, trial_row: Rows, case_row: Rows) -> None:
    known = store.trials()
    store.write(trial_row(trial="b", minutes=9), [case_row(trial="b", value=0.5)], [])
    found = store.case_table(["b"], known=known).to_pandas()
    assert found[["attempt", "value"]].to_numpy().tolist() == [[2, 0.5]]
