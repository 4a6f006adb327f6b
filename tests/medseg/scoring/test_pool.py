import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from medseg.scoring import pool
from medseg.scoring.pool import WorkerLostError, map_cases


def nap(seconds: float, number: int) -> tuple[int, int]:
    time.sleep(seconds)
    return number * number, os.getpid()


def die(number: int) -> int:
    if number == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01)
    return number


def fail(number: int) -> int:
    time.sleep(0.01)
    if number == 9:
        raise ValueError("nine")
    return number


@pytest.fixture
def eager(monkeypatch):
    """Starts processes after the first case."""
    monkeypatch.setattr(pool, "ALONE_S", 0.0)
    monkeypatch.setattr(pool, "WORTH_S", 0.0)


def test_few_cases_are_done_here():
    assert {process for _, process in map_cases(partial(nap, 0.0), range(50), 2)} == {os.getpid()}
    assert list(map_cases(partial(nap, 0.0), [], 2)) == []


def test_one_process_is_this_one(eager):
    assert {process for _, process in map_cases(partial(nap, 0.001), range(5), 1)} == {os.getpid()}


def test_processes_keep_the_order(eager):
    found = list(map_cases(partial(nap, 0.01), list(range(40)), 2))
    assert [square for square, _ in found] == [number**2 for number in range(40)]
    assert len({process for _, process in found} - {os.getpid()}) >= 1


def test_a_killed_process_is_one_clear_line(eager):
    with pytest.raises(WorkerLostError, match=r"a worker process was killed, most likely for want of memory"):
        list(map_cases(die, list(range(40)), 2))


def test_what_a_function_raises_comes_here(eager):
    with pytest.raises(ValueError, match="nine"):
        list(map_cases(fail, list(range(40)), 2))


def test_scoring_imports_no_torch():
    code = (
        "import sys, medseg.scoring.score; "
        "print([m for m in ('torch', 'ray', 'accelerate', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
