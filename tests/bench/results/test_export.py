"""Exports hold all rows, read back with nothing but pandas, and tell nobody's name if asked to."""

import json
import math
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.errors import ResultsError
from bench.results import export as module
from bench.results import transfer
from bench.results.archive import Archive
from bench.results.export import export
from bench.results.pseudonyms import PSEUDONYM, Pseudonyms
from bench.results.schema import TABLES
from bench.results.store import Store

Rows = Callable[..., dict[str, Any]]
NAMES = ("smith-001", "jones-002", "mary-7", "/data/mary", "Dr. Who", "scanner")


@pytest.fixture
def store(
    tmp_path: Path, trial_row: Rows, case_row: Rows, curve_row: Rows, monkeypatch: pytest.MonkeyPatch
) -> Store:
    """Three trials with names all over them."""
    monkeypatch.setattr(transfer, "AT_ONCE", 2)
    store = Store(tmp_path / "results" / "quick")
    for number, (status, value) in enumerate([("complete", 0.8), ("crashed", math.nan), ("complete", 0.7)]):
        trial = f"{number:016x}"
        row = trial_row(
            trial=trial,
            seed=number,
            minutes=number,
            status=status,
            value=value,
            node="mary-7",
            detail="OSError: /data/mary/smith-001" if status == "crashed" else "",
            notes="skipped smith-001",
            spec_json=json.dumps(
                {"task": {"name": "lung", "split": {"test": ["smith-001"]}, "title": "Dr. Who"}}
            ),
        )
        cases = [
            case_row(
                trial=trial, case=f"{name}-ed", patient=name, value=value if part == "test" else math.inf
            )
            | {"part": part}
            for name in ("smith-001", "jones-002")
            for part in ("validation", "test")
        ]
        store.write(row, cases if status == "complete" else [], [curve_row(trial=trial, score=None)])
    store.write_suite(
        {
            "suite": "quick",
            "plan": "0f" * 32,
            "description": "By Dr. Who",
            "tasks": [{"name": "lung", "title": "Dr. Who", "dataset": "/data/mary", "labels": {"lung": 1}}],
            "studies": [{"id": "study-unet", "task": "lung", "entry": "unet + dice"}],
        }
    )
    run: dict[str, Any] = {field.name: None for field in TABLES["runs"]}
    run |= {"run": "r1", "suite": "quick", "plan": "0f", "command": "bench run /data/mary/quick.yaml"}
    run |= {"code": "c0de", "version": "0.1", "end": "done", "node": "mary-7"}
    store.write_row("runs", run | {"started_at": pd.Timestamp(2026, 1, 2, tz="UTC")})
    return store


def everything(path: Path) -> str:
    """Returns all texts that a folder or a bundle holds."""
    if path.is_file():
        with zipfile.ZipFile(path) as bundle:
            bundle.extractall(path.with_suffix(".out"))
        path = path.with_suffix(".out")
    texts = []
    for file in path.rglob("*"):
        if file.suffix == ".parquet":
            texts.append(pd.read_parquet(file).to_csv())
            texts.append(str(file.read_bytes()))
        elif file.is_file():
            texts.append(file.read_text())
    return "\n".join(texts)


def same(frame: pd.DataFrame, other: pd.DataFrame, keys: list[str]) -> None:
    left, right = (one.sort_values(keys, ignore_index=True) for one in (frame, other))
    pd.testing.assert_frame_equal(left, right)


@pytest.mark.parametrize("style", ["parquet", "bundle"])
def test_parquet_and_bundles_are_results(store: Store, tmp_path: Path, style: Any) -> None:
    seen: list[tuple[int, int]] = []
    done = export(store, tmp_path / "out", style, watch=lambda n, of: seen.append((n, of)))
    assert done.rows == {"trials": 3, "cases": 8, "curves": 3, "runs": 1, "studies": 0, "env": 0}
    assert seen == [(2, 3), (3, 3)]
    again = Store(tmp_path / "out")
    assert isinstance(again.root, Archive) == (style == "bundle")
    pd.testing.assert_frame_equal(again.trials(), store.trials())
    same(again.cases(), store.cases(), ["trial", "part", "case"])
    same(again.curves(), store.curves(), ["trial"])
    pd.testing.assert_frame_equal(again.runs(), store.runs())
    assert again.read_suite() == store.read_suite()
    (part, *_) = store.parts()
    assert again.row(part) == store.row(part)
    assert os.listdir(tmp_path) == sorted(["out", "results"]) or set(os.listdir(tmp_path)) == {
        "out",
        "results",
    }


def test_parquet_is_read_with_pandas_alone(store: Store, tmp_path: Path) -> None:
    export(store, tmp_path / "out", "parquet")
    trials, cases = (pd.read_parquet(tmp_path / "out" / name) for name in ("trials", "cases"))
    joined = cases.merge(trials, on=["trial", "code", "attempt"])
    assert (len(joined), sorted(trials["value"].dropna())) == (8, [0.7, 0.8])


