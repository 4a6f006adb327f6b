"""Ctrl-C once: finish and save what is running. Twice: now."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self


class StopRequest:
    """Turns SIGINT and SIGTERM into a stop file that the workers watch.

    Args:
        stop_file: On a path that all workers see.
        said: Called once, when the first signal came.
    """

    def __init__(self, stop_file: Path, said: Callable[[], None]):
        self.stop_file, self._said = stop_file, said
        self.requested = False
        self._old: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self.stop_file.unlink(missing_ok=True)
        self.listen()
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
        for number, old in self._old.items():
            signal.signal(number, old)
        self.stop_file.unlink(missing_ok=True)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        self.stop_file.touch()
        self._said()
