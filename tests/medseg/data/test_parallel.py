import os
import subprocess
import sys
import time

import numpy as np
import pytest

from medseg.data.parallel import reading_pool, workers


def test_there_are_as_many_threads_as_cores_up_to_a_limit(monkeypatch):
    assert workers() == min(16, len(os.sched_getaffinity(0)))
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(96)))
    assert workers() == 16


def test_what_has_not_begun_is_dropped_on_an_error():
    begun = []

    def work(number):
        begun.append(number)
        time.sleep(0.05)

    def hand_out():
        with reading_pool() as pool:
            for number in range(400):
                pool.submit(work, number)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hand_out()
    assert len(begun) < 100


def test_threads_of_a_fresh_process_may_all_start_by_reading_a_volume(write_nifti, tmp_path):
    path = write_nifti(tmp_path / "a.nii.gz", np.ones((4, 4, 2), np.int16))
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from medseg.data import parallel\n"
        "from medseg.data.raster import read_pixels\n"
        "parallel.workers = lambda: 16\n"
        "assert 'nibabel' not in sys.modules\n"
        "with parallel.reading_pool() as pool:\n"
        "    assert 'nibabel' in sys.modules\n"
        "    shapes = {read.shape for read in pool.map(read_pixels, [Path(sys.argv[1])] * 64)}\n"
        "assert shapes == {(1, 2, 4, 4)}\n"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, timeout=120)
