import math
from pathlib import Path

import pytest

from bench.errors import Location, SuiteError
from bench.suite.document import parse_document, read_document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E3", 1000.0),
        ("1.0e-4", 1e-4),
        (".5", 0.5),
        ("1.", 1.0),
        ("-2", -2),
        ("+3", 3),
        ("0o17", 15),
        ("0x1F", 31),
        ("010", 10),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("null", None),
        ("~", None),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2026-11-23", "2026-11-23"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("!!str 5", "5"),
        ("e5", "e5"),
        ("-", "-"),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    if text == "-":
        text = "'-'"
    found = parse_document(f"key: {text}", "s.yaml").tree["key"]
    assert found == value
    assert type(found) is type(value)


def test_an_empty_value_is_none() -> None:
    assert parse_document("key:", "s.yaml").tree == {"key": None}


def test_anchors_and_aliases_stand_for_their_value() -> None:
    document = parse_document("a: &x {b: [1, 2]}\nc: *x\n", "s.yaml")
    assert document.tree == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}}
    assert document.locate(("c", "b", 1)) == Location("s.yaml", 1, 15)


def test_places_of_keys_and_values() -> None:
    document = parse_document("one:\n  two: [3, four]\n  'five': {six: 7}\n", "dir/s.yaml")
    assert str(document.locate(("one", "two", 1))) == "dir/s.yaml:2:12"
    assert document.locate_key(("one", "two")) == Location("dir/s.yaml", 2, 3)
    assert document.locate(("one", "five", "six")) == Location("dir/s.yaml", 3, 17)
    assert document.locate(("one", "five", "absent", 3)) == Location("dir/s.yaml", 3, 11)
    assert document.locate(("absent",)) == Location("dir/s.yaml", 1, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"^s\.yaml:1:1: the file is empty"),
        ("# only a comment\n", r"^s\.yaml:1:1: the file is empty"),
        (
            "a: [1, 2\nb: 3\n",
            r"^s\.yaml:2:2: not valid YAML: while parsing a flow sequence: expected ',' or '\]'",
        ),
        ("a: 1\n\tb: 2\n", r"^s\.yaml:2:1: not valid YAML: .*'\\t'"),
        ("a: b: c\n", r"^s\.yaml:1:5: not valid YAML: mapping values are not allowed here"),
        ("a: *nowhere\n", r"^s\.yaml:1:4: not valid YAML: found undefined alias 'nowhere'"),
        ("a: 1\n---\nb: 2\n", r"^s\.yaml:2:1: not valid YAML: expected a single document"),
        ("a: 1\nb: \x07\n", r"^s\.yaml:2:4: not valid YAML: special characters are not allowed"),
        ("a: &x [*x]\n", r"^s\.yaml:1:4: an alias refers to a value that contains it"),
        ("[" * 5000, r"^s\.yaml:1:1: not a suite: nested too deeply"),
    ],
)
def test_text_that_is_no_document_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(SuiteError, match=message) as caught:
        parse_document(text, "s.yaml")
    assert "\n" not in str(caught.value)


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    with pytest.raises(SuiteError, match="more than 100000 values"):
        parse_document("\n".join(lines), "s.yaml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", "s.yaml:3:1: key 'a' is written twice, first in line 1, column 1"),
        ("x: {a: 1, a: 2}\n", "s.yaml:1:11: key 'a' is written twice, first in line 1, column 5"),
        ("1: x\n", "s.yaml:1:1: a key must be text, got 1; put it in quotes"),
        ("true: x\n", "s.yaml:1:1: a key must be text, got true; put it in quotes"),
        ("[a, b]: x\n", "s.yaml:1:1: a key must be text, got a collection; put it in quotes"),
        ("a: .nan\n", "s.yaml:1:4: a number must be finite, got .nan"),
        ("a: -.inf\n", "s.yaml:1:4: a number must be finite, got -.inf"),
        ("a: 1e999\n", "s.yaml:1:4: a number must be finite, got 1e999"),
        ("a: !!int x\n", "s.yaml:1:4: not a YAML int: 'x'"),
        (
            "a: !!python/name:os.system x\n",
            "s.yaml:1:4: tag !!python/name:os.system is not allowed in a suite",
        ),
        ("a: !!binary aGk=\n", "s.yaml:1:4: tag !!binary is not allowed in a suite"),
    ],
)
def test_problems_that_leave_the_rest_readable_are_collected(text: str, problem: str) -> None:
    (found,) = parse_document(text, "s.yaml").problems
    assert f"{found[0]}: {found[1]}" == problem


def test_a_second_key_does_not_win() -> None:
    assert parse_document("a: 1\na: 2\n", "s.yaml").tree == {"a": 1}


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"absent\.yaml: no such file"):
        read_document(tmp_path / "absent.yaml")
    with pytest.raises(SuiteError, match="cannot be read: Is a directory"):
        read_document(tmp_path)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("a: 1\nb: Jürgen\n".encode("latin-1"))
    with pytest.raises(SuiteError, match=r"latin\.yaml:2:5: not UTF-8 text: byte 0xfc"):
        read_document(latin)


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1e-3\r\nb: x\r\n")
    document = read_document(path)
    assert document.tree == {"a": 1e-3, "b": "x"}
    assert document.locate(("b",)).line == 2


def test_every_number_read_is_finite() -> None:
    assert math.isfinite(parse_document("a: 1e308", "s.yaml").tree["a"])
