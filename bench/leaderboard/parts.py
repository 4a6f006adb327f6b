"""A task's table by label or by subgroup of patients."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import pandas as pd

from bench.errors import ResultsError
from bench.leaderboard.cells import TaskCells
from bench.leaderboard.completeness import listed
from bench.leaderboard.table import TaskBoard
from bench.leaderboard.verdicts import judged
from bench.words import plural

LABEL, PHASE = "label", "phase"
Build = Callable[[TaskCells], TaskBoard]


def with_parts(
    board: TaskBoard,
    cells: TaskCells,
    build: Build,
    per_label: bool = False,
    by: str | None = None,
    table: pd.DataFrame | None = None,
) -> TaskBoard:
    """Adds the same table of each label or subgroup to a task's.

    All pairs of entries in all parts of a kind are one family of Holm's.

    Args:
        board: The task's table.
        cells: What it was made of.
        build: Builds a table of some of the values.
        per_label: Whether to make one per label.
        by: ``pathology``, ``size``, ``phase`` or a column of `table`; none: no subgroups.
        table: Frame indexed by patient.

    Raises:
        ResultsError: If nothing of the kind is known.
    """
    if not board.rows:
        return board
    parts: list[TaskBoard] = []
    ungrouped: tuple[str, ...] = ()
    if per_label:
        parts += _built(LABEL, _labels(cells, board.metric), build)
    if by is not None:
        groups = list(_groups(cells, by, table))
        parts += _built(by, groups, build)
        ungrouped = tuple(_left_out(cells, by, [part for _, part in groups]))
    return replace(board, parts=tuple(parts), ungrouped=ungrouped)


def with_strangers(
    boards: Sequence[TaskBoard], cells: Sequence[TaskCells], table: pd.DataFrame
) -> list[TaskBoard]:
    """Tells below the last table by subgroups which patients of a user's table no task has: a slip of the pen, maybe.

    Args:
        boards: Tables of all tasks.
        cells: What they were made of, in the same order.
        table: Frame indexed by patient.
    """
    known = {str(name) for one in cells for name in one.cells["patient"].unique()}
    strangers = sorted({str(name) for name in table.index} - known)
    places = [place for place, board in enumerate(boards) if any(part.kind != LABEL for part in board.parts)]
    if not strangers or not places:
        return list(boards)
    last = boards[places[-1]]
    verb = "is" if len(strangers) == 1 else "are"
    line = f"{plural(len(strangers), 'patient')} of the file {verb} in no task: {listed(strangers)}"
    found = list(boards)
    found[places[-1]] = replace(last, ungrouped=(*last.ungrouped, line))
    return found


def _built(kind: str, parts: Iterable[tuple[str, TaskCells]], build: Build) -> list[TaskBoard]:
    boards = [replace(build(cells), part=name, kind=kind, cavities=()) for name, cells in parts]
    return judged(boards)


def _labels(cells: TaskCells, metric: str) -> Iterator[tuple[str, TaskCells]]:
    for label in dict.fromkeys(map(str, cells.of_metric(metric)["label"].unique())):
        yield label, cells.only(labels=[label])


def _groups(cells: TaskCells, by: str, table: pd.DataFrame | None) -> Iterator[tuple[str, TaskCells]]:
    if by == PHASE and (table is None or PHASE not in table.columns):
        yield from _phases(cells)
        return
    groups = cells.groups(by, table)
    for name in groups.cat.categories:
        patients = [str(patient) for patient in groups.index[groups == name]]
        if patients:
            yield str(name), cells.only(patients=patients)


def _left_out(cells: TaskCells, by: str, parts: Sequence[TaskCells]) -> Iterator[str]:
    """Says how many patients none of the parts has."""
    every = set(cells.cells["patient"].unique())
    some = {name for part in parts for name in part.cells["patient"].unique()}
    if number := len(every - some):
        verb = "has" if number == 1 else "have"
        yield f"{number} of {plural(len(every), 'patient')} {verb} no {by}: not shown"


def _phases(cells: TaskCells) -> Iterator[tuple[str, TaskCells]]:
    phases = (
        [str(name) for name in cells.cells["phase"].unique() if name] if PHASE in cells.cells.columns else []
    )
    if not phases:
        raise ResultsError(f"{cells.task}: no phases are recorded: its data set tells none")
    for phase in sorted(phases):
        yield phase, cells.only(phase=phase)
