import time

import pytest
import torch

from medseg.training.stopwatch import Stopwatch


def test_times_add_up_until_they_are_read():
    watch = Stopwatch(torch.device("cpu"))
    for _ in range(2):
        with watch.running():
            time.sleep(0.02)
    first = watch.seconds()
    assert first >= 0.04
    assert watch.seconds() == 0.0


@pytest.mark.gpu
def test_on_a_gpu_the_time_is_that_of_the_stream():
    device = torch.device("cuda")
    watch = Stopwatch(device)
    matrix = torch.randn(4096, 4096, device=device)
    with watch.running():
        for _ in range(20):
            matrix = matrix @ matrix.T / 4096
    torch.cuda.synchronize()
    assert watch.seconds() > 0.001
    assert watch.seconds() == 0.0
