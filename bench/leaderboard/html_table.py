"""Tables as HTML fragments; the page around them, with its style, is in `bench.leaderboard.report`."""

from html import escape

from bench.leaderboard.sheet import Cell, Sheet

CLASSES = {"best": "best", "faint": "faint", "mark": "mark", "good": "good", "bad": "bad", "": ""}
"""Class of a cell, by tone."""


def sheet_html(sheet: Sheet) -> str:
    """Writes a table with the lines below it; its heading belongs to the page.

    Numbers have the class ``number``. Without any style the table is legible, too: what is no finding stands in
    parentheses, as in every format.
    """
    parts = [_table(sheet)] if sheet.columns else []
    if sheet.all_lines:
        items = "".join(f"<li>{escape(line)}</li>\n" for line in sheet.all_lines)
        parts.append(f'<ul class="notes">\n{items}</ul>\n')
    return "".join(parts)


def sheets_html(sheets: "list[Sheet]", level: int = 3) -> str:
    """Writes tables one below the other, all but the first with a heading of their own.

    Args:
        sheets: Tables.
        level: Of the headings.
    """
    parts = []
    for place, sheet in enumerate(sheets):
        if place and sheet.title:
            parts.append(f"<h{level}>{escape(sheet.title)}</h{level}>\n")
        parts.append(sheet_html(sheet))
    return "".join(parts)


def _table(sheet: Sheet) -> str:
    heads = "".join(
        f'<th scope="col"{_classes(column.align, "")}>{escape(column.title)}</th>' for column in sheet.columns
    )
    rows = "".join(
        "<tr>"
        + "".join(
            _cell(cell, column.align, first=place == 0)
            for place, (cell, column) in enumerate(zip(row, sheet.columns, strict=True))
        )
        + "</tr>\n"
        for row in sheet.rows
    )
    return (
        f'<div class="table">\n<table>\n<caption>{escape(sheet.title)}</caption>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n"
    )


def _cell(cell: Cell, align: str, first: bool) -> str:
    tag, scope = ("th", ' scope="row"') if first else ("td", "")
    return f"<{tag}{scope}{_classes(align, CLASSES[cell.tone])}>{escape(cell.text.strip())}</{tag}>"


def _classes(align: str, tone: str) -> str:
    names = [name for name in ("number" if align == "right" else "", tone) if name]
    return f' class="{" ".join(names)}"' if names else ""
