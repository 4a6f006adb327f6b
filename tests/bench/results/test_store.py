"""The store: round trips, replacement, and what a crash or a damaged file leaves."""

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.errors import ResultsError
from bench.results.compaction import compact
from bench.results.migrations import UNCHANGED_SINCE
from bench.results.schema import BESIDE, CASES, MIGRATIONS, SCHEMA_VERSION, TABLES, TRIALS, VERSION_KEY
from bench.results.store import Store

Rows = Callable[..., dict[str, Any]]
TRIAL = "aaaaaaaaaaaaaaaa"
VERSION_1 = TRIALS.names[: TRIALS.names.index("gmacs")]
SINCE_4 = TRIALS.names[TRIALS.names.index("node") :]
CASES_UP_TO_2 = [name for name in CASES.names if name != "phase"]


def files(root: Path) -> list[str]:
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def test_round_trip(tmp_path: Path, trial_row: Rows, case_row: Rows, curve_row: Rows) -> None:
    store, row = Store(tmp_path), trial_row()
    cases = [case_row(), case_row(label="all", value=math.nan, status="failed")]
    assert store.write(row, cases, [curve_row()])
    trials = store.trials()
    assert trials.iloc[0].to_dict() == row
    assert set(trials.columns) == set(row)
    read = store.cases()
    assert list(read["value"].fillna(-1)) == [0.9, -1]
    assert read.iloc[0].to_dict() == case_row() | {"code": row["code"], "attempt": 1}
    assert store.curves().iloc[0].to_dict() == curve_row() | {"code": row["code"], "attempt": 1}
    code = row["code"][:8]
    assert files(tmp_path) == [
        f"cases/{TRIAL}-{code}-1.parquet",
        f"curves/{TRIAL}-{code}-1.parquet",
        f"trials/{TRIAL}-{code}.parquet",
    ]


def test_empty_store_gives_typed_frames(tmp_path: Path, trial_row: Rows, case_row: Rows) -> None:
    empty, full = Store(tmp_path / "none"), Store(tmp_path / "some")
    full.write(trial_row(), [case_row()], [])
    for name in TABLES:
        nothing, something = getattr(empty, name)(), getattr(full, name)()
        assert not len(nothing)
        pd.testing.assert_series_equal(nothing.dtypes, something.dtypes)
    assert not (tmp_path / "none").exists()


def test_a_failed_trial_has_no_numbers(tmp_path: Path, trial_row: Rows) -> None:
    store = Store(tmp_path)
    store.write(
        trial_row(status="oom", value=math.nan, parameters=None, best_epoch=None, steps=None, train_s=None),
        [],
        [],
    )
    row = store.trials().iloc[0]
    assert row["status"] == "oom"
    assert row[["value", "parameters", "best_epoch", "steps", "train_s"]].isna().all()


def test_whole_numbers_and_words_of_truth_may_be_missing(tmp_path: Path, trial_row: Rows) -> None:
    store = Store(tmp_path)
    nothing = dict.fromkeys(("parameters", "micro_batch", "compiled", "notes", "energy_j"))
    store.write(trial_row(), [], [])
    store.write(trial_row(trial="b", minutes=1, **nothing), [], [])
    found = store.trials()
    kinds = found[["parameters", "micro_batch", "compiled", "energy_j"]].dtypes
    assert kinds.tolist() == [pd.Int64Dtype(), pd.Int32Dtype(), pd.BooleanDtype(), np.dtype(float)]
    assert found[list(nothing)].isna().to_numpy().tolist() == [[False] * 5, [True] * 5]


def test_filters(tmp_path: Path, trial_row: Rows, case_row: Rows) -> None:
    store = Store(tmp_path)
    for trial in ("t1", "t2"):
        rows = [case_row(trial=trial), case_row(trial=trial, part="validation")]
        store.write(trial_row(trial=trial), rows, [])
    assert len(store.cases()) == 4
    assert set(store.cases(trials=["t2"])["trial"]) == {"t2"}
    assert set(store.cases(part="test")["part"]) == {"test"}
    assert store.cases(trials=[], part="test").empty


def test_large_columns_are_left_out_where_nobody_needs_them(tmp_path: Path, trial_row: Rows) -> None:
    store, without = Store(tmp_path), ["spec_json", "compiled"]
    pd.testing.assert_series_equal(store.trials(without).dtypes, store.trials().drop(columns=without).dtypes)
    store.write(trial_row(), [], [])
    pd.testing.assert_frame_equal(store.trials(without), store.trials().drop(columns=without))
    compact(store.root)
    pd.testing.assert_frame_equal(store.trials(without), store.trials().drop(columns=without))


