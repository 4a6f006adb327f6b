"""The look through what is to be shared finds what should not be there, wherever it is."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from bench.results.known_names import make_known_names
from bench.results.scan import scan

FINE = "case-0123456789abcdef"
KNOWN = make_known_names(["smith-001", "John Smith", "12345", "mary-7.hospital.org", "p1", "1234", "root"])


def write(folder: Path, kind: str, columns: dict[str, list[Any]]) -> None:
    if kind == "parquet":
        (folder / "trials").mkdir()
        pq.write_table(pa.table(columns), folder / "trials" / "x.parquet")
    elif kind == "csv":
        pyarrow.csv.write_csv(pa.table(columns), folder / "trials.csv")
    else:
        (folder / "suite.json").write_text(json.dumps(columns))


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_nothing_is_found_where_nothing_is(tmp_path: Path, kind: str) -> None:
    # Numbers are no names, words of others are none, and short names cannot be told from chance.
    columns: dict[str, list[Any]] = {
        "case": [FINE, None],
        "setting_json": ['{"batch_size": 12345, "p1": "john and smith"}', None],
        "definition": ["hd95/erode1/maxdir/linear/v1", "nsd/marching-cubes/tau=2/v1"],
        "number": [12345, None],
        "entry": ["p1, smith 002, 1234, root, mary-7.hospital.com", ""],
    }
    if kind == "json":
        columns |= {"setting_json": [{"batch_size": 12345}]}
    write(tmp_path, kind, columns)
    assert scan(tmp_path, KNOWN).finds == ()


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize(
    ("column", "word", "found"),
    [
        ("case", "p1", "'p1', is no pseudonym: trials (case)"),
        ("patient", "patient-0123", "'patient-0123', is no pseudonym: trials (patient)"),
        (
            "entry",
            "net of john_smith",
            "'john-smith', the name of a case, a patient, a host or a user: trials (entry), e.g. 'net of john_smith'",
        ),
        ("entry", "see 12345", "'12345', the name"),
        ("entry", "x12Johnsmith9", "'john-smith', the name"),
        ("detail", "JohnSmithError", "'john-smith', the name"),
        ("setting_json", '{"a": ["Smith-001"]}', "'smith-001', the name"),
        ("setting_json", '{"smith-001": 1}', "'smith-001', the name"),
        ("setting_json", '{"a": {"mysmith001": 1}}', "'smith-001', the name"),
        ("setting_json", "{smith-001", "'smith-001', the name"),
        ("device", "MARY-7.hospital.org", "'mary-7-hospital-org', the name"),
        ("model", "/data/x", "'/data/x', looks like a path or an address: trials (model)"),
        ("spec_json", '{"a": "x@y.org"}', "'x@y.org', looks like a path or an address"),
    ],
)
def test_a_find_is_told_with_its_column(
    tmp_path: Path, kind: str, column: str, word: str, found: str
) -> None:
    write(tmp_path, kind, {"other": ["x", "y"], column: [word, word]})
    (find,) = scan(tmp_path, KNOWN).finds
    assert str(find).startswith(found)


def test_a_suite_is_looked_through_too(tmp_path: Path) -> None:
    write(tmp_path, "json", {"tasks": [{"split": {"test": ["smith-001"]}}], "claims": ["johnsmith2"]})
    assert [str(find) for find in scan(tmp_path, KNOWN).finds] == [
        "'john-smith', the name of a case, a patient, a host or a user: suite.json, e.g. 'johnsmith2'",
        "'smith-001', the name of a case, a patient, a host or a user: suite.json",
    ]


def test_every_word_is_told_once_with_all_its_places(tmp_path: Path) -> None:
    write(tmp_path, "parquet", {"entry": ["smith-001 and 12345", "of 12345"], "model": ["12345", "x"]})
    (tmp_path / "suite.json").write_text('{"suite": "Smith 001"}')
    (tmp_path / "cases.csv").write_text("label\nsmith_001\n")
    assert [str(find) for find in scan(tmp_path, KNOWN).finds] == [
        "'12345', the name of a case, a patient, a host or a user: trials (entry, model), e.g. 'of 12345'",
        "'smith-001', the name of a case, a patient, a host or a user: cases (label), suite.json, trials (entry), "
        "e.g. 'smith_001'",
    ]


def test_columns_of_hashes_are_not_searched_within_words(tmp_path: Path) -> None:
    known = make_known_names(["facade"])
    write(
        tmp_path, "parquet", {"trial": ["00facade00000000"], "suite": ["0facade" * 4], "metric": ["facades"]}
    )
    assert scan(tmp_path, known).finds == ()


def test_our_own_words_in_a_bundle_are_no_finds(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("John Smith")
    assert scan(tmp_path, KNOWN).finds == ()


def test_what_is_allowed_is_told_apart(tmp_path: Path) -> None:
    write(
        tmp_path, "csv", {"entry": ["smith-001", "a/b@c"], "model": ["smith001", ""], "patient": ["p1", "p1"]}
    )
    found = scan(tmp_path, make_known_names(["smith-001"]), ["Smith 001", "a/b@c", "p1"])
    # Names of patients are never allowed where pseudonyms stand.
    assert [str(find) for find in found.finds] == ["'p1', is no pseudonym: trials (patient)"]
    assert [(find.word, len(find.places)) for find in found.allowed] == [("a/b@c", 1), ("smith-001", 2)]
