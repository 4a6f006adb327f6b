"""Shows a check in a terminal: tables, then all findings, then the verdict."""

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from medseg.data.check import Report
from medseg.data.check.rules import Finding
from medseg.data.check.tables import Grid, grids

# Problems are all shown, they must all be mended; more warnings than this are for a file.
MOST_WARNINGS = 50
MOST_ALIKE = 5


def say_report(report: Report, written: Sequence[str], use: str, console: Console) -> None:
    """Prints a report.

    Args:
        report: What a check found.
        written: Lines about files that were written on the way.
        use: Lines of a suite that would use the data set; empty for tasks that exist.
        console: Where to.
    """
    _line(console, f"{report.task.name} ({report.task.format}) in {report.root}", "bold")
    for note in report.dataset.notes if report.dataset else ():
        _line(console, note)
    for grid in grids(report):
        console.print()
        console.print(_table(grid))
    for text, style in _listed(report):
        _line(console, text, style)
    if use:
        console.print()
        _line(console, "A suite uses these data so; name task and labels as you like:", "dim")
        _line(console, use)
    console.print()
    for text in written:
        _line(console, text)
    _line(console, report.verdict, "red" if report.problems else "yellow" if report.warnings else "green")


def _listed(report: Report) -> Iterator[tuple[str, str]]:
    shown = report.warnings[:MOST_WARNINGS]
    hidden = len(report.warnings) - len(shown)
    sections: tuple[tuple[str, str, Sequence[Finding]], ...] = (
        ("problems", "red", report.problems),
        ("warnings", "yellow", shown),
    )
    for title, style, findings in sections:
        if findings:
            yield f"\n{title}", style
            yield from ((f"  {line}", "") for line in _folded(findings))
    if hidden:
        yield f"  and {hidden} more warnings; --json lists all", ""


def _folded(findings: Sequence[Finding]) -> Iterator[str]:
    """The findings; of many that say the same the first few, and how many more there are."""
    counts = Counter(finding.text for finding in findings)
    said: Counter[str] = Counter()
    for finding in findings:
        said[finding.text] += 1
        if counts[finding.text] <= MOST_ALIKE + 1 or said[finding.text] <= MOST_ALIKE:
            yield str(finding)
        elif said[finding.text] == MOST_ALIKE + 1:
            yield f"and {counts[finding.text] - MOST_ALIKE} others: {finding.text} (--json names all)"


def _table(grid: Grid) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for number, heading in enumerate(grid.headings):
        table.add_column(Text(heading), justify="right" if number else "left", no_wrap=True)
    for row in grid.rows:
        table.add_row(*map(Text, row))
    return table


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(text, style=style, soft_wrap=True, highlight=False, markup=False)
