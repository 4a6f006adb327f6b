"""A leaderboard's page as LaTeX: booktabs tables for a paper."""

import re

from bench.leaderboard.sheet import Cell, Sheet
from bench.leaderboard.sheets import Page

HEAD = "% needs \\usepackage{booktabs} and \\usepackage{xcolor}\n"
_SPECIAL = {
    "\\": "\\textbackslash{}",
    "&": "\\&",
    "%": "\\%",
    "$": "\\$",
    "#": "\\#",
    "_": "\\_",
    "{": "\\{",
    "}": "\\}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    "–": "--",
    "τ": "$\\tau$",
}

# A minus before a number is longer than a hyphen; that of a name stays one.
_MINUS = re.compile(r"(?<![\w$-])-(?=\d)")


def page_latex(page: Page) -> str:
    """Writes each table as a ``table`` with a caption; the notes and the legend stand below in small print."""
    parts = [HEAD + (f"% {page.of}\n" if page.of else "")]
    if page.notice:
        parts.append(f"\\noindent\\textbf{{{escaped(page.notice)}}}\n")
    parts += [sheet_latex(sheet) for sheet in page.sheets]
    if page.legend:
        lines = "\n".join(f"{escaped(line)}\\par" for line in page.legend)
        parts.append(f"{{\\footnotesize\n{lines}\n}}\n")
    return "\n".join(parts)


def sheet_latex(sheet: Sheet) -> str:
    """Writes one table."""
    notes = "\n".join(f"{escaped(line)}\\par" for line in sheet.all_lines)
    small = f"\\par\\medskip\n{{\\footnotesize\n{notes}\n}}\n" if notes else ""
    if not sheet.columns:
        return f"\\paragraph{{{escaped(sheet.title)}}}\n{small}"
    spec = "".join("r" if column.align == "right" else "l" for column in sheet.columns)
    heads = " & ".join(escaped(column.title) for column in sheet.columns)
    rows = "".join("  " + " & ".join(_cell(cell) for cell in row) + " \\\\\n" for row in sheet.rows)
    caption = (
        f"\\caption{{{escaped(sheet.title)}}}\n\\label{{{_label(sheet.title)}}}\n" if sheet.title else ""
    )
    return (
        f"\\begin{{table}}[t]\n\\centering\n{caption}\\begin{{tabular}}{{@{{}}{spec}@{{}}}}\n  \\toprule\n"
        f"  {heads} \\\\\n  \\midrule\n{rows}  \\bottomrule\n\\end{{tabular}}\n{small}\\end{{table}}\n"
    )


def _label(title: str) -> str:
    """Returns what a text refers to a table by, e.g. ``tab:lung-by-label``: of its title, without what is counted."""
    name = title if ", by " in title else title.partition(":")[0]
    return "tab:" + re.sub(r"[^a-z0-9]+", "-", name.partition(": ")[0].lower()).strip("-")


def escaped(text: str) -> str:
    """Returns a text that LaTeX prints as it is. A bracket that begins a cell is no option of the row before it."""
    found = _MINUS.sub("$-$", "".join(_SPECIAL.get(letter, letter) for letter in text))
    return f"{{}}{found}" if found.startswith("[") else found


def _cell(cell: Cell) -> str:
    text = escaped(cell.text.strip())
    if cell.tone == "best" and text:
        return f"\\textbf{{{text}}}"
    return f"\\textcolor{{gray}}{{{text}}}" if cell.tone == "faint" and text else text