def test_cases_of_one_trial_are_found_without_a_look_at_the_others(
    tmp_path: Path, trial_row: Rows, case_row: Rows
) -> None:
    store, code = Store(tmp_path), trial_row()["code"]
    store.write(trial_row(status="crashed"), [], [])
    store.write(trial_row(), [case_row()], [])
    store.write(trial_row(code="0123456789"), [case_row(value=0.2)], [])
    store.write(trial_row(trial="b"), [case_row(trial="b")], [])
    (tmp_path / "trials" / f"b-{code[:8]}.parquet").write_bytes(b"damaged")
    found = store.cases_of(TRIAL, code, 2)
    assert found.to_dict("records") == [case_row() | {"code": code, "attempt": 2}]
    assert store.cases_of(TRIAL, "0123456789", 1)["value"].tolist() == [0.2]
    for trial, attempt in ((TRIAL, 1), (TRIAL, 3), ("c", 1)):
        with pytest.raises(ResultsError, match=f"attempt {attempt} of trial {trial} is not there any more$"):
            store.cases_of(trial, code, attempt)
    next((tmp_path / "cases").glob(f"{TRIAL}-{code[:8]}-*")).unlink()
    with pytest.raises(ResultsError, match="this part of a trial is missing; put it back"):
        store.cases_of(TRIAL, code, 2)


def test_a_later_attempt_replaces_the_earlier(tmp_path: Path, trial_row: Rows, case_row: Rows) -> None:
    store = Store(tmp_path)
    store.write(trial_row(status="crashed"), [], [])
    store.write(trial_row(), [case_row()], [])
    assert list(store.trials()["attempt"]) == [2]
    assert list(store.cases()["attempt"]) == [2]
    assert len(files(tmp_path)) == 3


def test_other_code_stands_beside(tmp_path: Path, trial_row: Rows, case_row: Rows) -> None:
    store = Store(tmp_path)
    store.write(trial_row(), [case_row(value=0.1)], [])
    store.write(trial_row(code="0123456789", minutes=5), [case_row(value=0.2)], [])
    assert list(store.trials()["attempt"]) == [1, 1]
    joined = store.cases().merge(store.trials(), on=["trial", "code", "attempt"], suffixes=("", "_trial"))
    assert dict(zip(joined["code"], joined["value"], strict=True)) == {"c0de" * 16: 0.1, "0123456789": 0.2}


@pytest.mark.parametrize("status", ["interrupted", "infra_lost"])
def test_a_lost_worker_never_replaces_a_decided_result(
    tmp_path: Path, trial_row: Rows, case_row: Rows, status: str
) -> None:
    store = Store(tmp_path)
    store.write(trial_row(), [case_row()], [])
    assert not store.write(trial_row(status=status), [], [])
    assert list(store.trials()["status"]) == ["complete"]
    assert len(store.cases()) == 1
    assert store.write(trial_row(status="diverged"), [], [])
    assert list(store.trials()["status"]) == ["diverged"]
    assert store.cases().empty
    assert not store.write(trial_row(status=status), [], [])
    assert list(store.trials()["status"]) == ["diverged"]


@pytest.mark.parametrize("crash_at", range(3))
@pytest.mark.parametrize("before", [None, "crashed", "complete"])
def test_a_crash_at_any_moment_changes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trial_row: Rows,
    case_row: Rows,
    crash_at: int,
    before: str | None,
) -> None:
    store = Store(tmp_path)
    if before:
        store.write(trial_row(status=before), [case_row(value=0.1)] if before == "complete" else [], [])
    expected = store.trials(), store.cases()
    replace, calls = os.replace, iter(range(3))

    def dying(source: Path, target: Path) -> None:
        if next(calls) == crash_at:
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dying)
        with pytest.raises(KeyboardInterrupt):
            store.write(trial_row(), [case_row(value=0.9)], [])
    pd.testing.assert_frame_equal(store.trials(), expected[0])
    pd.testing.assert_frame_equal(store.cases(), expected[1])
    # And the next attempt heals it, leaving no litter.
    store.write(trial_row(), [case_row(value=0.9)], [])
    assert list(store.cases()["value"]) == [0.9]
    assert len(files(tmp_path)) == 3


def test_files_in_the_making_are_passed_over(tmp_path: Path, trial_row: Rows) -> None:
    store = Store(tmp_path)
    store.write(trial_row(), [], [])
    (tmp_path / "trials" / ".tmp-1-x").write_bytes(b"PAR1 half")
    (tmp_path / "trials" / "notes.txt").write_text("mine")
    assert len(store.trials()) == 1


