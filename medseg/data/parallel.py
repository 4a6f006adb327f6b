"""Threads that read files: decoding, inflating and hashing leave the interpreter free for one another."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

MOST_WORKERS = 16


def workers() -> int:
    """Returns how many threads read files: all cores that this process may use, at most 16."""
    # macOS has no affinity to ask for.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_WORKERS, allowed)


@contextmanager
def reading_pool() -> Iterator[ThreadPoolExecutor]:
    """Gives a pool of threads; on an error or Ctrl-C what has not begun is dropped."""
    _import_readers()
    pool = ThreadPoolExecutor(max_workers=workers(), thread_name_prefix="read")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _import_readers() -> None:
    """Imports before there are threads: two that import nibabel at once meet its modules half imported."""
    import nibabel  # noqa: F401
    import nrrd  # noqa: F401
    import PIL.Image
    import scipy.fft  # noqa: F401

    PIL.Image.preinit()
