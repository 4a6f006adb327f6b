"""Results in an object store, by `pyarrow.fs`: S3 and what speaks like it, Google Cloud Storage, Azure."""

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import pyarrow as pa

from bench.errors import ResultsError
from bench.results.bucket_errors import UnreachableError, is_final, say_why
from bench.results.files import write_atomic
from bench.results.object_stores import check_url, opened
from bench.results.place import Place

Answer = TypeVar("Answer")

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 16.0
PATIENCE_S = 60.0
"""How long it is tried to reach a store again, since it answered last: what one waited for nobody waits for again."""
_silent_since: dict[str, float] = {}
AT_ONCE = 16
"""Files that are read at the same time: each costs a way to the store and back."""
WHOLE_ON_CLOSE = ("s3", "gcs", "abfs")
PIECE = 8 * 2**20
YOUNG_NS = 60 * 10**9
"""Age from which on a file's time tells it from its successor, also where clocks differ."""


@dataclass(frozen=True)
class Bucket(Place):
    """A prefix in an object store.

    Args:
        root: URL that is opened.
        inner: Below it, with slashes.
        patience_s: How long it is tried to reach it again, since it answered last.
    """

    root: str
    inner: str = ""
    patience_s: float = field(default_factory=lambda: PATIENCE_S)

    @property
    def folder(self) -> None:
        """See `Place`."""
        return None

    @property
    def url(self) -> str:
        """See `Place`; with what its owner wrote into it, passwords included."""
        return _joined(self.root, quote(self.inner))

    def __str__(self) -> str:
        return _joined(_without_password(self.root), self.inner)

    def __truediv__(self, name: str) -> "Bucket":
        return replace(self, inner=f"{self.inner}/{name}".strip("/"))

    def read(self, name: str) -> bytes:
        """See `Place`."""

        def get(system: Any, key: str) -> bytes:
            with system.open_input_stream(key) as stream:
                content: bytes = stream.read()
            return content

        return self._try("read", name, get)

    def write(self, name: str, content: bytes) -> None:
        """See `Place`."""
        self._try("write", name, lambda system, key: _put(system, key, content))

    def delete(self, name: str) -> None:
        """See `Place`."""

        def remove(system: Any, key: str) -> None:
            with suppress(FileNotFoundError):
                system.delete_file(key)

        self._try("delete", name, remove)

    def exists(self, name: str) -> bool:
        """See `Place`."""
        return self._try("look for", name, lambda system, key: bool(system.get_file_info(key).is_file))

    def stamp(self, name: str) -> Any:
        """See `Place`."""
        info = self._try("look for", name, lambda system, key: system.get_file_info(key))
        if not info.is_file:
            return None
        # Its times are whole seconds: what is young may be replaced within the same one.
        settled = time.time_ns() - info.mtime_ns > YOUNG_NS
        return (info.mtime_ns, info.size) if settled else object()

    def files(self, folder: str) -> dict[str, float]:
        """See `Place`."""
        return {info.base_name: info.mtime_ns / 1e9 for info in self._infos(folder) if info.is_file}

    def folders(self, folder: str = "") -> list[str]:
        """See `Place`."""
        return sorted(info.base_name for info in self._infos(folder) if not info.is_file)

    def bring(self, path: Path, name: str) -> None:
        """See `Place`."""
        if not path.stat().st_size:
            self.write(name, b"")
            return
        # One write: what interrupts us between two would leave half a file that looks whole.
        self._try(
            "write", name, lambda system, key: _put(system, key, pa.memory_map(str(path)).read_buffer())
        )

    def fetch(self, name: str, path: Path) -> None:
        """See `Place`."""

        def get(system: Any, key: str) -> None:
            def copy(draft: Path) -> None:
                with system.open_input_stream(key) as source, draft.open("wb") as target:
                    shutil.copyfileobj(source, target, PIECE)

            write_atomic(path, copy)

        self._try("read", name, get)

    def read_all(self, names: Iterable[str]) -> Iterator[bytes]:
        """See `Place`."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            yield from threads.map(self.read, names)

    def delete_all(self, names: Iterable[str]) -> None:
        """See `Place`."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(self.delete, names))

    def check(self) -> None:
        """See `Place`."""

        def look(system: Any, key: str) -> None:
            name = key.partition("/")[0]
            if system.type_name in WHOLE_ON_CLOSE and not system.get_file_info(name).type:
                raise ResultsError(f"{self}: there is no bucket '{name}'; make it first, or mend the URL")

        self._try("look at", "", look)

    def hasty(self) -> "Bucket":
        """See `Place`."""
        return replace(self, patience_s=0.0)

    def _infos(self, folder: str) -> list[Any]:
        def look(system: Any, key: str) -> Any:
            from pyarrow.fs import FileSelector

            return system.get_file_info(FileSelector(key, allow_not_found=True))

        return list(self._try("list", folder, look))

    def _try(self, action: str, name: str, call: Callable[[Any, str], Answer]) -> Answer:
        """Calls with file system and key, again and again while it is the network's fault."""
        where, asked, wait_s = _joined(str(self), name), time.monotonic(), FIRST_WAIT_S
        while True:
            try:
                system, base = opened(self.root)
                answer = call(system, "/".join(filter(None, [base, self.inner, name])))
                _silent_since.pop(self.root, None)
                return answer
            except FileNotFoundError as error:
                _silent_since.pop(self.root, None)
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), where) from error
            except (OSError, pa.ArrowException) as error:
                reason = say_why(error, self.root)
                if is_final(error):
                    raise ResultsError(f"cannot {action} {where}: {reason}") from error
                silent_s = time.monotonic() - _silent_since.setdefault(self.root, asked)
                if silent_s + wait_s > self.patience_s:
                    tried = f" (for {silent_s:.0f} s by now)" if self.patience_s else ""
                    raise UnreachableError(f"cannot {action} {where}: {reason}{tried}", where) from error
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def make_bucket(url: str) -> Bucket:
    """Returns a place in an object store.

    Raises:
        ResultsError: If the URL names none that there is.
    """
    check_url(url)
    parts = urlsplit(url)
    return Bucket(urlunsplit(parts._replace(path=parts.path.rstrip("/"))))


def _put(system: Any, key: str, content: Any) -> None:
    if system.type_name in WHOLE_ON_CLOSE:
        with system.open_output_stream(key) as stream:
            stream.write(content)
        return
    draft = f"{key}.tmp-{os.getpid()}-{time.monotonic_ns()}"
    system.create_dir(key.rpartition("/")[0], recursive=True)
    with system.open_output_stream(draft) as stream:
        stream.write(content)
    system.move(draft, key)


def _joined(url: str, name: str) -> str:
    parts = urlsplit(url)
    path = "/".join(filter(None, [parts.path.rstrip("/"), name]))
    path = path if path.startswith("/") or not path else f"/{path}"
    return urlunsplit(parts._replace(path=path))


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
