"""Something slow that starts while the rest is prepared, and ends where it was started."""

import threading
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")
POLL_S = 0.2


class Early(Generic[T]):
    """Enters a context manager in a thread of its own, and leaves it there.

    The thread lives for as long as the context does: the kernel ends what Ray started when the thread that started it
    ends. If the run is given up before the context was entered, the thread leaves it as soon as it is.

    Args:
        manager: What to enter.
    """

    def __init__(self, manager: AbstractContextManager[T]):
        self._manager = manager
        self._thread = threading.Thread(target=self._live, name="early")
        self._ready, self._over = threading.Event(), threading.Event()
        self._value: T | None = None
        self._error: BaseException | None = None

    @property
    def started(self) -> bool:
        """Whether it was started."""
        return self._thread.ident is not None

    def start(self) -> None:
        """Starts it, unless it was."""
        if not self.started:
            self._thread.start()

    def result(self) -> T:
        """Waits for what the context manager gives.

        Raises:
            BaseException: What it raised.
        """
        self.start()
        # In short waits, so that signals are heard.
        while not self._ready.wait(POLL_S):
            pass
        if self._error is not None:
            raise self._error
        assert self._value is not None
        return self._value

    def abandon(self) -> None:
        """Lets it end by itself; nobody waits."""
        self._over.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()
        # Whoever is to be told of an error shall not wait for what is still starting.
        if self.started and (error is None or self._ready.is_set()):
            self._thread.join()

    def _live(self) -> None:
        try:
            with self._manager as self._value:
                self._ready.set()
                self._over.wait()
        except BaseException as error:  # noqa: BLE001 - raised again where the result is waited for
            self._error = error
        finally:
            self._ready.set()
