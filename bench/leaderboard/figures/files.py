"""Figures as files, for papers and slides, with a page of captions beside them."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import matplotlib

from bench.errors import BenchError, ResultsError
from bench.leaderboard.figures.canvas import Drawing, style
from bench.leaderboard.figures.material import Material
from bench.leaderboard.figures.specs import NAMES, draw_overall, draw_task
from bench.leaderboard.page import anchors
from bench.leaderboard.palette import PALETTES, Theme
from bench.results.files import write_atomic
from bench.results.store import SUITE_FILE

Format = Literal["svg", "pdf", "png"]
FORMATS: tuple[Format, ...] = get_args(Format)
CAPTIONS = "captions.md"
NOT_DRAWN = "## Not drawn"
_REASON = re.compile(r"- \S+: .")
DPI = 200
"""Of PNG files: 1,440 pixels across."""


def check_folder(folder: Path) -> None:
    """Refuses a folder that holds results.

    Raises:
        BenchError: If it does.
    """
    if (folder / SUITE_FILE).exists() or (folder / "trials").is_dir():
        raise BenchError(
            f"{folder} holds results; name a folder of their own for figures, e.g. {folder / 'figures'}"
        )


def _drawings(material: Material, theme: Theme, names: Sequence[str]) -> Iterator[tuple[str, Drawing]]:
    palette = PALETTES[theme]
    for drawing in draw_overall(material, palette, names):
        yield "all", drawing
    for mark, one in zip(anchors([one.board.task for one in material.tasks]), material.tasks, strict=True):
        for drawing in draw_task(one, palette, names):
            yield mark, drawing


def _write(drawing: Drawing, path: Path, kind: Format) -> None:
    assert drawing.figure is not None
    figure = drawing.figure
    words: dict[Format, dict[str, Any]] = {
        "svg": {"Title": drawing.title, "Description": drawing.alt, "Date": None, "Creator": None},
        "pdf": {"Title": drawing.title, "Subject": drawing.alt, "CreationDate": None},
        "png": {"Title": drawing.title, "Description": drawing.alt},
    }
    # Text as shapes: a file is looked at where our font is not there.
    with style(), matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": path.stem}):
        write_atomic(path, lambda to: figure.savefig(to, format=kind, dpi=DPI, metadata=words[kind]))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def write_figures(
    material: Material,
    folder: Path,
    kind: Format = "svg",
    theme: Theme = "light",
    names: Sequence[str] = NAMES,
) -> list[tuple[Path, Drawing]]:
    """Writes figures, e.g. ``acdc-lv-intervals.svg``, and their captions.

    A figure that cannot be drawn any more takes its file from before with it: it would pass for one of these results.

    Args:
        material: What to draw from.
        folder: Made where it is not there.
        kind: ``svg``, ``pdf`` or ``png``.
        theme: ``light`` or ``dark``.
        names: Which figures.

    Returns:
        Files and what they show; where a drawing has no figure there is no file.

    Raises:
        ResultsError: If a file cannot be written.
    """
    found = []
    path = folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for mark, drawing in _drawings(material, theme, names):
            path = folder / f"{mark}-{drawing.name}.{kind}"
            if drawing.figure is None:
                path.unlink(missing_ok=True)
            else:
                _write(drawing, path, kind)
            found.append((path, drawing))
        path = folder / CAPTIONS
        text = captions(found, _read_text(path))
        write_atomic(path, lambda to: _write_text(to, text))
    except OSError as error:
        # Of a file in the making the error has a name that nobody knows.
        raise ResultsError(f"{path}: cannot be written ({error.strerror or error})") from error
    return found


def captions(found: Sequence[tuple[Path, Drawing]], before: str = "") -> str:
    """Returns what each file shows and how to read it, as Markdown.

    Args:
        found: Files and what they show.
        before: What was said of the folder earlier: of figures that were not drawn now and are still there it stays.
    """
    drawn, missing = _read_captions(before)
    for path, drawing in found:
        drawn.pop(path.name, None) if drawing.figure is None else missing.pop(path.stem, None)
        if drawing.figure is None:
            missing[path.stem] = f"- {path.stem}: {drawing.title} ({drawing.why}).\n"
        else:
            drawn[path.name] = (
                f"## {path.name}\n\n{drawing.title}. {drawing.caption}\n\nIn words: {drawing.alt}\n\n"
            )
    folder = found[0][0].parent if found else None
    stay = [text for name, text in drawn.items() if folder is None or (folder / name).exists()]
    return "".join([*stay, *([f"{NOT_DRAWN}\n\n"] if missing else []), *missing.values()])


def _read_captions(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Takes captions apart: those of figures by their files, and why others were not drawn, by their files' stems."""
    drawn, missing = {}, {}
    for section in re.split(r"^(?=## )", text, flags=re.MULTILINE):
        head = section.partition("\n")[0]
        if head == NOT_DRAWN:
            lines = [line for line in section.splitlines(keepends=True) if _REASON.match(line)]
            missing = {line[2:].partition(": ")[0]: line for line in lines}
        elif head.startswith("## "):
            drawn[head.removeprefix("## ")] = section
    return drawn, missing


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return ""
