"""What is printed, as text and in a file."""

import io
from pathlib import Path

from rich.console import Console, RenderableType

from bench.errors import ResultsError
from bench.results.files import write_atomic

FILE_WIDTH = 120


def as_text(*parts: RenderableType) -> str:
    """Returns what a terminal without colours would show."""
    page = Console(file=io.StringIO(), width=FILE_WIDTH, no_color=True)
    for part in parts:
        page.print(part, markup=False, highlight=False)
    text: str = page.file.getvalue()  # type: ignore[attr-defined]
    return text


def check_folder(output: Path) -> None:
    """Checks that a file can be put where it shall be: a slip in its path makes no folders.

    Raises:
        ResultsError: If its folder is not there.
    """
    if not output.absolute().parent.is_dir():
        raise ResultsError(f"{output}: cannot be written (there is no folder {output.parent})")


def write_text(output: Path, text: str) -> None:
    """Writes a file in one step.

    Raises:
        ResultsError: If its folder is not there, or it cannot be written.
    """
    check_folder(output)
    try:
        write_atomic(output, lambda path: _write(path, text))
    except OSError as error:
        raise ResultsError(f"{output}: cannot be written ({error.strerror or error})") from error


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
