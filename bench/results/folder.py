"""Results in a folder, on a disk of this machine or on one that several share."""

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.results.files import TEMPORARY, write_atomic
from bench.results.place import Place


@dataclass(frozen=True)
class Folder(Place):
    """A folder.

    Args:
        path: It need not be there yet.
    """

    path: Path

    @property
    def folder(self) -> Path:
        """See `Place`."""
        return self.path

    @property
    def url(self) -> str:
        """See `Place`."""
        return str(self.path.absolute())

    def __str__(self) -> str:
        return str(self.path)

    def __truediv__(self, name: str) -> "Folder":
        return Folder(self.path / name)

    def read(self, name: str) -> bytes:
        """See `Place`."""
        return (self.path / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """See `Place`."""
        write_atomic(self.path / name, lambda draft: _write(draft, content))

    def delete(self, name: str) -> None:
        """See `Place`."""
        (self.path / name).unlink(missing_ok=True)

    def exists(self, name: str) -> bool:
        """See `Place`."""
        return (self.path / name).is_file()

    def stamp(self, name: str) -> tuple[int, int, int] | None:
        """See `Place`."""
        try:
            # A shared disk answers for what is open, and remembers an older answer for what is not.
            with (self.path / name).open("rb") as file:
                state = os.fstat(file.fileno())
        except FileNotFoundError:
            return None
        return state.st_mtime_ns, state.st_size, state.st_ino

    def files(self, folder: str) -> dict[str, float]:
        """See `Place`."""
        found = {}
        for path in _entries(self.path / folder):
            try:
                if path.is_file() and not path.name.startswith(TEMPORARY):
                    found[path.name] = path.stat().st_mtime
            except FileNotFoundError:
                # Somebody has replaced it since.
                continue
        return found

    def folders(self, folder: str = "") -> list[str]:
        """See `Place`."""
        return sorted(path.name for path in _entries(self.path / folder) if path.is_dir())

    def bring(self, path: Path, name: str) -> None:
        """See `Place`."""
        write_atomic(self.path / name, lambda draft: _copy(path, draft))

    def fetch(self, name: str, path: Path) -> None:
        """See `Place`."""
        write_atomic(path, lambda draft: _copy(self.path / name, draft))

    def open(self, name: str) -> Any:
        """See `Place`."""
        import pyarrow

        path = str(self.path / name)
        try:
            return pyarrow.OSFile(path)
        except FileNotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error

    def check(self) -> None:
        """See `Place`."""


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