def test_a_killed_writer_leaves_nothing_that_looks_like_a_table(tmp_path: Path, trial_row: Rows) -> None:
    script = (
        "import os, sys; from pathlib import Path; from bench.results.files import write_atomic\n"
        "write_atomic(Path(sys.argv[1]), lambda path: (path.write_bytes(b'PAR1 half'), os.kill(os.getpid(), 9)))"
    )
    target = tmp_path / "trials" / f"{TRIAL}-c0dec0de.parquet"
    killed = subprocess.run([sys.executable, "-c", script, str(target)], check=False)
    assert killed.returncode == -9
    assert len(files(tmp_path)) == 1
    assert not list(tmp_path.rglob("*.parquet"))
    store = Store(tmp_path)
    assert store.trials().empty
    assert store.write(trial_row(), [], [])


def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trial_row: Rows
) -> None:
    store = Store(tmp_path)
    store.write(trial_row(status="crashed"), [], [])
    before = files(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            store.write(trial_row(), [], [])
    assert files(tmp_path) == before
    assert list(store.trials()["status"]) == ["crashed"]


def damage_truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def damage_alien(path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), path)


def damage_newer(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({VERSION_KEY: str(SCHEMA_VERSION + 1)}), path)


def damage_columns(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["trial"]), path)


@pytest.mark.parametrize("name", ["trials", *BESIDE])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_truncate, "damaged or not Parquet .*`bench run SUITE` (sets aside|then makes)"),
        (damage_alien, "not a results file of medseg-bench; move it out"),
        (damage_newer, "written with results schema 6, this medseg-bench reads up to 5; install a newer one"),
        (damage_columns, "not a .* file of medseg-bench: missing column trial"),
    ],
)
def test_damaged_files_are_named(
    tmp_path: Path,
    trial_row: Rows,
    case_row: Rows,
    curve_row: Rows,
    name: str,
    damage: Callable[[Path], None],
    message: str,
) -> None:
    store = Store(tmp_path)
    store.write(trial_row(), [case_row()], [curve_row()])
    path = next((tmp_path / name).glob("*.parquet"))
    damage(path)
    with pytest.raises(ResultsError, match=f"{path}: {message}"):
        getattr(store, name)()


def test_a_missing_part_is_not_a_hole(tmp_path: Path, trial_row: Rows, case_row: Rows) -> None:
    store = Store(tmp_path)
    store.write(trial_row(), [case_row()], [])
    path = next((tmp_path / "cases").iterdir())
    path.unlink()
    with pytest.raises(ResultsError, match=f"{path}: this part of a trial is missing"):
        store.cases()


def test_replacement_between_two_looks_is_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trial_row: Rows, case_row: Rows
) -> None:
    store = Store(tmp_path)
    store.write(trial_row(), [case_row(value=0.1)], [])
    attempts = Store._attempts

    def slow(self: Store, *given: Any) -> list[str]:
        found = attempts(self, *given)
        monkeypatch.setattr(Store, "_attempts", attempts)
        store.write(trial_row(), [case_row(value=0.2)], [])
        return found

    monkeypatch.setattr(Store, "_attempts", slow)
    assert list(store.cases()["value"]) == [0.2]


def test_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trial_row: Rows) -> None:
    store = Store(tmp_path)
    store.write(trial_row(), [], [])
    path = next((tmp_path / "trials").iterdir())
    older = pq.read_table(path).select(VERSION_1).rename_columns({"detail": "reason"})
    pq.write_table(older.replace_schema_metadata({VERSION_KEY: "0"}), path)
    with pytest.raises(ResultsError, match="results schema 0 can no longer be read"):
        store.trials()
    monkeypatch.setitem(MIGRATIONS, 0, lambda name, table: table.rename_columns({"reason": "detail"}))
    found = store.trials().iloc[0].to_dict()
    assert {name: found[name] for name in VERSION_1} == {name: trial_row()[name] for name in VERSION_1}


@pytest.mark.parametrize("name", list(TABLES))
def test_the_version_since_which_columns_are_todays_is_the_last_that_changed_them(name: str) -> None:
    table, since = TABLES[name].empty_table(), UNCHANGED_SINCE[name]
    assert all(MIGRATIONS[version](name, table) is table for version in range(since, SCHEMA_VERSION))
    if name in ("trials", "cases"):
        assert MIGRATIONS[since - 1](name, table) is not table


