"""One run at a time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import ResultsError
from bench.results.lock import RunLock

HOLD = """
import sys
from pathlib import Path
from bench.results.lock import RunLock
with RunLock(Path(sys.argv[1])):
    sys.stdout.write("held\\n")
    sys.stdout.flush()
    sys.stdin.read()
"""


def test_second_holder_is_told_who_holds_it(tmp_path: Path) -> None:
    root = tmp_path / "results"
    with RunLock(root):
        held = json.loads((root / ".lock").read_text())
        assert held["pid"] == os.getpid()
        message = (
            f"{root} is in use by another run \\(process {os.getpid()} on .* since {held['started_at'][:10]}"
        )
        with pytest.raises(ResultsError, match=message), RunLock(root):
            pass
        # The refusal neither took nor broke the first one's lock.
        assert json.loads((root / ".lock").read_text()) == held
    with RunLock(root):
        pass


def test_an_error_inside_frees_the_lock(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="inside"), RunLock(tmp_path):
        raise RuntimeError("inside")
    with RunLock(tmp_path):
        pass


def test_a_killed_run_holds_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ResultsError, match=f"process {other.pid} on"), RunLock(tmp_path):
            pass
        other.kill()
    with RunLock(tmp_path):
        pass


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ResultsError, match="file/results: cannot be written"),
        RunLock(tmp_path / "file/results"),
    ):
        pass
