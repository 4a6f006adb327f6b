"""What `bench compact` says, and its exit codes; what it does is tested in tests/bench/results."""

import sys

import pytest

from bench.cli import compact_command as module
from bench.cli.main import main
from bench.results.compaction import Compacted
from bench.results.lock import RunLock
from bench.results.place import open_place


@pytest.fixture
def compact(tmp_path, monkeypatch, capsys):
    """Runs `bench compact ...` with a given end; returns exit code and output."""
    (tmp_path / "mine" / "trials").mkdir(parents=True)
    (tmp_path / "mine" / "trials" / "a.parquet").touch()

    def run(done: Compacted, *arguments: str) -> tuple[int, str]:
        def fake(place, watch):
            watch(1, 2)
            return done

        monkeypatch.setattr(module, "compact", fake)
        monkeypatch.setattr(sys, "argv", ["bench", "compact", "--results", str(tmp_path), *arguments])
        monkeypatch.setattr(sys, "path", list(sys.path))
        with pytest.raises(SystemExit) as caught:
            main()
        output = capsys.readouterr()
        return caught.value.code, output.out + output.err

    return run


def test_what_was_gathered_is_said(compact, tmp_path):
    place = tmp_path / "mine"
    assert compact(Compacted(1234, 2)) == (
        0,
        f"1,234 trials gathered; {place} has 2 files per table now.\n",
    )
    assert compact(Compacted(0, 2), "mine") == (0, f"Nothing to gather in {place}.\n")


def test_what_is_damaged_is_said(compact, tmp_path):
    code, out = compact(Compacted(3, 1, tuple(f"x{number}: damaged" for number in range(7))))
    assert code == 1
    assert out.splitlines()[1:] == [
        f"7 files of {tmp_path / 'mine'} damaged or missing; put back what you have of them: "
        "`bench run SUITE` makes single trials anew, and stops before it gives up many:",
        *(f"  x{number}: damaged" for number in range(5)),
        "  and 2 others",
    ]
    code, out = compact(Compacted(0, 1, ("x: damaged",)))
    assert (code, "Nothing to gather" in out) == (1, False)


def test_results_in_use_are_left_alone(compact, tmp_path):
    with RunLock(open_place(tmp_path / "mine")):
        code, out = compact(Compacted(0, 0), "mine")
    assert (code, "is in use by another run" in out) == (4, True)


def test_results_that_are_not_there_are_one_line(compact):
    code, out = compact(Compacted(0, 0), "none")
    assert (code, "no results there" in out) == (4, True)
