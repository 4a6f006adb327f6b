"""What is printed where standard output is full, or knows few signs."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli.main import main
from bench.cli.output import prepare_output

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.is_char_device(), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_one_line_and_no_traceback(unbuffered: str) -> None:
    program = "import sys; sys.argv = ['bench', '--help']; from bench.cli.main import main; main()"
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program],
            stdout=full,
            stderr=subprocess.PIPE,
            env={"PYTHONUNBUFFERED": unbuffered, "PATH": ""},
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (4, "bench: standard output: No space left on device\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_signs_that_the_output_does_not_know_are_replaced(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    prepare_output()
    print("1 → 2")
    sys.stdout.flush()
    assert raw.getvalue() == b"1 ? 2\n"


def test_a_command_ends_with_its_own_code_where_output_is_fine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--version"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    main()
    assert "version" in capsys.readouterr().out
