"""One run at a time on the results of a suite."""

import fcntl
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol

from bench.errors import ResultsError
from bench.results.holder import describe, myself
from bench.results.lease import Lease
from bench.results.place import Place, open_place

LOCK_FILE = ".lock"


class _Lock(Protocol):
    def acquire(self) -> None: ...

    def release(self) -> None: ...

    @property
    def lost(self) -> str: ...


class RunLock:
    """Holds the results of a suite for the length of a `with` block.

    In a folder the system drops the lock when the process ends, however it ends; the file stays and says nothing
    then. In an object store it is a lease (see `Lease`) that has to be renewed, and can be lost.

    Args:
        where: Place of the results; a folder is made if need be.
        waiting: Told in words, once, if it has to be found out whether another run is still alive.

    Raises:
        ResultsError: On entering, if another run holds the results (the message says which), or they cannot be
            written.
    """

    def __init__(self, where: Place | Path | str, waiting: Callable[[str], None] = lambda text: None):
        self.place = open_place(where)
        folder = self.place.folder
        self._lock: _Lock = Lease(self.place, waiting) if folder is None else _FolderLock(folder)

    @property
    def lost(self) -> str:
        """Why another run may have taken over, so that this one has to stop; empty while it holds."""
        return self._lock.lost

    def __enter__(self) -> "RunLock":
        self._lock.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()


class _FolderLock:
    lost = ""

    def __init__(self, root: Path):
        self.root = root
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            file = (self.root / LOCK_FILE).open("a+", encoding="utf-8")
        except OSError as error:
            raise ResultsError(f"{self.root}: cannot be written ({error.strerror or error})") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = _holder(file)
            file.close()
            raise ResultsError(
                f"{self.root} is in use by another run ({holder}); wait for it or stop it"
            ) from error
        except OSError as error:
            file.close()
            raise ResultsError(
                f"{self.root}: this file system offers no locks ({error.strerror or error}); "
                "put the results on another one"
            ) from error
        file.truncate(0)
        json.dump(myself(), file)
        file.flush()
        self._file = file

    def release(self) -> None:
        if self._file is None:
            return
        file, self._file = self._file, None
        # A disk that went away in the meantime must not hide why the run ended.
        with suppress(OSError):
            file.truncate(0)
        with suppress(OSError):
            file.close()


def _holder(file: IO[str]) -> str:
    file.seek(0)
    return describe(file.read())
