"""Prints tables that are no leaderboard, or writes them to a file."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.text import Text

from bench.leaderboard.markdown import page_markdown
from bench.leaderboard.paper import as_text, write_text
from bench.leaderboard.plain import plain
from bench.leaderboard.sheet import Sheet
from bench.leaderboard.sheets import Page
from bench.leaderboard.terminal import sheet_tables

STYLES = ("rich", "md", "json")


class Sheets:
    """Tables that rich can print.

    Args:
        sheets: Tables in order.
        notice: What must stand above them; empty where there is nothing.
    """

    def __init__(self, sheets: Sequence[Sheet], notice: str = ""):
        self.sheets, self.notice = sheets, notice

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        if self.notice:
            yield Text(self.notice, style="bold yellow")
        for sheet in self.sheets:
            yield from sheet_tables(sheet, options.max_width, set())


def publish(
    sheets: Sequence[Sheet],
    data: Any,
    style: str,
    console: Console,
    output: Path | None = None,
    notice: str = "",
) -> None:
    """Prints tables, or writes them to a file.

    Args:
        sheets: Tables.
        data: What they say, as JSON has it: dataclasses, lists and mappings.
        style: One of `STYLES`.
        console: Where to print.
        output: File to write instead.
        notice: What must stand above; empty where there is nothing.

    Raises:
        ValueError: If the format is not known.
        ResultsError: If the file cannot be written.
    """
    if style not in STYLES:
        raise ValueError(f"style must be one of {', '.join(STYLES)}, got {style!r}")
    if style == "rich" and output is None:
        console.print(Sheets(sheets, notice))
        return
    text = _text(sheets, data, style, notice)
    if output is None:
        console.file.write(text)
        return
    write_text(output, text)


def _text(sheets: Sequence[Sheet], data: Any, style: str, notice: str) -> str:
    if style == "md":
        return page_markdown(Page(notice=notice, sheets=tuple(sheets)))
    if style == "json":
        found = {**({"notice": notice} if notice else {}), **plain(data)}
        return json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return as_text(Sheets(sheets, notice))
