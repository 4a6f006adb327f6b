"""From a results folder to the screen or a file."""

from pathlib import Path

from rich.console import Console

from bench.leaderboard.answer import Answer, answer
from bench.leaderboard.paper import as_text, check_folder, write_text
from bench.leaderboard.provenance import provenance
from bench.leaderboard.render import STYLES, render
from bench.leaderboard.request import Request
from bench.leaderboard.terminal import Leaderboard
from bench.plan.identity import code_fingerprint
from bench.results.find import find_results
from bench.results.place import Place
from bench.results.store import Store

FORMATS = ("rich", "md", "html", "csv", "latex", "json")
SUFFIXES = {".html": "html", ".htm": "html", ".md": "md", ".csv": "csv", ".tex": "latex", ".json": "json"}
WHOLE = ("csv", "json", "html")
"""Formats that tell everything that is known."""


def show(
    results: Place | Path | None,
    results_root: Place | Path,
    *,
    console: Console,
    request: Request | None = None,
    style: str | None = None,
    output: Path | None = None,
) -> None:
    """Prints or writes the leaderboard of a run, and the answers to its claims.

    Args:
        results: Place of a suite's results, or its name; by default that of the suite asked for, else the newest.
        results_root: Place that holds a folder per suite.
        console: Where to print.
        request: What is asked.
        style: One of `FORMATS`; by default what the file's suffix says, else rich.
        output: File to write instead of printing.

    Raises:
        ValueError: If the format is not known.
        ResultsError: If there are no results, they cannot be read, a metric was not measured, or the file cannot
            be written.
        BenchError: If the metric is only reported, never ranked by, or options do not go together.
    """
    style = style or style_of(output)
    if style not in FORMATS:
        raise ValueError(f"style must be one of {', '.join(FORMATS)}, got {style!r}")
    if output is not None:
        check_folder(output)
    request = request or Request()
    where = Path(request.suite) if results is None and request.suite is not None else results
    store = Store(find_results(where, results_root))
    said = answer(store, request, code_fingerprint(), whole=style in WHOLE)
    if style == "rich" and output is None:
        console.print(_leaderboard(said, request))
        return
    text = _text(said, request, style, store)
    if output is None:
        console.file.write(text)
        return
    write_text(output, text)
    console.print(f"Wrote {output}.", markup=False, highlight=False, soft_wrap=True)


def style_of(output: Path | None) -> str:
    """Returns the format that a file's suffix stands for; without file, and of other suffixes, that of a terminal."""
    return "rich" if output is None else SUFFIXES.get(output.suffix.lower(), "rich")


def _text(said: Answer, request: Request, style: str, store: Store) -> str:
    of = provenance(store, said.cells, request)
    if style in STYLES:
        return render(said.boards, said.claims, style, said.notice, said.overall, request.names, of)
    if style == "html":
        # Imported here: its figures take longer than a leaderboard without them.
        from bench.leaderboard.report import make_fragments, report_html

        fragments = make_fragments(said.boards, said.claims, said.overall, request.names)
        return report_html(store, said.cells, said.boards, fragments, said.overall, said.notice)
    return as_text(f"{of.line}\n", _leaderboard(said, request))


def _leaderboard(said: Answer, request: Request) -> Leaderboard:
    return Leaderboard(said.boards, said.claims, said.notice, said.overall, request.names)
