"""From results to all that a leaderboard says, before it is written in any format."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from bench.errors import NoSuchNameError, ResultsError
from bench.leaderboard.board import METRICS, build_task
from bench.leaderboard.cells import TaskCells
from bench.leaderboard.choose import check_columns
from bench.leaderboard.claims import ClaimResult
from bench.leaderboard.columns_cost import TUNING
from bench.leaderboard.columns_spread import SPREADS
from bench.leaderboard.completeness import completed
from bench.leaderboard.load import load_tasks
from bench.leaderboard.notes import notice
from bench.leaderboard.parts import with_parts, with_strangers
from bench.leaderboard.request import Request
from bench.leaderboard.subgroup_file import read_subgroups
from bench.leaderboard.suite_board import build_overall
from bench.leaderboard.suite_claims import suite_claims
from bench.leaderboard.table import SuiteBoard, TaskBoard
from bench.leaderboard.tuning import with_gains
from bench.results.store import Store
from medseg.errors import did_you_mean

GAINS = frozenset({"all", "tuning", *(column.key for column in TUNING)})
"""Presets and columns that tell what tuning gained: for the others no validation case is read."""

WHOLE = frozenset({"all", "quality", *SPREADS})
"""Presets and columns that need all pairs of entries, or their values run by run."""


@dataclass(frozen=True)
class Answer:
    """What a leaderboard says.

    Args:
        cells: Test values by task, as the tables count them.
        boards: Their tables.
        overall: Over tasks; none where fewer than two rank anything.
        claims: Answers to the suite's claims.
        notice: What must stand above everything; empty where there is nothing.
    """

    cells: list[TaskCells]
    boards: list[TaskBoard]
    overall: SuiteBoard | None
    claims: list[ClaimResult]
    notice: str


def answer(store: Store, request: Request, code: str, whole: bool = False) -> Answer:
    """Answers a request.

    Claims are answered as they were written down: with the task's policy and the worst value for what is missing.

    Args:
        store: Results.
        request: What is asked.
        code: Fingerprint of today's code.
        whole: Whether to test all pairs of entries, too, and to ask how values spread and what tuning gained,
            whatever is shown.

    Raises:
        ResultsError: If there are no results, a metric or a subgroup is not there, or values are missing and may not
            be.
        BenchError: If the metric is only reported, a column is not known, or options do not go together.
    """
    request.check()
    tasks = None if request.task is None else [request.task]
    loaded = load_tasks(store, request.suite, tasks, code, request.dropped, request.definitions)
    _check_metrics(loaded, request.metrics or ())
    _check_baseline(loaded, request.baseline)
    done = completed(loaded, request.metric, request.on_missing, request.baseline)
    cells = [replace(one, asked_policy=request.policy) for one in done.tasks]
    spread = whole or bool(WHOLE & set(request.names or ()))
    boards = [_build(one, request, spread) for one in cells]
    boards = _with_parts(boards, cells, request)
    if whole or GAINS & set(request.names or ()):
        boards = [
            with_gains(board, one, store, request.seed) for board, one in zip(boards, cells, strict=True)
        ]
    check_columns(boards, request.names or ())
    overall = build_overall(cells, request.metric, request.rank_by, request.seed, excluded=done.why)
    suite = store.read_suite() or {}
    if request.definitions or request.dropped or request.suite:
        # Claims are about the suite's entries, by the definitions that everybody gets.
        loaded = load_tasks(store, tasks=tasks, code=code)
    claims = suite_claims(store, loaded, code, without=done.excluded)
    return Answer(cells, boards, overall, claims, notice(suite, done.why))


def _build(cells: TaskCells, request: Request, whole: bool = False) -> TaskBoard:
    metrics = METRICS if request.metrics is None else request.metrics
    board = build_task(
        cells, request.metric, metrics, request.resamples, request.seed, request.rank_by, whole
    )
    return replace(board, on_missing=request.on_missing)


def _with_parts(boards: Sequence[TaskBoard], cells: Sequence[TaskCells], request: Request) -> list[TaskBoard]:
    """Adds tables by label and subgroup; a task that knows no such groups says so, unless none does."""
    if not request.per_label and request.by is None:
        return list(boards)
    table: pd.DataFrame | None = None if request.subgroups is None else read_subgroups(request.subgroups)
    found: list[TaskBoard] = []
    problems: list[ResultsError] = []
    for board, one in zip(boards, cells, strict=True):
        try:
            found.append(
                with_parts(
                    board, one, lambda part: _build(part, request), request.per_label, request.by, table
                )
            )
        except ResultsError as error:
            problems.append(error)
            found.append(replace(board, notes=(*board.notes, str(error))))
    if problems and len(problems) == len(boards):
        raise problems[0]
    return found if table is None else with_strangers(found, cells, table)


def _check_metrics(cells: Sequence[TaskCells], metrics: Sequence[str]) -> None:
    known = sorted({name for one in cells for name in one.metrics})
    for name in metrics:
        if known and name not in known:
            raise NoSuchNameError(f"no test values of metric '{name}'{did_you_mean(name, known)}")


def _check_baseline(cells: Sequence[TaskCells], baseline: str | None) -> None:
    """Refuses a slip of the pen also where nothing is missing."""
    known = sorted({entry.name for one in cells for entry in one.entries})
    if baseline is not None and known and baseline not in known:
        raise NoSuchNameError(
            f"no entry '{baseline}' to count for what is missing{did_you_mean(baseline, known)}"
        )
