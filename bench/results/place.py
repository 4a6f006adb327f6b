"""Where results lie: a folder, or a prefix in an object store. Files come and go whole."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


class Place(ABC):
    """A tree of files. A file is there whole or not at all, whatever dies while it is written.

    Names are relative, with slashes: ``trials/0123-45.parquet``. Folders are made when they are needed.
    """

    @property
    @abstractmethod
    def folder(self) -> Path | None:
        """The folder that this is; none of an object store."""

    @property
    @abstractmethod
    def url(self) -> str:
        """What `open_place` takes to come here again, also from elsewhere on this machine."""

    @abstractmethod
    def __truediv__(self, name: str) -> "Place": ...

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Returns what is in a file.

        Raises:
            FileNotFoundError: If it is not there; its `filename` is the whole name.
            OSError: If the disk fails or the store cannot be reached.
            ResultsError: If the store refuses.
        """

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Writes a file or replaces it, in one step; errors as in `read`."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Removes a file, if it is there; errors as in `read`."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Says whether a file is there; errors as in `read`."""

    def stamp(self, name: str) -> Any:
        """Returns what differs when a file has been replaced, none where it is not there; errors as in `read`."""
        return object() if self.exists(name) else None

    @abstractmethod
    def files(self, folder: str) -> dict[str, float]:
        """Returns the names of the files right in a folder, without it, and when they changed (s since 1970)."""

    @abstractmethod
    def folders(self, folder: str = "") -> list[str]:
        """Returns the names of the folders right in a folder, sorted."""

    @abstractmethod
    def bring(self, path: Path, name: str) -> None:
        """Copies a local file here, in one step; errors as in `read`."""

    @abstractmethod
    def fetch(self, name: str, path: Path) -> None:
        """Copies a file to a local path, in one step; errors as in `read`."""

    def read_all(self, names: Iterable[str]) -> Iterator[bytes]:
        """Reads many files, in order; errors as in `read`."""
        return map(self.read, names)

    def open(self, name: str) -> Any:
        """Opens a file for Arrow to read, here and there; errors as in `read`."""
        import pyarrow

        return pyarrow.BufferReader(self.read(name))

    def delete_all(self, names: Iterable[str]) -> None:
        """Removes many files, if they are there; errors as in `read`."""
        for name in names:
            self.delete(name)

    @abstractmethod
    def check(self) -> None:
        """Looks whether the place can be there: a folder always can, a prefix needs its bucket.

        Raises:
            ResultsError: If not.
        """

    def hasty(self) -> "Place":
        """Returns the same place for questions whose answer is not worth waiting for: it does not try again."""
        return self


def open_place(where: str | Path | Place) -> Place:
    """Returns a place.

    Args:
        where: A folder, a bundle, or a URL that `pyarrow.fs` knows: ``file://``, ``s3://bucket/prefix``, ``gs://``
            and so on. Nothing is opened before it is used.

    Raises:
        ResultsError: If the URL says no place.
    """
    if isinstance(where, Place):
        return where
    text = str(where)
    if isinstance(where, Path) or not is_url(text):
        return _local(Path(where).expanduser())
    if text.lower().startswith("file://"):
        return _local(Path(unquote(urlsplit(text).path)))
    from bench.results.bucket import make_bucket

    return make_bucket(text)


def _local(path: Path) -> Place:
    from bench.results.archive import Archive, is_bundle
    from bench.results.folder import Folder

    return Archive(path) if is_bundle(path) else Folder(path)


def is_url(text: str) -> bool:
    """Says whether a text is a URL rather than a path."""
    return _URL.match(text) is not None
