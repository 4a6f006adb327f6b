"""The figures of a leaderboard, in the order of a page: adding one is one entry."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.errors import BenchError
from bench.leaderboard.facts import metric_facts
from bench.leaderboard.figures import (
    cases,
    critical_difference,
    curves,
    hyperparameters,
    intervals,
    pareto,
    significance,
    stability,
)
from bench.leaderboard.figures.canvas import Drawing, style
from bench.leaderboard.figures.material import Material, TaskMaterial
from bench.leaderboard.palette import Palette
from bench.leaderboard.table import SuiteBoard
from bench.stats.friedman import friedman
from medseg.errors import did_you_mean

OVERALL = "all tasks"


@dataclass(frozen=True)
class TaskFigure:
    """A figure of a task."""

    name: str
    draw: Callable[[TaskMaterial, Palette], Drawing]


@dataclass(frozen=True)
class SuiteFigure:
    """A figure over tasks."""

    name: str
    draw: Callable[[SuiteBoard, Material, Palette], Drawing]


def _cases(of: TaskMaterial, palette: Palette) -> Drawing:
    return cases.draw_cases(of.values, of.board.facts[0], of.board.task, palette)


def _stability(of: TaskMaterial, palette: Palette) -> Drawing:
    board = of.board
    return stability.draw_stability(
        board.ranking, board.task, board.facts[0].title, board.n_patients, palette
    )


def _critical_difference(of: TaskMaterial, palette: Palette) -> Drawing:
    facts = of.board.facts[0]
    found = friedman(of.values, facts.sign, decimals=facts.decimals)
    return critical_difference.draw_critical_difference(found, of.board.task, "patient", facts.title, palette)


def _significance(of: TaskMaterial, palette: Palette) -> Drawing:
    return significance.draw_significance(of.map, of.board.task, of.board.facts[0].title, palette)


def _curves(of: TaskMaterial, palette: Palette) -> Drawing:
    return curves.draw_curves(of.curves, of.order, of.board.task, of.score, palette)


def _importance(of: TaskMaterial, palette: Palette) -> Drawing:
    return hyperparameters.draw_importance(of.importances, of.board.task, palette, len(of.order))


def _overall_stability(board: SuiteBoard, material: Material, palette: Palette) -> Drawing:
    patients = min(
        (one.board.n_patients for one in material.tasks if one.board.task in board.tasks), default=0
    )
    return stability.draw_stability(board.ranking, OVERALL, _title(board), patients, palette)


def _overall_difference(board: SuiteBoard, material: Material, palette: Palette) -> Drawing:
    return critical_difference.draw_critical_difference(
        board.friedman, OVERALL, "task", _title(board), palette
    )


def _title(board: SuiteBoard) -> str:
    return metric_facts(board.metric, "").title


TASK_FIGURES = (
    TaskFigure(intervals.NAME, lambda of, palette: intervals.draw_intervals(of.board, palette)),
    TaskFigure(cases.NAME, _cases),
    TaskFigure(stability.NAME, _stability),
    TaskFigure(significance.NAME, _significance),
    TaskFigure(critical_difference.NAME, _critical_difference),
    TaskFigure(pareto.NAME, lambda of, palette: pareto.draw_pareto(of.board, palette)),
    TaskFigure(curves.NAME, _curves),
    TaskFigure(hyperparameters.NAME, _importance),
)
SUITE_FIGURES = (
    SuiteFigure(stability.NAME, _overall_stability),
    SuiteFigure(critical_difference.NAME, _overall_difference),
)
NAMES = tuple(figure.name for figure in TASK_FIGURES)


def check_names(names: Sequence[str]) -> None:
    """Checks that there are figures of these names.

    Raises:
        BenchError: If not.
    """
    for name in names:
        if name not in NAMES:
            raise BenchError(f"no figure '{name}'{did_you_mean(name, NAMES)}")


def draw_task(of: TaskMaterial, palette: Palette, names: Sequence[str] = NAMES) -> Iterator[Drawing]:
    """Draws the figures of a task, one after the other: a drawing may be large."""
    for figure in TASK_FIGURES:
        if figure.name in names:
            with style():
                drawn = figure.draw(of, palette)
            yield drawn


def draw_overall(material: Material, palette: Palette, names: Sequence[str] = NAMES) -> Iterator[Drawing]:
    """Draws the figures over tasks; none where there is no table over tasks."""
    if material.overall is None:
        return
    for figure in SUITE_FIGURES:
        if figure.name in names:
            with style():
                drawn = figure.draw(material.overall, material, palette)
            yield drawn
