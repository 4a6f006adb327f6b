"""`bench score` is ended from outside: no process of it stays."""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="looks for processes in /proc"
)

INTERRUPTED = "interrupted; run the same command again to go on\n"
STARTING = 3
"""The command, the tracker of resources and the fork server, which imports what workers need."""
WORKING = 5
"""With two workers."""


class Command:
    """A running `bench score` on more cases than it can do meanwhile, and all processes that stem from it."""

    def __init__(self, folder: Path):
        mask = np.zeros((256, 256), np.uint8)
        mask[60:190, 60:190] = np.random.default_rng(0).integers(0, 2, (130, 130))
        first = folder / "r" / "case0000.png"
        first.parent.mkdir()
        Image.fromarray(mask).save(first)
        for number in range(1, 3000):
            os.link(first, first.with_name(f"case{number:04d}.png"))
        script = folder / "bench"
        script.write_text("from bench.cli.main import main\nif __name__ == '__main__':\n    main()\n")
        mark = f"MEDSEG_TEST_MARK={uuid.uuid4().hex}"
        self._mark = mark.encode()
        arguments = (
            "--reference",
            first.parent,
            "--prediction",
            f"p={first.parent}",
            "--labels",
            "x=1",
            "-j",
            "2",
        )
        self.process = subprocess.Popen(
            [sys.executable, script, "score", *arguments],
            env=os.environ | dict([mark.split("=")]),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def family(self) -> list[int]:
        return [
            int(place.name) for place in Path("/proc").glob("[0-9]*") if self._mark in _environment(place)
        ]

    def wait_for(self, processes: int) -> None:
        assert _soon(lambda: len(self.family()) >= processes or self.process.poll() is not None)
        assert self.process.poll() is None

    def is_gone(self) -> bool:
        return _soon(lambda: not self.family())


@pytest.fixture
def command(tmp_path) -> Iterator[Command]:
    started = Command(tmp_path)
    yield started
    for process in started.family():
        os.kill(process, signal.SIGKILL)
    started.process.communicate()
    shutil.rmtree(tmp_path / "r")


def _environment(place: Path) -> bytes:
    try:
        return (place / "environ").read_bytes()
    except OSError:
        return b""


def _soon(true: Callable[[], bool], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("moment", [STARTING, WORKING])
def test_nothing_stays_of_a_command_that_is_killed(command, moment):
    command.wait_for(moment)
    command.process.kill()
    assert command.is_gone()


@pytest.mark.parametrize("end", [os.kill, os.killpg])
@pytest.mark.parametrize("moment", [STARTING, WORKING])
def test_sigterm_is_an_orderly_end_for_one_and_for_all(command, moment, end):
    command.wait_for(moment)
    end(command.process.pid, signal.SIGTERM)
    out, err = command.process.communicate(timeout=30)
    assert (command.process.returncode, out, err.lstrip()) == (130, "", INTERRUPTED)
    assert command.is_gone()


@pytest.mark.parametrize("moment", [STARTING, WORKING])
def test_ctrl_c_reaches_all_processes_and_is_one_line(command, moment):
    command.wait_for(moment)
    os.killpg(command.process.pid, signal.SIGINT)
    out, err = command.process.communicate(timeout=30)
    assert (command.process.returncode, out, err.lstrip()) == (130, "", INTERRUPTED)
    assert command.is_gone()
