"""From a results folder to the screen or a file."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from bench.errors import ResultsError
from bench.leaderboard.board import METRICS, build_task
from bench.leaderboard.cells import TaskCells, load_tasks
from bench.leaderboard.claims import answer_claims
from bench.leaderboard.notes import notice
from bench.leaderboard.render import render
from bench.leaderboard.sides import AXES
from bench.leaderboard.terminal import Leaderboard
from bench.plan.identity import code_fingerprint
from bench.results.files import write_atomic
from bench.results.find import find_results
from bench.results.place import Place
from bench.results.store import Store
from bench.stats.aggregate import Policy
from medseg.errors import did_you_mean

FILE_WIDTH = 120


def show(
    results: Place | Path | None,
    results_root: Place | Path,
    *,
    console: Console,
    task: str | None = None,
    metric: str = "dice",
    metrics: Sequence[str] | None = None,
    policy: Policy | None = None,
    style: str = "rich",
    output: Path | None = None,
) -> None:
    """Prints or writes the leaderboard of a run, and the answers to its claims.

    Args:
        results: Place of a suite's results, or its name; the newest by default.
        results_root: Place that holds a folder per suite.
        console: Where to print.
        task: Only this task.
        metric: What is ranked by.
        metrics: What else is shown; by default `METRICS`, where measured.
        policy: What empty masks count in the tables; by default what each task declares. Claims are answered as
            they were written down: with the task's.
        style: ``rich``, ``md``, ``csv`` or ``json``.
        output: File to write instead of printing.

    Raises:
        ValueError: If the format is not known.
        ResultsError: If there are no results, they cannot be read, a metric was not measured, or the file cannot
            be written.
        BenchError: If the metric is only reported, never ranked by.
    """
    store = Store(find_results(results, results_root))
    cells = load_tasks(store, tasks=None if task is None else [task], code=code_fingerprint())
    if metrics is not None:
        _check_measured(cells, metrics)
    viewed = [replace(one, asked_policy=policy) for one in cells]
    boards = [build_task(one, metric, METRICS if metrics is None else metrics) for one in viewed]
    suite = store.read_suite() or {}
    claims = answer_claims(suite.get("claims", []), cells, compare_axes=suite.get("compare", AXES))
    above = notice(suite)
    if style == "rich" and output is None:
        console.print(Leaderboard(boards, claims, above))
        return
    if style == "rich":
        page = Console(file=io.StringIO(), width=FILE_WIDTH, no_color=True)
        page.print(Leaderboard(boards, claims, above))
        text = page.file.getvalue()  # type: ignore[attr-defined]
    else:
        text = render(boards, claims, style, above)
    if output is None:
        console.file.write(text)
        return
    try:
        write_atomic(output, lambda path: _write(path, text))
    except OSError as error:
        raise ResultsError(f"{output}: cannot be written ({error.strerror or error})") from error


def _check_measured(cells: Sequence[TaskCells], metrics: Sequence[str]) -> None:
    known = sorted({name for one in cells for name in one.metrics})
    for name in metrics:
        if known and name not in known:
            hint = did_you_mean(name, known)
            raise ResultsError(f"no test values of metric '{name}'{hint}")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
