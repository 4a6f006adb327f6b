"""Ctrl-C once: finish and save what is running. Twice: now. A limit of time is a Ctrl-C that nobody typed."""

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Literal, Self

from bench.errors import BenchError
from bench.run.signals import Signals

Reason = Literal["interrupted", "time is up", "failure"]


class StopRequest:
    """Turns SIGINT, SIGTERM and a limit of time into the flag that the workers watch.

    Args:
        signals: In a place that all workers see.
        said: Called once, when the first request came.
        limit_s: Seconds from now after which the run is to stop; none: no limit.

    Attributes:
        reason: Why the run stops; none while it does not.
    """

    def __init__(self, signals: Signals, said: Callable[[], None], limit_s: float | None = None):
        self._signals, self._said = signals, said
        self.reason: Reason | None = None
        self._old: dict[int, Any] = {}
        self._writer: threading.Thread | None = None
        self._timer = None if limit_s is None else threading.Timer(limit_s, self.request, ("time is up",))

    @property
    def requested(self) -> bool:
        """Whether the run is to stop."""
        return self.reason is not None

    def request(self, reason: Reason) -> None:
        """Asks all workers to save themselves and stop; only the first reason counts."""
        if self.requested:
            return
        self.reason = reason
        # A signal may come in the midst of anything, also of a write to the same place.
        self._writer = threading.Thread(target=self._write, name="stop")
        self._writer.start()
        self._said()

    def __enter__(self) -> Self:
        self._signals.clear()
        self.listen()
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        return self

    def listen(self) -> None:
        """Takes the signals; call it again after anything that takes them away, as `ray.init` does."""
        if threading.current_thread() is threading.main_thread():
            for kind in (signal.SIGINT, signal.SIGTERM):
                old = signal.signal(kind, self._handle)
                self._old.setdefault(kind, old)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        for number, old in self._old.items():
            signal.signal(number, old)
        if self._writer is not None:
            self._writer.join()
        # Some later run clears them, too.
        with suppress(OSError, BenchError):
            self._signals.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.request("interrupted")

    def _write(self) -> None:
        # Where this cannot be written workers cannot save themselves either, and end at their next checkpoint.
        with suppress(OSError, BenchError):
            self._signals.request_stop()
