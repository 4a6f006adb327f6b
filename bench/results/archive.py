"""Results in a bundle: one zip file with checksums, read and never written."""

import errno
import hashlib
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench.errors import ResultsError
from bench.results.files import write_atomic
from bench.results.place import Place

MANIFEST = "bundle.json"
SUMS = "SHA256SUMS"
"""As `sha256sum -c` reads it: all files of the bundle but itself."""
FORMAT = "medseg-bench bundle"
VERSION = 1
_MAGIC = b"PK\x03\x04"
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


@dataclass(frozen=True)
class Archive(Place):
    """A bundle, or a folder in one. What is read is compared with its checksum first.

    Args:
        path: The file.
        inner: Folder in it, with slashes.
    """

    path: Path
    inner: str = ""

    @property
    def folder(self) -> None:
        """See `Place`."""
        return None

    @property
    def url(self) -> str:
        """See `Place`."""
        return str(self.path.absolute())

    def __str__(self) -> str:
        return "/".join(filter(None, [str(self.path), self.inner]))

    def __truediv__(self, name: str) -> "Archive":
        return replace(self, inner=f"{self.inner}/{name}".strip("/"))

    def read(self, name: str) -> bytes:
        """See `Place`.

        Raises:
            ResultsError: If it is not what the bundle was made with.
        """
        key, expected = self._key(name), self._sums()
        if key not in expected:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self / name))
        with _opened(self.path) as bundle:
            content = bundle.read(key)
        if hashlib.sha256(content).hexdigest() != expected[key]:
            raise _damaged(self.path, f"{key} does not match its checksum")
        return content

    def write(self, name: str, content: bytes) -> None:
        """Refuses; see `Place`."""
        raise self._read_only()

    def delete(self, name: str) -> None:
        """Refuses; see `Place`."""
        raise self._read_only()

    def bring(self, path: Path, name: str) -> None:
        """Refuses; see `Place`."""
        raise self._read_only()

    def exists(self, name: str) -> bool:
        """See `Place`."""
        return self._key(name) in self._sums()

    def files(self, folder: str) -> dict[str, float]:
        """See `Place`; all of them are as old as the bundle."""
        changed = self.path.stat().st_mtime
        return {name: changed for name in self._below(folder) if "/" not in name}

    def folders(self, folder: str = "") -> list[str]:
        """See `Place`."""
        return sorted({name.partition("/")[0] for name in self._below(folder) if "/" in name})

    def fetch(self, name: str, path: Path) -> None:
        """See `Place`."""
        content = self.read(name)
        write_atomic(path, lambda draft: _write(draft, content))

    def check(self) -> None:
        """See `Place`.

        Raises:
            ResultsError: If it is no bundle, one of a newer version, or damaged as far as its list of files tells.
        """
        self.manifest()

    def manifest(self) -> dict[str, Any]:
        """Returns what the bundle says of itself; errors as in `check`."""
        found: dict[str, Any] = json.loads(replace(self, inner="").read(MANIFEST))
        if found.get("version", 0) > VERSION:
            raise ResultsError(
                f"{self.path}: a bundle of version {found['version']}, this medseg-bench reads up to {VERSION}; "
                "install a newer one"
            )
        return found

    def _key(self, name: str) -> str:
        return "/".join(filter(None, [self.inner, name]))

    def _below(self, folder: str) -> list[str]:
        above = self._key(folder)
        prefix = f"{above}/" if above else ""
        return [name.removeprefix(prefix) for name in self._sums() if name.startswith(prefix)]

    def _sums(self) -> Mapping[str, str]:
        try:
            state = self.path.stat()
        except FileNotFoundError as error:
            raise ResultsError(f"{self.path}: no such bundle") from error
        return _read_sums(self.path, state.st_mtime_ns, state.st_size)

    def _read_only(self) -> ResultsError:
        return ResultsError(
            f"{self.path}: a bundle cannot be written; `bench merge {self.path} -o FOLDER` makes results of it that "
            "can"
        )


def is_bundle(path: Path) -> bool:
    """Says whether a path is a file that begins as a zip file does: a bundle, or what is left of one."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as bundle:
            yield bundle
    except FileNotFoundError as error:
        raise ResultsError(f"{path}: no such bundle") from error
    except _BROKEN as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _damaged(path, reason) from error


@lru_cache(maxsize=8)
def _read_sums(path: Path, _changed_ns: int, _size: int) -> Mapping[str, str]:
    """Returns the checksum of each file; the file's state is an argument so that another file is read anew."""
    with _opened(path) as bundle:
        names = set(bundle.namelist())
        if not {MANIFEST, SUMS} <= names:
            raise ResultsError(f"{path}: no bundle of medseg-bench; `bench export --format bundle` makes one")
        lines = bundle.read(SUMS).decode().splitlines()
    sums = {name: total for total, _, name in (line.partition("  ") for line in lines)}
    odd = sorted((names - {SUMS}) ^ sums.keys())
    if odd:
        what = "is missing" if odd[0] in sums else "is not in its list of checksums"
        raise _damaged(path, f"{odd[0]} {what}")
    return sums


def _damaged(path: Path, reason: str) -> ResultsError:
    return ResultsError(f"{path}: this bundle is damaged ({reason}); get it anew from where it came")


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def write_archive(path: Path, folder: Path, manifest: Mapping[str, Any]) -> None:
    """Writes a folder as a bundle: the same files give the same bytes.

    Args:
        path: Of the bundle; replaced in one step.
        folder: Whose files go in.
        manifest: What the bundle says of itself, as JSON values.

    Raises:
        OSError: If the disk is full or read-only; `path` is as before.
    """
    head = {"format": FORMAT, "version": VERSION, **manifest}
    text = json.dumps(head, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    files = {found.relative_to(folder).as_posix(): found for found in folder.rglob("*") if found.is_file()}
    sums = {MANIFEST: hashlib.sha256(text.encode()).hexdigest()}
    for name, found in sorted(files.items()):
        with found.open("rb") as stream:
            sums[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    listed = "".join(f"{total}  {name}\n" for name, total in sums.items())

    def write(draft: Path) -> None:
        with zipfile.ZipFile(draft, "w") as bundle:
            bundle.writestr(_entry(MANIFEST), text)
            bundle.writestr(_entry(SUMS), listed)
            for name, found in sorted(files.items()):
                entry = _entry(name)
                entry.file_size = found.stat().st_size
                with found.open("rb") as source, bundle.open(entry, "w") as target:
                    shutil.copyfileobj(source, target, 2**20)

    write_atomic(path, write)


def _entry(name: str) -> zipfile.ZipInfo:
    # No time of its own, so that equal results are equal files.
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o644 << 16
    entry.compress_type = zipfile.ZIP_STORED if name.endswith(".parquet") else zipfile.ZIP_DEFLATED
    return entry
