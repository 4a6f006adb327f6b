"""One run at a time on a results folder."""

import fcntl
import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO

from bench.errors import ResultsError

LOCK_FILE = ".lock"


class RunLock:
    """Holds a results folder for the length of a `with` block.

    The system drops the lock when the process ends, however it ends; the file stays and says nothing then.

    Args:
        root: Folder of a suite's results; made if need be.

    Raises:
        ResultsError: On entering, if another run holds the folder (the message says which), or the folder
            cannot be written.
    """

    def __init__(self, root: Path):
        self.root = root
        self._file: IO[str] | None = None

    def __enter__(self) -> "RunLock":
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
        started = datetime.now(UTC).isoformat(timespec="seconds")
        json.dump({"pid": os.getpid(), "host": socket.gethostname(), "started_at": started}, file)
        file.flush()
        self._file = file
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None


def _holder(file: IO[str]) -> str:
    file.seek(0)
    try:
        held = json.loads(file.read())
        return f"process {held['pid']} on {held['host']} since {held['started_at']}"
    except (ValueError, KeyError, TypeError):
        return "just started"
