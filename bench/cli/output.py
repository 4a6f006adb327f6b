"""Standard output that says so where it cannot be written, and takes whatever is written to it."""

import io
import os
import sys
from typing import Any

OUTPUT = "standard output"
"""What an error names as its file."""


class _Named(io.FileIO):
    """A file whose errors have a name, as those of files that were opened by one have."""

    def write(self, data: Any) -> int:
        """See `io.FileIO`."""
        try:
            return super().write(data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, OUTPUT) from error


def prepare_output() -> None:
    """Lets what standard output has no signs for (`LC_ALL=C`, an old terminal) come as question marks.

    It is replaced by one whose errors name it, if it is the one that the process began with.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="replace")
    own = sys.__stdout__
    if own is None or sys.stdout is not own:
        return
    own.flush()
    raw = io.BufferedWriter(_Named(own.fileno(), "w", closefd=False))
    lines = own.line_buffering or own.isatty()
    sys.stdout = io.TextIOWrapper(raw, encoding=own.encoding, errors=own.errors, line_buffering=lines)


def flush_output() -> None:
    """Writes what waits to be written; errors as in writing."""
    if sys.stdout is not None:
        sys.stdout.flush()


def drop_output() -> None:
    """Forgets what could not be written, so that Python does not try again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
