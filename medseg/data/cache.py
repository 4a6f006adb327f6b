"""Where derived data live, and how a folder comes into being whole or not at all."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import BaseFileLock, FileLock

from medseg.errors import DataError


def cache_dir() -> Path:
    """Returns the folder of everything that can be made again: MEDSEG_CACHE, else ``~/.cache/medseg-bench``."""
    given = os.environ.get("MEDSEG_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "medseg-bench"


def source_hash(*names: str) -> str:
    """Returns 16 hex digits over the source of modules of this package.

    Part of the names of what they make, so that an edit can never be answered with what older code made.

    Args:
        *names: Modules, without ``.py``, and packages: all of their modules.
    """
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for name in sorted(names):
        package = here / name
        paths = sorted(package.glob("*.py")) if package.is_dir() else [here / f"{name}.py"]
        for path in paths:
            digest.update(path.relative_to(here).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def build_once(target: Path, build: Callable[[Path], None]) -> Path:
    """Builds a folder unless it is there, atomically and by one process only.

    The folder is filled under a temporary name beside its target and renamed once it is whole, so that a crash
    leaves nothing half-made. Of several processes that start together one builds and the others wait for it; the
    lock goes with its holder, however that ends.

    Args:
        target: The folder wanted.
        build: Fills the empty folder that it is given.

    Returns:
        `target`.

    Raises:
        DataError: If the folder cannot be written.
    """
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with build_lock(target):
            if not target.is_dir():
                _build(target, build)
    except OSError as error:
        raise unwritable(target, error) from error
    return target


def unwritable(path: Path, error: OSError) -> DataError:
    """Returns what is said of a place in the cache that cannot be written."""
    return DataError(f"cannot write {path} (MEDSEG_CACHE moves the cache): {error.strerror or error}")


def build_lock(target: Path) -> BaseFileLock:
    """Returns the lock that whoever builds or removes a folder holds."""
    return FileLock(target.with_name(f"{target.name}.lock"))


def discard(target: Path) -> None:
    """Removes a built folder unless it is gone; who has its files open keeps them. Call it with `build_lock` held.

    Raises:
        OSError: If it cannot be removed.
    """
    if not target.is_dir():
        return
    # Renamed first: another process sees the whole folder or none.
    doomed = target.with_name(f".{target.name}-doomed")
    shutil.rmtree(doomed, ignore_errors=True)
    target.rename(doomed)
    shutil.rmtree(doomed)


def _build(target: Path, build: Callable[[Path], None]) -> None:
    for leftover in target.parent.glob(f".{target.name}-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        temporary.chmod(0o755)
        build(temporary)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file so that readers see the old or the new content, never a part.

    Raises:
        OSError: If the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
