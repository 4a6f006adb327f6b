"""Facts about files, remembered so that looking again is instant: content hash, grid, perceptual hash."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medseg.data.cache import source_hash, unwritable, write_atomically
from medseg.data.likeness import look
from medseg.data.parallel import reading_pool
from medseg.data.raster import Header, extension, read_header, read_pixels
from medseg.errors import DataError

# What other code once saw is not trusted.
FACTS_VERSION = source_hash("files", "likeness", "raster")
Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class FileFacts:
    """What indexing needs to know of a file.

    Args:
        sha256: Hash of the content.
        shape: (Z, H, W) or (H, W); empty for files that are no images.
        spacing_mm: In the order of `shape`; ones where the file carries none.
        channels: Values per grid point.
        orientation: Where the axes point; empty where the file does not say.
        look: Perceptual hash in hexadecimal digits; none where it was not asked for.
    """

    sha256: str
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    channels: int = 1
    orientation: str = ""
    look: str | None = None


class FactCache:
    """Facts of the files below a root, kept in one JSON file and trusted while size, times and inode stay.

    Args:
        root: Folder of the data set.
        cache_dir: Where the facts are kept.
    """

    def __init__(self, root: Path, cache_dir: Path):
        key = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
        self._path = cache_dir / "facts" / f"{key}.json"
        self._known = _read(self._path)
        self._changed = False

    def gather(
        self, images: Iterable[Path], others: Iterable[Path], advance: Advance = lambda done, total: None
    ) -> tuple[dict[Path, FileFacts], dict[Path, str]]:
        """Returns the facts of files, reading in parallel those that changed since.

        Args:
            images: Files that are decoded for their perceptual hash.
            others: Labels and other files.
            advance: Told how many files of how many are done.

        Returns:
            Facts by file, and problems by file: one line without the path.

        Raises:
            DataError: If the cache folder cannot be written.
        """
        wanted = dict.fromkeys(others, False) | dict.fromkeys(images, True)
        facts: dict[Path, FileFacts] = {}
        problems: dict[Path, str] = {}
        unknown = []
        for path, decode in wanted.items():
            remembered = self._remembered(path, decode)
            if remembered is None:
                unknown.append(path)
            else:
                facts[path] = remembered
        done = len(facts)
        if done:
            advance(done, len(wanted))
        with reading_pool() as pool:
            looks = pool.map(_look_at, unknown, (wanted[path] for path in unknown))
            for path, found in zip(unknown, looks, strict=True):
                if isinstance(found, str):
                    problems[path] = found
                else:
                    stamp, facts[path] = found
                    self._known[str(path)] = {"stamp": stamp} | asdict(facts[path])
                    self._changed = True
                done += 1
                advance(done, len(wanted))
        self._save()
        return {path: facts[path] for path in wanted if path in facts}, problems

    def _remembered(self, path: Path, decode: bool) -> FileFacts | None:
        known = self._known.get(str(path))
        if known is None or (decode and known["look"] is None):
            return None
        try:
            return _facts_of(known) if _stamp(path) == known["stamp"] else None
        except OSError:
            return None

    def _save(self) -> None:
        if not self._changed:
            return
        try:
            write_atomically(self._path, json.dumps({"version": FACTS_VERSION, "files": self._known}))
        except OSError as error:
            raise unwritable(self._path, error) from error


def _stamp(path: Path) -> list[int]:
    stat = os.stat(path)
    # A copy that keeps size and time, as archives and rsync do, has another inode or another time of change.
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _look_at(path: Path, decode: bool) -> tuple[list[int], FileFacts] | str:
    """Returns stamp and facts of a file, or what is wrong with it."""
    try:
        stamp = _stamp(path)
        header = read_header(path) if extension(path) else Header((), ())
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        seen = look(read_pixels(path)).hex() if decode else None
    except DataError as error:
        return str(error)
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return stamp, FileFacts(
        digest, header.shape, header.spacing_mm, header.channels, header.orientation, seen
    )


def _facts_of(known: dict[str, Any]) -> FileFacts:
    return FileFacts(
        known["sha256"],
        tuple(known["shape"]),
        tuple(known["spacing_mm"]),
        known["channels"],
        known["orientation"],
        known["look"],
    )


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    usable = isinstance(content, dict) and content.get("version") == FACTS_VERSION
    return dict(content["files"]) if usable else {}
