import errno

import pytest
import torch

from medseg.errors import DataError, ModelError
from medseg.training.outcome import (
    DivergedError,
    InterruptedTrialError,
    PredictionMemoryError,
    PrunedError,
    StorageError,
    TimeLimitError,
    classify,
    is_out_of_memory,
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DivergedError(7, "the loss is not finite at step 7"), "diverged"),
        (InterruptedTrialError("stopped after step 3"), "interrupted"),
        (torch.OutOfMemoryError("CUDA out of memory"), "oom"),
        (MemoryError(), "oom"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried"), "oom"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), "oom"),
        (PredictionMemoryError("predicting one slice does not fit"), "oom"),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), "infra_lost"),
        (TimeLimitError("longer than 3 s"), "timeout"),
        (PrunedError("its scores say so"), "pruned"),
        (DataError("label missing"), "data_error"),
        (StorageError("last.safetensors: No space left on device"), "infra_lost"),
        (OSError(errno.ENOSPC, "No space left on device"), "infra_lost"),
        (FileNotFoundError(errno.ENOENT, "a model's own file"), "crashed"),
        (ModelError("does not fit"), "crashed"),
        (ZeroDivisionError("x"), "crashed"),
    ],
)
def test_every_error_has_a_status_word(error, status):
    assert classify(error)[0] == status


def test_detail_is_one_short_line_that_names_the_error():
    status, detail = classify(ValueError("first\nsecond"))
    assert (status, detail) == ("crashed", "ValueError: first")
    assert classify(DivergedError(7, "no learning up to step 7"))[1] == "no learning up to step 7"


def test_torchs_own_lack_of_memory_on_this_machine_is_one():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert is_out_of_memory(caught.value)


def test_only_a_lack_of_memory_counts_as_one():
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("not enough memory of the past"))
