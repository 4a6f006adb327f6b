"""A leaderboard's page as Markdown."""

from collections.abc import Sequence

from bench.leaderboard.sheet import Cell, Sheet
from bench.leaderboard.sheets import Page


def page_markdown(page: Page) -> str:
    """Writes a page as GitHub's Markdown; what is best is bold."""
    parts = [f"**{page.notice}**\n"] if page.notice else []
    parts += [f"{page.of}\n"] if page.of else []
    for sheet in page.sheets:
        if sheet.title:
            parts.append(f"## {sheet.title}\n")
        if sheet.columns:
            parts.append(sheet_markdown(sheet))
        if sheet.all_lines:
            parts.append(_list(sheet.all_lines))
    if page.legend:
        parts += ["## How to read this\n", _list(page.legend)]
    return "\n".join(parts)


def sheet_markdown(sheet: Sheet) -> str:
    """Writes a table without its heading and lines."""
    rule = ["---:" if column.align == "right" else "---" for column in sheet.columns]
    rows = [[_cell(cell) for cell in row] for row in sheet.rows]
    lines: list[Sequence[str]] = [[_escaped(column.title) for column in sheet.columns], rule, *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _cell(cell: Cell) -> str:
    text = _escaped(cell.text.strip())
    return f"**{text}**" if cell.tone == "best" and text else text


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")


def _list(lines: Sequence[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)
