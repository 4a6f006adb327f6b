"""Frees what the cache holds: prepared arrays and half-made leftovers, or everything that can be made again."""

import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from medseg.data.cache import build_lock, discard
from medseg.errors import DataError

# Only what this program names so is removed, wherever MEDSEG_CACHE points.
_FOLDERS = {"prepared": re.compile(r"[0-9a-f]{16}"), "phantoms": re.compile(r".+-[0-9a-f]{12}")}
_FILES = {name: re.compile(r"[0-9a-f]{16,64}\.json") for name in ("facts", "likeness", "probe")}
# Longer than any file of these takes to write.
_WRITING_S = 60
_LEFTOVER = re.compile(r"\.(?P<of>.+)-[a-z0-9_]+")


@dataclass(frozen=True)
class Cleaned:
    """One thing in the cache, and what became of it.

    Args:
        path: The folder or file.
        size_bytes: Its size.
        kept: Why it was left alone; empty if it is gone, or would be.
    """

    path: Path
    size_bytes: int
    kept: str = ""


def clean(cache_dir: Path, everything: bool = False, dry_run: bool = False) -> Iterator[Cleaned]:
    """Removes prepared arrays and what interrupted builds left; yields each as soon as it is gone.

    Trials that have arrays open keep them. What another process is building is left alone, and so is all that lies
    outside the cache or has a name that nothing here gives.

    Args:
        cache_dir: The cache.
        everything: Also generated data sets, facts about files, likeness, and answers about models.
        dry_run: Remove nothing; say what would go.

    Raises:
        DataError: If something cannot be removed.
    """
    folders = _FOLDERS if everything else {"prepared": _FOLDERS["prepared"]}
    for name, pattern in folders.items():
        for path, target in _matching(cache_dir, name, pattern):
            yield _folder(path, target, dry_run)
    for name, pattern in _FILES.items() if everything else ():
        for path, target in _matching(cache_dir, name, pattern):
            yield _file(path, target, dry_run)


def _matching(cache_dir: Path, name: str, pattern: re.Pattern[str]) -> Iterator[tuple[Path, Path]]:
    """Yields what is ours below a folder of the cache, and the target that it is, or was to become."""
    folder = cache_dir / name
    # A folder that links elsewhere is not in the cache.
    if not folder.is_dir() or folder.is_symlink():
        return
    for path in sorted(folder.iterdir()):
        leftover = _LEFTOVER.fullmatch(path.name)
        target = folder / (leftover["of"] if leftover else path.name)
        if pattern.fullmatch(target.name) and not path.is_symlink():
            yield path, target


def _folder(path: Path, target: Path, dry_run: bool) -> Cleaned:
    """Removes a folder, unless whoever builds it holds its lock."""
    size = sum(item.lstat().st_size for item in path.rglob("*") if not item.is_dir())
    lock = build_lock(target)
    try:
        # A dry run leaves no lock files behind.
        if not dry_run or Path(lock.lock_file).exists():
            with lock.acquire(timeout=0):
                if not dry_run:
                    _remove(path, target)
    except Timeout:
        return Cleaned(path, size, "another process is building it")
    except OSError as error:
        raise DataError(f"cannot remove {path}: {error.strerror or error}") from error
    return Cleaned(path, size)


def _file(path: Path, target: Path, dry_run: bool) -> Cleaned:
    """Removes a file that is written in one go, unless it is being written."""
    try:
        stat = path.lstat()
        if path != target and time.time() - stat.st_mtime < _WRITING_S:
            return Cleaned(path, stat.st_size, "another process is writing it")
        if not dry_run:
            path.unlink()
    except FileNotFoundError:
        return Cleaned(path, 0)
    except OSError as error:
        raise DataError(f"cannot remove {path}: {error.strerror or error}") from error
    return Cleaned(path, stat.st_size)


def _remove(path: Path, target: Path) -> None:
    if not path.exists():
        return
    if path == target:
        discard(target)
    else:
        shutil.rmtree(path)