def test_csv_holds_every_column_and_row(store: Store, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    export(store, tmp_path / "out", "csv")
    for name, schema in TABLES.items():
        frame = pd.read_csv(tmp_path / "out" / f"{name}.csv", keep_default_na=False, na_values=["", "nan"])
        assert list(frame.columns) == schema.names
        assert len(frame) == len(store.table(name))
    cases = pd.read_csv(tmp_path / "out" / "cases.csv")
    assert sorted(cases["value"]) == sorted(store.cases()["value"])
    trials = pd.read_csv(tmp_path / "out" / "trials.csv", parse_dates=["finished_at"])
    assert list(trials["finished_at"]) == list(store.trials()["finished_at"])
    assert list(trials["spec_json"]) == list(store.trials()["spec_json"])
    assert json.loads((tmp_path / "out" / "suite.json").read_text()) == store.read_suite()


@pytest.mark.parametrize("style", ["csv", "parquet", "bundle"])
def test_deidentified_no_name_is_left(store: Store, tmp_path: Path, style: Any) -> None:
    out = tmp_path / "out.x"
    export(store, out, style, Pseudonyms())
    text = everything(out)
    assert "unet + dice" in text
    for name in (*NAMES, str(tmp_path)):
        assert name not in text


def test_deidentified_tables_still_belong_together(store: Store, tmp_path: Path) -> None:
    names = Pseudonyms(b"x" * 16)
    export(store, tmp_path / "a", "parquet", names)
    export(store, tmp_path / "b.zip", "bundle", Pseudonyms(b"x" * 16))
    one, two = Store(tmp_path / "a"), Store(tmp_path / "b.zip")
    pd.testing.assert_frame_equal(one.cases(), two.cases())
    assert one.cases()["case"].map(PSEUDONYM.fullmatch).all()
    # Patient by patient, the numbers are those that were there.
    old = store.cases().assign(patient=lambda rows: [names.of("patient", name) for name in rows["patient"]])
    keys = ["trial", "patient", "part"]
    same(old[[*keys, "value"]], one.cases()[[*keys, "value"]], keys)
    assert (one.read_suite() or {})["pseudonyms"] == names.mark


def test_a_find_stops_the_export_and_leaves_nothing(store: Store, tmp_path: Path, trial_row: Rows) -> None:
    store.write(trial_row(trial="f" * 16, entry="net of jones-002", node="mary-7"), [], [])
    out = tmp_path / "out.zip"
    with pytest.raises(ResultsError, match="found what may identify") as caught:
        export(store, out, "bundle", Pseudonyms())
    assert (
        "'jones-002', the name of a case, a patient, a host or a user: trials (entry), e.g. 'net of jones-002'"
        in str(caught.value)
    )
    assert os.listdir(tmp_path) == ["results"]
    done = export(store, out, "bundle", Pseudonyms(), allowed=["jones-002"])
    assert out.exists()
    assert [find.word for find in done.allowed] == ["jones-002"]


def test_names_are_not_taken_out_twice(store: Store, tmp_path: Path) -> None:
    export(store, tmp_path / "a.zip", "bundle", Pseudonyms())
    with pytest.raises(
        ResultsError, match=r"a\.zip: these results are de-identified already; export them without"
    ):
        export(Store(tmp_path / "a.zip"), tmp_path / "b.zip", "bundle", Pseudonyms())
    # Also where nothing but the names tells.
    export(Store(tmp_path / "a.zip"), tmp_path / "c", "parquet")
    (tmp_path / "c" / "suite.json").unlink()
    with pytest.raises(ResultsError, match="is a name of results that are de-identified already"):
        export(Store(tmp_path / "c"), tmp_path / "d", "csv", Pseudonyms())
    assert sorted(os.listdir(tmp_path)) == ["a.zip", "c", "results"]


def test_a_copy_of_a_de_identified_copy_is_one_too(store: Store, tmp_path: Path) -> None:
    first = export(store, tmp_path / "a.zip", "bundle", Pseudonyms())
    again = export(Store(tmp_path / "a.zip"), tmp_path / "b.zip", "bundle")
    assert first.deidentified
    assert again.deidentified
    assert not export(store, tmp_path / "c", "csv").deidentified
    assert Archive(tmp_path / "b.zip").manifest()["deidentified"] is True
    pd.testing.assert_frame_equal(Store(tmp_path / "a.zip").cases(), Store(tmp_path / "b.zip").cases())


def test_patients_that_the_check_knows_are_counted(store: Store, tmp_path: Path) -> None:
    suite = store.read_suite() or {}
    task = suite["tasks"][0] | {
        "patients": 9,
        "data_fingerprint": "data0",
        "split": {"test": ["Eve-the-third"]},
    }
    store.write_suite(suite | {"tasks": [task], "studies": [{"id": "s", "entry": "net of eve_the_third"}]})
    with pytest.raises(ResultsError, match=r"'eve-the-third', the name .*: suite\.json"):
        export(store, tmp_path / "a", "csv", Pseudonyms())
    store.write_suite(suite | {"tasks": [task]})
    done = export(store, tmp_path / "a", "csv", Pseudonyms())
    assert (done.known, done.patients, done.short) == (3, 9, 0)


@pytest.mark.parametrize("word", ["=SUM(A1)", "+1", "-x", "@x", "'=x"])
def test_spreadsheets_evaluate_no_cell_of_csv(
    store: Store, tmp_path: Path, trial_row: Rows, case_row: Rows, word: str
) -> None:
    rows = [case_row(trial="e" * 16, case=word, patient="it's = fine", label="a-b", value=-0.5)]
    store.write(trial_row(trial="e" * 16, entry=word, value=-0.25), rows, [])
    export(store, tmp_path / "out", "csv")
    trials, cases = (
        pd.read_csv(tmp_path / "out" / f"{name}.csv").set_index("trial").loc["e" * 16]
        for name in ("trials", "cases")
    )
    assert (trials["entry"], trials["value"], trials["model"]) == (f"'{word}", -0.25, "unet")
    assert (cases["case"], cases["patient"], cases["label"], cases["value"]) == (
        f"'{word}", "it's = fine", "a-b", -0.5,
    )  # fmt: skip
    export(store, tmp_path / "copy", "parquet")
    assert word in set(Store(tmp_path / "copy").cases()["case"])


@pytest.mark.parametrize("style", ["csv", "parquet", "bundle"])
def test_what_is_there_stays(store: Store, tmp_path: Path, style: Any) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("x")
    with pytest.raises(ResultsError, match=r"out: is there already; choose another name, or remove it first"):
        export(store, out, style)
    assert os.listdir(out) == ["mine"]


def test_the_same_results_are_the_same_bundle(store: Store, tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        export(store, tmp_path / name, "bundle")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    found = Archive(tmp_path / "a.zip").manifest()
    assert (found["suite"], found["plan"], found["deidentified"]) == ("quick", "0f" * 32, False)
    assert found["rows"]["cases"] == 8
    made = json.loads(Archive(tmp_path / "a.zip").read("environment.json"))
    assert made["packages"] == [{"trials": 3, "versions": {"torch": "2.13"}}]
    assert made["code"] == {"c0de" * 16: 3}


def test_a_bundle_unpacked_is_results(store: Store, tmp_path: Path) -> None:
    export(store, tmp_path / "a.zip", "bundle")
    with zipfile.ZipFile(tmp_path / "a.zip") as bundle:
        bundle.extractall(tmp_path / "unpacked")
    pd.testing.assert_frame_equal(Store(tmp_path / "unpacked").trials(), store.trials())


def test_damaged_cases_are_told_and_nothing_is_left(store: Store, tmp_path: Path) -> None:
    (first, *_) = sorted((tmp_path / "results" / "quick" / "cases").iterdir())
    first.write_bytes(b"PAR1 no more")
    with pytest.raises(ResultsError, match=rf"{first.name}: damaged or not Parquet"):
        export(store, tmp_path / "out", "csv")
    assert os.listdir(tmp_path) == ["results"]


def test_many_rows_are_several_files(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.results.sheets.MOST_ROWS", 3)
    export(store, tmp_path / "out", "parquet")
    assert len(list((tmp_path / "out" / "cases").iterdir())) == 2
    same(Store(tmp_path / "out").cases(), store.cases(), ["trial", "part", "case"])
    # The list of what is where can be made anew.
    (tmp_path / "out" / "compact.parquet").unlink()
    same(Store(tmp_path / "out").cases(), store.cases(), ["trial", "part", "case"])


def test_a_trial_that_a_run_replaces_meanwhile_comes_whole(
    store: Store, tmp_path: Path, trial_row: Rows, case_row: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, replaced = store.table, []

    def table(name: str, trials: Any = None) -> Any:
        found = read(name, trials)
        if name == "trials" and trials is not None and not replaced:
            replaced.append(
                store.write(trial_row(trial="0" * 16, node="mary-7"), [case_row(trial="0" * 16)], [])
            )
        return found

    monkeypatch.setattr(store, "table", table)
    export(store, tmp_path / "out", "parquet")
    monkeypatch.undo()
    assert replaced == [True]
    out = Store(tmp_path / "out")
    assert out.trials().set_index("trial")["attempt"]["0" * 16] == 2
    assert len(out.cases(["0" * 16])) == 1


def test_a_full_disk_leaves_nothing(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_archive", full)
    with pytest.raises(ResultsError, match=r"a\.zip: cannot be written \(No space left on device\)"):
        export(store, tmp_path / "a.zip", "bundle")
    assert os.listdir(tmp_path) == ["results"]
