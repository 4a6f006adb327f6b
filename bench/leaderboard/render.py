"""Leaderboards as text: Markdown, LaTeX, CSV and JSON. The terminal's tables are in `terminal.py`."""

from collections.abc import Sequence
from dataclasses import replace

from bench.leaderboard.claims import ClaimResult
from bench.leaderboard.latex import page_latex
from bench.leaderboard.markdown import page_markdown
from bench.leaderboard.plain import boards_csv, page_json
from bench.leaderboard.provenance import Provenance
from bench.leaderboard.sheets import make_page
from bench.leaderboard.table import SuiteBoard, TaskBoard

STYLES = ("md", "latex", "csv", "json")


def render(
    boards: Sequence[TaskBoard],
    claims: Sequence[ClaimResult] = (),
    style: str = "md",
    notice: str = "",
    overall: SuiteBoard | None = None,
    names: Sequence[str] | None = None,
    of: Provenance | None = None,
) -> str:
    """Writes tables as text.

    CSV has one row per task and entry with plain numbers, and leaves claims, the heart's cavities and the table over
    tasks out. JSON holds everything, NaN as null.

    Args:
        boards: Tables.
        claims: Answers to the suite's claims.
        style: ``md``, ``latex``, ``csv`` or ``json``.
        notice: What must stand above the tables, if anything; a column of its own in CSV.
        overall: Table over tasks, if there is one.
        names: Columns, as for `bench.leaderboard.choose`; by default what a reader needs first, in CSV all. JSON has
            all.
        of: What the tables are of.

    Raises:
        ValueError: If the format is not known.
    """
    if style not in STYLES:
        raise ValueError(f"style must be one of {', '.join(STYLES)}, got {style!r}")
    if style == "csv":
        return boards_csv(boards, notice, names, of)
    if style == "json":
        return page_json(boards, claims, overall, notice, of)
    page = replace(make_page(boards, claims, overall, notice, names), of=of.line if of is not None else "")
    return page_markdown(page) if style == "md" else page_latex(page)
