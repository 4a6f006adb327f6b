"""Brings a file to a place whenever it has changed, while something else goes on."""

import threading
from pathlib import Path

from bench.errors import ResultsError
from bench.results.place import Place

LOOK_S = 1.0


class Courier:
    """Watches one file that is replaced in one step, and brings each new version up in a thread of its own.

    Args:
        path: The file; it need not be there yet.
        place: Where it goes.
        name: Its name there.
        known: Whether the version that is there now has been brought.

    Attributes:
        failure: Why a version could not be brought, however often it was tried; empty if all were. Nothing is
            brought any more then.
    """

    def __init__(self, path: Path, place: Place, name: str, known: bool = True):
        self._path, self._place, self._name = path, place, name
        self.failure = ""
        self._brought = _version(path) if known else None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="courier", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops watching; what is being brought arrives."""
        self._ended.set()
        self._thread.join()

    def bring(self) -> None:
        """Brings the last version, unless it is there; to be called after `close`."""
        version = _version(self._path)
        if self.failure or version in (None, self._brought):
            return
        try:
            self._place.bring(self._path, self._name)
            self._brought = version
        except FileNotFoundError:
            # Forgotten in the meantime.
            pass
        except (OSError, ResultsError) as error:
            self.failure = str(error)

    def _watch(self) -> None:
        while not self.failure and not self._ended.wait(LOOK_S):
            self.bring()


def _version(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino
