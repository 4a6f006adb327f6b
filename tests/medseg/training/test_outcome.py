import pytest
import torch

from medseg.errors import DataError, ModelError
from medseg.training.outcome import DivergedError, InterruptedTrialError, classify


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DivergedError(7), "diverged"),
        (InterruptedTrialError("stopped after step 3"), "interrupted"),
        (torch.OutOfMemoryError("CUDA out of memory"), "oom"),
        (MemoryError(), "oom"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried"), "oom"),
        (TimeoutError("longer than 3 s"), "timeout"),
        (DataError("label missing"), "data_error"),
        (OSError("No space left on device"), "data_error"),
        (ModelError("does not fit"), "crashed"),
        (ZeroDivisionError("x"), "crashed"),
    ],
)
def test_every_error_has_a_status_word(error, status):
    assert classify(error)[0] == status


def test_detail_is_one_short_line_that_names_the_error():
    status, detail = classify(ValueError("first\nsecond"))
    assert (status, detail) == ("crashed", "ValueError: first")
    assert "step 7" in classify(DivergedError(7))[1]
