"""What `bench merge` says, and its exit codes; what it does is tested in tests/bench/results/test_merge.py."""

import sys
from pathlib import Path

import pytest

from bench.cli import merge_command as module
from bench.cli.main import main
from bench.results.merge import Merged
from bench.results.place import open_place


@pytest.fixture
def merge(tmp_path, monkeypatch, capsys):
    """Runs `bench merge a b -o out ...` with a given end; returns exit code, output, and what was asked."""
    for name in ("a", "b"):
        (tmp_path / "results" / name / "trials").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    def run(merged: Merged, *arguments: str) -> tuple[int, list[str], list]:
        asked = []

        def fake(*given):
            asked.append(given)
            given[3](1, 2)
            return merged

        monkeypatch.setattr(module, "merge", fake)
        monkeypatch.setattr(sys, "argv", ["bench", "merge", *arguments])
        monkeypatch.setattr(sys, "path", list(sys.path))
        with pytest.raises(SystemExit) as caught:
            main()
        output = capsys.readouterr()
        return caught.value.code, (output.out + output.err).splitlines(), asked

    return run


def test_what_came_from_where_is_said(merge):
    code, lines, asked = merge(Merged(1300, (1250, 50), (0, 7)), "a", "results/b", "-o", "out")
    assert code == 0
    assert lines == [
        "Merged 1,300 trials into out:",
        "  results/a: 1,250",
        "  results/b: 50, 7 the same as others have",
    ]
    (sources, output, prefer, _, dry_run, skip_damaged) = asked[0]
    assert [str(source) for source in sources] == ["results/a", "results/b"]
    assert (output, prefer, dry_run, skip_damaged) == (open_place("out"), None, False, False)
    code, lines, asked = merge(Merged(1, (1,), (0,)), "a", "-o", "out", "--dry-run")
    assert lines[0] == "Would merge 1 trial into out:"
    assert asked[0][4]


def test_contradictions_are_a_line_each_and_a_code(merge):
    code, lines, _ = merge(Merged(0, (2,), (0,), ("one: x in a, y in b", "two")), "a", "b", "-o", "out")
    assert code == 1
    assert lines == [
        "one: x in a, y in b",
        "two",
        "2 contradictions; nothing was written. Leave a run out, or say with --prefer whose word counts.",
    ]
    code, lines, _ = merge(Merged(0, (2,), (0,), ("one",), final=True), "a", "b", "-o", "out")
    assert lines[1] == "1 contradiction; nothing was written. Leave a run out."


def test_what_was_settled_is_said(merge):
    code, lines, asked = merge(
        Merged(2, (1, 1), (0, 0), (), ("one",)), "a", "b", "-o", "out", "--prefer", "b"
    )
    assert (code, lines[0], asked[0][2]) == (0, "settled by --prefer: one", 1)


def test_what_is_damaged_is_said_first(merge):
    merged = Merged(1, (1,), (0,), (), (), ("x.parquet: damaged or not Parquet",))
    code, lines, asked = merge(merged, "a", "-o", "out", "--skip-damaged")
    assert (code, lines[0], asked[0][5]) == (0, "left out: x.parquet: damaged or not Parquet", True)


def test_where_nothing_is_left_the_exit_code_says_so(merge):
    code, lines, _ = merge(
        Merged(0, (0,), (0,), left_out=("x: damaged",)), "a", "-o", "out", "--skip-damaged"
    )
    assert (code, lines) == (4, ["left out: x: damaged", "No trial is left to merge; nothing was written."])


def test_a_run_without_a_plan_is_said(merge):
    _, lines, _ = merge(Merged(1, (1,), (0,), unplanned=("b",)), "a", "-o", "out")
    assert lines[0] == "b has no plan in a suite.json: what it planned and claims is missing"


def test_a_run_that_is_named_twice_counts_once(merge):
    Path("link").symlink_to("results/a")
    code, lines, asked = merge(
        Merged(1, (1, 0), (0, 0)), "a", "./a", "b", "link", "-o", "out", "--prefer", "link"
    )
    assert code == 0
    assert lines[:2] == ["results/a is named twice; it counts once", "link is named twice; it counts once"]
    assert ([str(place) for place in asked[0][0]], asked[0][2]) == (["results/a", "results/b"], 0)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("a", "b"), 2, "Missing option '-o' / '--output'"),
        (("-o", "out"), 2, "Missing argument 'RUN...'"),
        (("a", "none", "-o", "out"), 4, "none: no results there"),
        (("a", "b", "-o", "out", "--prefer", "c"), 2, "c is none of the runs that are merged"),
        (("a", "-o", "x.zip"), 2, "x.zip is a bundle, which cannot be written; expected a folder or a URL"),
        (("a", "note.txt", "-o", "out"), 2, "note.txt is a file; expected a folder, a bundle or a URL"),
    ],
)
def test_what_cannot_be_merged_is_a_line(merge, arguments, code, said):
    Path("x.zip").write_bytes(b"PK\x03\x04")
    Path("note.txt").write_text("x")
    found, lines, _ = merge(Merged(0, (), ()), *arguments)
    assert found == code
    assert said in "\n".join(lines)
