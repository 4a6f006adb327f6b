"""What share of training steps goes into data, without making the host wait for a GPU."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Stopwatch:
    """Adds up the time that some work takes on its device.

    On a GPU the time lies between two events in the stream; they are read when `seconds` is asked for, once the
    stream has got there.
    """

    def __init__(self, device: torch.device):
        self._cuda = device.type == "cuda"
        self._seconds = 0.0
        self._events: list[tuple[Any, Any]] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Times what is done inside."""
        if self._cuda:
            first: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            last: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            first.record()
            yield
            last.record()
            self._events.append((first, last))
            return
        started = time.perf_counter()
        yield
        self._seconds += time.perf_counter() - started

    def seconds(self) -> float:
        """Returns the seconds since the last call; on a GPU it waits for the timed work."""
        if self._events:
            self._events[-1][1].synchronize()
        total: float = self._seconds + sum(first.elapsed_time(last) / 1e3 for first, last in self._events)
        self._seconds = 0.0
        self._events.clear()
        return total
