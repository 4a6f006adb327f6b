import os
import time

import pytest

from bench.run.so_far import with_so_far
from medseg.training.checkpoint import save_state
from medseg.training.outcome import TrialResult
from medseg.training.progress import Progress

ROW = {"epoch": 1, "score": 0.5}


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "checkpoints" / "t.safetensors"
    save_state({"progress": vars(Progress(curves=[ROW], elapsed_s=100.0))}, path)
    return path


@pytest.mark.parametrize(("age_s", "expected"), [(1000.0, 110.0), (4.0, 104.0), (-50.0, 100.0)])
def test_what_came_after_the_checkpoint_counts_too(checkpoint, age_s, expected):
    written = time.time() - age_s
    os.utime(checkpoint, (written, written))
    result, spent_s = with_so_far(TrialResult("crashed"), checkpoint, elapsed_s=10.0)
    assert spent_s == pytest.approx(expected, abs=2)
    assert result.curves == [ROW]


def test_a_trial_that_speaks_for_itself_is_believed(checkpoint):
    told = TrialResult("timeout", summary={"device_s": 3.0})
    assert with_so_far(told, checkpoint, 10.0) == (told, 10.0)


@pytest.mark.parametrize("content", [None, b"", b"\x10\0\0\0\0\0\0\0{}", b"\2\0\0\0\0\0\0\0{}"])
def test_without_a_checkpoint_the_attempt_is_all_there_is(tmp_path, content):
    path = tmp_path / "t.safetensors"
    if content is not None:
        path.write_bytes(content)
    assert with_so_far(TrialResult("crashed"), path, 10.0) == (TrialResult("crashed"), 10.0)
