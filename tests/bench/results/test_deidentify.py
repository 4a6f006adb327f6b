"""De-identified tables hold no name that they held before, and still belong together."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bench.errors import ResultsError
from bench.results import deidentify
from bench.results.deidentify import CHANGES, RENAMED, deidentify_suite, deidentify_table
from bench.results.pseudonyms import PSEUDONYM, SALT_MARK, Pseudonyms, read_salt, salt_warning
from bench.results.schema import TABLES, make_table

Rows = Callable[..., dict[str, Any]]
SALT = b"0123456789abcdef"


@pytest.fixture
def cases(case_row: Rows) -> Any:
    names = [f"smith-{number:03d}" for number in range(40)]
    rows = [
        case_row(case=f"{name}-{phase}", patient=name, code="c", attempt=1)
        for name in names
        for phase in "ab"
    ]
    return make_table("cases", rows)


def test_every_column_of_text_has_a_rule() -> None:
    texts = {
        (name, field.name)
        for name, schema in TABLES.items()
        for field in schema
        if pa.types.is_string(field.type)
    }
    ruled = {(name, column) for name, columns in CHANGES.items() for column in columns}
    renamed = {
        (name, field.name) for name, schema in TABLES.items() for field in schema if field.name in RENAMED
    }
    assert renamed == {("cases", "case"), ("cases", "patient")} | {
        (table, column) for table in ("trials", "studies") for column in ("data", "split")
    }
    assert texts == ruled | renamed


def test_a_column_without_a_rule_stops_everything(cases: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(deidentify.CHANGES["cases"], "subgroup")
    with pytest.raises(ResultsError, match="column subgroup of cases is not known to be harmless"):
        deidentify_table("cases", cases, Pseudonyms())


def test_names_are_replaced_and_still_tell_patients_apart(cases: Any) -> None:
    done = deidentify_table("cases", cases, Pseudonyms(SALT))
    assert done.schema.equals(cases.schema, check_metadata=True)
    rows = done.to_pylist()
    assert len({row["case"] for row in rows}) == 80
    assert len({row["patient"] for row in rows}) == 40
    for row in rows:
        assert PSEUDONYM.fullmatch(row["case"])
        assert PSEUDONYM.fullmatch(row["patient"])
    known = Pseudonyms(SALT)
    pairs = {(row["case"], row["patient"]) for row in rows}
    assert pairs == {
        (known.of("case", row["case"]), known.of("patient", row["patient"])) for row in cases.to_pylist()
    }
    # HMAC-SHA-256 of "patient", NUL and the name, worked out with OpenSSL.
    assert Pseudonyms(SALT).of("patient", "smith-001") == "patient-becde1624b7d2e47"


def test_the_order_of_rows_does_not_tell_the_order_of_names(cases: Any) -> None:
    done = deidentify_table("cases", cases, Pseudonyms(SALT))
    assert done["case"].to_pylist() == sorted(done["case"].to_pylist())


def test_words_that_are_not_used_any_more_are_not_kept(cases: Any) -> None:
    coded = cases.set_column(
        cases.schema.get_field_index("patient"), "patient", cases["patient"].dictionary_encode()
    )
    done = deidentify_table("cases", coded, Pseudonyms(SALT))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, done.schema) as stream:
        stream.write_table(done)
    assert b"smith" not in sink.getvalue().to_pybytes()


def test_a_trial_keeps_its_numbers_and_loses_its_texts(trial_row: Rows) -> None:
    row = trial_row(
        status="crashed",
        detail="FileNotFoundError: /data/smith.nii.gz (traceback: logs/1.txt)",
        notes="skipped smith-001",
        node="mary-7",
        device="NVIDIA H100 80GB HBM3",
        entry="unet + dice",
        model="/home/mary/net.py",
        setting_json=json.dumps({"train.learning_rate": 0.001, "model.options.pretrained": "smith.npz"}),
        versions_json=json.dumps({"torch": "2.13+cu126", "mary-tools": "1.0", "numpy": "file:///home/mary"}),
    )
    known = Pseudonyms()
    (done,) = deidentify_table("trials", make_table("trials", [row]), known).to_pylist()
    changed = {key: value for key, value in done.items() if value != row[key]}
    assert changed == {
        "detail": "FileNotFoundError",
        "notes": None,
        "node": None,
        "model": "(removed)",
        "setting_json": '{"model.options.pretrained": "(removed)", "train.learning_rate": 0.001}',
        "versions_json": '{"torch": "2.13+cu126"}',
        "data": known.of("data", "data0"),
        "split": known.of("split", "split0"),
    }


@pytest.mark.parametrize(
    ("detail", "kept"),
    [
        ("", ""),
        ("RuntimeError: boom", "RuntimeError"),
        ("SystemExit: 7 (traceback: logs/1.txt)", "SystemExit"),
        ("the worker died on mary-7", ""),
        ("smith-001: MemoryError", ""),
    ],
)
def test_of_a_reason_the_kind_of_error_stays(trial_row: Rows, detail: str, kept: str) -> None:
    table = make_table("trials", [trial_row(detail=detail)])
    assert deidentify_table("trials", table, Pseudonyms())["detail"].to_pylist() == [kept]


def test_runs_and_environments_lose_hosts_and_commands() -> None:
    run: dict[str, Any] = {field.name: None for field in TABLES["runs"]}
    run |= dict.fromkeys(("run", "suite", "plan", "code", "version"), "x")
    run |= {"command": "bench run mary.yaml", "node": "mary-7", "end": "error", "detail": "OSError: /x"}
    run["started_at"] = 0
    (done,) = deidentify_table("runs", make_table("runs", [run]), Pseudonyms()).to_pylist()
    assert (done["command"], done["node"], done["detail"]) == ("", None, "OSError")
    env: dict[str, Any] = {field.name: None for field in TABLES["env"]}
    env |= {"run": "x", "system": "Linux-6.1-mary7-x86_64-with-glibc2.36", "python": "3.11", "cores": 2}
    env |= {"node": "mary-7", "cpu": "Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz", "driver": "x@mary"}
    packages = {
        "numpy": "2.4",
        "mary-tools": "1.0",
        "torch": "2.13+/home",
        "Pillow": "12.0",
        "huggingface_hub": "2.4",
    }
    env |= {"gpus_json": '["NVIDIA H100"]', "packages_json": json.dumps(packages)}
    (done,) = deidentify_table("env", make_table("env", [env]), Pseudonyms()).to_pylist()
    assert (done["system"], done["node"], done["python"]) == ("Linux x86_64 glibc2.36", None, "3.11")
    assert (done["cpu"], done["driver"]) == (env["cpu"], "")
    assert (done["gpus_json"], done["packages_json"]) == (
        '["NVIDIA H100"]',
        '{"Pillow": "12.0", "huggingface_hub": "2.4", "numpy": "2.4"}',
    )


def test_another_salt_gives_other_names() -> None:
    one, two = Pseudonyms(SALT), Pseudonyms()
    assert one.of("case", "a") == Pseudonyms(SALT).of("case", "a")
    assert one.of("case", "a") != two.of("case", "a")
    assert one.of("case", "a").removeprefix("case") != one.of("patient", "a").removeprefix("patient")
    assert deidentify_suite({}, one)[SALT_MARK] == one.mark != two.mark
    assert SALT.decode() not in repr(one)


def test_hashes_of_lists_of_patients_are_salted_alike_in_all_places() -> None:
    known = Pseudonyms(SALT)
    tasks = [{"name": "a", "data_fingerprint": "f0", "split_hash": "5p"}, {"name": "b", "split_hash": ""}]
    found = deidentify_suite({"tasks": tasks}, known)["tasks"]
    assert found[0] == {
        "name": "a",
        "data_fingerprint": known.of("data", "f0"),
        "split_hash": known.of("split", "5p"),
    }
    assert found[1] == tasks[1]
    assert tasks[0]["split_hash"] == "5p"


def test_a_new_name_is_given_no_other_one() -> None:
    name = Pseudonyms(SALT).of("patient", "smith")
    with pytest.raises(
        ResultsError, match=r"patient-\w+ is a name of results that are de-identified already; export"
    ):
        Pseudonyms().of("patient", name)


def test_a_salt_that_others_can_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "salt"
    read_salt(path)
    assert salt_warning(path) == ""
    path.chmod(0o640)
    assert salt_warning(path) == f"{path}: others on this machine can read this salt; chmod 600 {path}"


def test_a_salt_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "salt"
    salt = read_salt(path)
    assert (len(salt), read_salt(path), path.stat().st_mode & 0o077) == (64, salt, 0)
    path.write_text("short\n")
    with pytest.raises(ResultsError, match=r"salt: a salt needs 16 bytes or more, got 5"):
        read_salt(path)
    with pytest.raises(ResultsError, match=r"no salt can be kept there"):
        read_salt(path / "below a file")
