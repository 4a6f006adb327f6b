"""Writes a large array to a .npy file piece by piece, from several threads, and knows whether it is still as written.

Pieces are written, not mapped: on a full disk a write is an error, a touched page of a map kills the process.
"""

import hashlib
import math
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Sealed files carry this time (2000-01-01); whatever writes to them or copies them sets another.
SEALED_NS = 946_684_800 * 10**9


class ArrayFile:
    """A .npy file of known shape, open for writing.

    Args:
        path: The file; made anew.
        dtype: Of the array.
        shape: Of the array; pieces are rows of its first axis.
    """

    def __init__(self, path: Path, dtype: type[np.generic], shape: tuple[int, ...]):
        self.dtype, self.shape = np.dtype(dtype), shape
        self._file = path.open("wb", buffering=0)
        try:
            header = {
                "descr": np.lib.format.dtype_to_descr(self.dtype),
                "fortran_order": False,
                "shape": shape,
            }
            np.lib.format.write_array_header_1_0(self._file, header)
            self._start = self._file.tell()
            self._row = self.dtype.itemsize * math.prod(shape[1:])
            os.truncate(self._file.fileno(), self._start + self._row * shape[0])
        except BaseException:
            self._file.close()
            raise

    def write(self, row: int, values: NDArray[Any]) -> None:
        """Writes rows from `row` on; safe to call from several threads at once.

        Raises:
            OSError: If there is no space left or the disk fails.
        """
        data = np.ascontiguousarray(values, dtype=self.dtype).data.cast("B")
        offset = self._start + row * self._row
        while data:
            done = os.pwrite(self._file.fileno(), data, offset)
            data, offset = data[done:], offset + done

    def __enter__(self) -> "ArrayFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                os.fsync(self._file.fileno())
        finally:
            self._file.close()


def seal(path: Path) -> dict[str, Any]:
    """Marks a file as complete; returns its size in bytes and its SHA-256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    os.utime(path, ns=(SEALED_NS, SEALED_NS))
    return {"bytes": path.stat().st_size, "sha256": digest}


def intact(path: Path, seal: dict[str, Any], thorough: bool = False) -> bool:
    """Says whether a sealed file is as it was. Its content is hashed only where its time says that it was touched.

    Args:
        path: The file.
        seal: What `seal` returned.
        thorough: Hash it in any case.

    Raises:
        OSError: If the file cannot be read.
    """
    stat = path.stat()
    if stat.st_size != seal["bytes"]:
        return False
    if stat.st_mtime_ns == SEALED_NS and not thorough:
        return True
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != seal["sha256"]:
            return False
    if stat.st_mtime_ns != SEALED_NS:
        # Only a file's owner may set its time; for others it is hashed again next time.
        with suppress(OSError):
            os.utime(path, ns=(SEALED_NS, SEALED_NS))
    return True
