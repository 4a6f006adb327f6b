"""One self-contained HTML page: tables, figures, and how to read them. Needs no network."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from bench.leaderboard.cells import TaskCells
from bench.leaderboard.claim_sheet import claim_sheet
from bench.leaderboard.claims import ClaimResult
from bench.leaderboard.html_table import sheet_html, sheets_html
from bench.leaderboard.legend import legend
from bench.leaderboard.notes import heading
from bench.leaderboard.page import anchors, document
from bench.leaderboard.part_sheets import part_sheets
from bench.leaderboard.sheets import cavity_sheets, task_sheet
from bench.leaderboard.suite_sheet import suite_sheet
from bench.leaderboard.table import SuiteBoard, TaskBoard
from bench.results.store import Store
from bench.words import plural

if TYPE_CHECKING:
    from bench.leaderboard.figures.canvas import Drawing


@dataclass(frozen=True)
class Fragments:
    """Tables as HTML, each with the lines under it and without a heading.

    Args:
        tasks: One per board, in their order.
        overall: Over tasks; empty where there is none.
        claims: Answers to claims; empty where there are none.
        legend: What the columns mean.
    """

    tasks: tuple[str, ...]
    overall: str = ""
    claims: str = ""
    legend: tuple[str, ...] = ()


def make_fragments(
    boards: Sequence[TaskBoard],
    claims: Sequence[ClaimResult] = (),
    overall: SuiteBoard | None = None,
    names: Sequence[str] | None = None,
) -> Fragments:
    """Writes a leaderboard's tables as HTML; arguments as of `bench.leaderboard.sheets.make_page`."""
    return Fragments(
        tasks=tuple(
            sheets_html([task_sheet(board, names), *part_sheets(board), *cavity_sheets(board)])
            for board in boards
        ),
        overall=sheet_html(suite_sheet(overall)) if overall is not None else "",
        claims=sheet_html(claim_sheet(claims)) if claims else "",
        legend=tuple(legend(boards, names)),
    )


def report_html(
    store: Store,
    cells: Sequence[TaskCells],
    boards: Sequence[TaskBoard],
    fragments: Fragments,
    overall: SuiteBoard | None = None,
    notice: str = "",
) -> str:
    """Returns the page.

    Args:
        store: Results; learning curves and the suite are read from it.
        cells: Test values, a task each.
        boards: Their tables, in the same order.
        fragments: The tables as HTML.
        overall: Table over tasks.
        notice: What must stand above all, if anything.
    """
    # Imported here: matplotlib takes longer than a leaderboard without figures.
    from bench.leaderboard.figures.material import gather
    from bench.leaderboard.figures.specs import draw_overall, draw_task
    from bench.leaderboard.palette import LIGHT

    material = gather(store, cells, boards, overall)
    marks = anchors([board.task for board in boards])
    drawn = {one.board.task: one for one in material.tasks}
    sections = []
    if fragments.overall:
        figures = _figures(draw_overall(material, LIGHT), "all")
        sections.append(_section("all", "Over all tasks", "", fragments.overall, figures))
    if fragments.claims:
        sections.append(_section("claims", "Claims", "", fragments.claims, ""))
    for board, mark, table in zip(boards, marks, fragments.tasks, strict=True):
        one = drawn.get(board.task)
        figures = _figures(draw_task(one, LIGHT), mark) if one is not None else ""
        below = heading(board).removeprefix(f"{board.task}: ")
        sections.append(_section(mark, board.task, below, table, figures))
    links = [("all", "All tasks")] if fragments.overall else []
    links += [("claims", "Claims")] if fragments.claims else []
    links += [(mark, board.task) for board, mark in zip(boards, marks, strict=True)]
    return document(_title(store), _about(store, cells), notice, links, sections, fragments.legend)


def _title(store: Store) -> str:
    return str((store.read_suite() or {}).get("suite") or "Leaderboard")


def _about(store: Store, cells: Sequence[TaskCells]) -> list[str]:
    """Returns what was run, and when; nothing of the machine that makes the page."""
    suite = store.read_suite() or {}
    lines = [str(suite["description"])] if suite.get("description") else []
    finals = [entry.finals for one in cells for entry in one.entries if len(entry.finals)]
    facts = [plural(sum(map(len, finals)), "final trial")]
    if finals:
        facts.append(f"the last one finished on {max(one['finished_at'].max() for one in finals):%Y-%m-%d}")
    if suite.get("plan"):
        facts.append(f"plan {str(suite['plan'])[:12]}")
    return [*lines, ", ".join(facts)]


def _section(mark: str, title: str, below: str, table: str, figures: str) -> str:
    line = f'<p class="soft">{escape(below)}</p>\n' if below else ""
    return f'<section id="{mark}">\n<h2>{escape(title)}</h2>\n{line}{table}{figures}</section>\n'


def _figures(drawings: "Iterable[Drawing]", prefix: str) -> str:
    """Writes figures with their captions, and below them why others were not drawn."""
    from bench.leaderboard.figures.svg import inline_svg

    parts, missing = [], []
    for drawing in drawings:
        if drawing.figure is None:
            missing.append(f"<li>{escape(drawing.title)}: {escape(drawing.why)}.</li>\n")
            continue
        svg = inline_svg(drawing, f"{prefix}-{drawing.name}")
        parts.append(
            f'<figure id="{prefix}-{drawing.name}">\n<div class="drawing">{svg}</div>\n'
            f"<figcaption>{escape(drawing.caption)}</figcaption>\n</figure>\n"
        )
    if missing:
        parts.append(f'<p class="soft">Not drawn:</p>\n<ul class="notes">\n{"".join(missing)}</ul>\n')
    return "".join(parts)
