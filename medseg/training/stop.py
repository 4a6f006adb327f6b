"""Ctrl-C or SIGTERM once: the trial saves itself and stops. Twice: at once."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

# torchrun passes a Ctrl-C on to processes that the terminal has told already.
ONE_SIGNAL_S = 1.0


class StopRequest:
    """Takes SIGINT and SIGTERM while a trial runs. Before it asks for the first time there is nothing to save.

    Args:
        said: Called when the first signal came.
    """

    def __init__(self, said: Callable[[], None]):
        self._said = said
        self._running = False
        self._requested: float | None = None
        self._old: dict[int, Any] = {}

    def asked(self) -> bool:
        """Says whether the trial should stop; to be asked before every step."""
        self._running = True
        return self._requested is not None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for kind in (signal.SIGINT, signal.SIGTERM):
                self._old[kind] = signal.signal(kind, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, old in self._old.items():
            signal.signal(number, old)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self._running:
            raise KeyboardInterrupt
        if self._requested is None:
            self._requested = now
            self._said()
        elif now - self._requested > ONE_SIGNAL_S:
            raise KeyboardInterrupt