def test_results_of_version_1_are_read_beside_todays(
    tmp_path: Path, trial_row: Rows, case_row: Rows, curve_row: Rows
) -> None:
    store = Store(tmp_path)
    store.write(trial_row(), [case_row()], [curve_row()])
    for path in tmp_path.rglob("*.parquet"):
        table = pq.read_table(path)
        if path.parent.name == "trials":
            table = table.select(VERSION_1)
        elif path.parent.name == "cases":
            table = table.select(CASES_UP_TO_2)
        pq.write_table(table.replace_schema_metadata({VERSION_KEY: "1"}), path)
    store.write(trial_row(trial="b", minutes=1), [case_row(trial="b")], [curve_row(trial="b")])
    old, new = store.trials().to_dict("records")
    assert new == trial_row(trial="b", minutes=1)
    assert (len(VERSION_1), VERSION_1[0], VERSION_1[-1]) == (35, "trial", "device_s")
    assert {name: old[name] for name in VERSION_1} == {name: trial_row()[name] for name in VERSION_1}
    added = set(new) - set(VERSION_1)
    assert added >= {"gmacs", "compiled", "micro_batch", "notes", "node", "run", "case_s"}
    assert all(pd.isna(old[name]) for name in added)
    assert store.trials()["compiled"].dtype == pd.BooleanDtype()
    assert store.cases()["phase"].tolist() == ["", "ED"]
    assert len(store.curves()) == 2
    # The next attempt is written in today's columns.
    store.write(trial_row(), [], [])
    assert store.trials().set_index("trial").loc[TRIAL, ["attempt", "gmacs"]].tolist() == [2, 1.5]


def test_results_of_version_2_have_no_phase(
    tmp_path: Path, trial_row: Rows, case_row: Rows, curve_row: Rows
) -> None:
    store = Store(tmp_path)
    store.write(trial_row(), [case_row(), case_row(label="all")], [curve_row()])
    for path in tmp_path.rglob("*.parquet"):
        table = pq.read_table(path)
        if path.parent.name == "cases":
            table = table.select(CASES_UP_TO_2)
        elif path.parent.name == "trials":
            table = table.drop_columns(SINCE_4)
        pq.write_table(table.replace_schema_metadata({VERSION_KEY: "2"}), path)
    expected = case_row(phase="") | {"code": trial_row()["code"], "attempt": 1}
    assert (len(CASES_UP_TO_2), CASES_UP_TO_2[0], CASES_UP_TO_2[-1]) == (14, "trial", "value")
    assert store.cases().iloc[0].to_dict() == expected
    assert store.cases()["phase"].tolist() == ["", ""]
    (old,) = store.trials().to_dict("records")
    assert all(pd.isna(old.pop(name)) for name in SINCE_4)
    assert old == {name: value for name, value in trial_row().items() if name not in SINCE_4}
    # A volume in mL may stand beside them.
    store.write(trial_row(trial="b", minutes=1), [case_row(trial="b", unit="mL", phase="ES")], [])
    assert store.cases()[["phase", "unit"]].iloc[-1].tolist() == ["ES", "mL"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "trials row 0: unknown column colour"),
        ({"status": "done"}, "status must be one of 'complete', .*, got 'done'"),
        ({"phase": "test"}, "phase must be one of 'tune', 'final', got 'test'"),
        ({"fold": "first"}, "column fold must be int32"),
        ({"fold": None}, "row 0: fold must not be empty"),
        ({"task": 3}, "column task must be string"),
        ({"compiled": "yes"}, "column compiled must be bool"),
    ],
)
def test_wrong_trials_are_refused(
    tmp_path: Path, trial_row: Rows, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Store(tmp_path).write(trial_row(**change), [], [])
    assert not files(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trial": "other"}, "cases row of trial 'other' among those of 'aaaa"),
        ({"status": "lost"}, "cases row 0: status must be one of 'ok', .*, got 'lost'"),
        ({"unit": "cm"}, "unit must be one of 'mm', 'px', 'mL', '', got 'cm'"),
        ({"phase": "diastole"}, "phase must be one of 'ED', 'ES', '', got 'diastole'"),
        ({"phase": None}, "phase must be one of 'ED', 'ES', '', got None"),
        ({"part": "train"}, "part must be one of 'validation', 'test', got 'train'"),
        ({"slice": 3}, "unknown column slice"),
    ],
)
def test_wrong_cases_are_refused(
    tmp_path: Path, trial_row: Rows, case_row: Rows, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Store(tmp_path).write(trial_row(), [case_row(**change)], [])
    assert not files(tmp_path)


def test_missing_columns_are_named(tmp_path: Path, trial_row: Rows) -> None:
    row = trial_row()
    del row["seed"], row["fold"]
    with pytest.raises(ValueError, match="trials row 0: missing column fold, seed"):
        Store(tmp_path).write(row, [], [])


def test_suite_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.read_suite() is None
    suite = {"suite": "quick", "claims": [{"id": "überlegen", "margin": 0.005}]}
    store.write_suite(suite)
    assert store.read_suite() == suite
    (tmp_path / "suite.json").write_text('{"suite": ')
    with pytest.raises(ResultsError, match=r"suite\.json: cannot be read .*run the suite again"):
        store.read_suite()
    (tmp_path / "suite.json").write_text("[]")
    with pytest.raises(ResultsError, match="must hold an object, got list"):
        store.read_suite()
