import json
import math
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from bench.errors import ResultsError
from bench.results import parts
from bench.results.schema import VERSION_KEY
from bench.results.store import Store

TRIAL, CODE = "aaaaaaaaaaaaaaaa", "c0de" * 16


@pytest.fixture
def store(tmp_path, trial_row, case_row) -> Store:
    store = Store(tmp_path)
    cases = [case_row(case=case, value=value) for case, value in (("p1-ed", 0.9), ("p1-es", 1 / 3))]
    assert store.write(trial_row(), cases, [])
    return store


def hd(case_row, **changes):
    return case_row(metric="hd", definition="hd/v1", value=4.5, unit="mm") | changes


def contents(store):
    return {path: path.read_bytes() for path in store.root.folder.rglob("*.parquet")}


def test_rows_of_another_metric_come_after_the_others(store, case_row):
    before = store.cases()
    rows = [hd(case_row, case=case) for case in ("p1-ed", "p1-es")]
    found = store.add_cases(TRIAL, CODE, 1, rows)
    assert (len(found.added), found.same, found.conflicts) == (2, 0, ())
    after = store.cases()
    assert after.iloc[:2].equals(before)
    assert after["definition"].tolist() == ["dice/v1"] * 2 + ["hd/v1"] * 2
    assert set(after["code"]) == {CODE}
    assert set(after["attempt"]) == {1}
    (part,) = (store.root.folder / "cases").glob("*.parquet")
    assert VERSION_KEY in pq.read_schema(part).metadata


def test_what_is_there_is_not_written_again(store, case_row):
    rows = [hd(case_row), hd(case_row, case="p1-es", value=math.inf, status="prediction_empty")]
    store.add_cases(TRIAL, CODE, 1, rows)
    before = contents(store)
    found = store.add_cases(TRIAL, CODE, 1, [*rows, case_row(), case_row(case="p1-es", value=1 / 3 + 1e-12)])
    assert (found.added, found.same, found.conflicts) == ((), 4, ())
    assert contents(store) == before


@pytest.mark.parametrize(
    ("change", "now"),
    [
        ({"value": 0.90001}, "0.90001"),
        ({"value": math.nan, "status": "failed"}, "nan (failed)"),
        ({"value": math.inf}, "inf"),
        ({"status": "both_empty"}, "0.9 (both_empty)"),
    ],
)
def test_a_definition_must_not_change_its_numbers(store, case_row, change, now):
    before = contents(store)
    found = store.add_cases(TRIAL, CODE, 1, [hd(case_row), case_row(**change)])
    assert found.conflicts == (f"test p1-ed lung: dice/v1 is 0.9, now {now}",)
    assert contents(store) == before


def test_nan_and_infinity_equal_themselves(store, case_row):
    rows = [
        hd(case_row, value=math.nan, status="both_empty"),
        hd(case_row, case="p1-es", value=math.inf, status="reference_empty"),
    ]
    store.add_cases(TRIAL, CODE, 1, rows)
    assert store.add_cases(TRIAL, CODE, 1, rows).same == 2


def test_another_definition_of_a_metric_stands_beside_the_first(store, case_row):
    store.add_cases(TRIAL, CODE, 1, [case_row(definition="dice/v2", value=0.1)])
    assert sorted(store.cases()["definition"]) == ["dice/v1", "dice/v1", "dice/v2"]


def test_a_dry_run_writes_nothing(store, case_row):
    before = contents(store)
    assert len(store.add_cases(TRIAL, CODE, 1, [hd(case_row)], dry_run=True).added) == 1
    assert contents(store) == before


def test_a_write_that_fails_leaves_the_part_whole(store, case_row, monkeypatch):
    before = contents(store)

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parts.pq, "write_table", full)
    with pytest.raises(OSError, match="No space left"):
        store.add_cases(TRIAL, CODE, 1, [hd(case_row)])
    assert contents(store) == before
    assert not list(store.root.folder.rglob(".tmp-*"))


def test_a_kill_before_the_last_step_leaves_the_part_whole(store, case_row):
    before, rows = contents(store), [hd(case_row)]
    script = (
        "import json, os, sys; from bench.results.store import Store\n"
        "os.replace = lambda source, target: os.kill(os.getpid(), 9)\n"
        "root, trial, code, rows = sys.argv[1:]\n"
        "from pathlib import Path; Store(Path(root)).add_cases(trial, code, 1, json.loads(rows))"
    )
    arguments = [str(store.root), TRIAL, CODE, json.dumps(rows)]
    killed = subprocess.run([sys.executable, "-c", script, *arguments], check=False)
    assert killed.returncode == -9
    # The draft was whole, and nobody takes it for the part.
    assert len(list(store.root.folder.rglob(".tmp-*"))) == 1
    assert contents(store) == before
    assert len(store.add_cases(TRIAL, CODE, 1, rows).added) == 1
    assert store.cases()["definition"].tolist() == ["dice/v1", "dice/v1", "hd/v1"]


def test_bad_rows_are_refused_before_anything_is_written(store, case_row):
    before = contents(store)
    with pytest.raises(
        ValueError, match=r"cases rows must differ in part, case, label, metric, definition; twice"
    ):
        store.add_cases(TRIAL, CODE, 1, [hd(case_row), hd(case_row)])
    with pytest.raises(ValueError, match="cases row of trial 'b' among those of"):
        store.add_cases(TRIAL, CODE, 1, [hd(case_row, trial="b")])
    with pytest.raises(ValueError, match="unit must be one of"):
        store.add_cases(TRIAL, CODE, 1, [hd(case_row, unit="inch")])
    assert contents(store) == before


@pytest.mark.parametrize(("trial", "attempt"), [(TRIAL, 2), ("b" * 16, 1)])
def test_an_attempt_that_was_replaced_is_not_added_to(store, case_row, trial, attempt):
    with pytest.raises(ResultsError, match=rf"attempt {attempt} of trial {trial} is not there any more$"):
        store.add_cases(trial, CODE, attempt, [hd(case_row, trial=trial)])
