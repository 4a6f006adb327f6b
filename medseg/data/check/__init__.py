"""Checks a data set: reads everything once, in parallel, and says all that is wrong with it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medseg.data.case import DataSet
from medseg.data.check.inspect_case import CaseFacts, Draw, inspect_case, relative
from medseg.data.check.rules import RULES, Finding, found_in
from medseg.data.files import Advance
from medseg.data.index import survey_dataset
from medseg.data.parallel import reading_pool
from medseg.data.splits import Split, make_split
from medseg.errors import DataError
from medseg.tasks import TaskSpec

# Stage ("files" or "cases"), how many are done, how many there are.
Watch = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Report:
    """What a check found.

    Args:
        task: The task.
        root: Folder of the data set.
        dataset: Its cases; none if it could not be indexed, then there are problems.
        facts: What each case's files hold, in the order of the cases.
        split: Who is tested on; none if the split is refused, then there are problems.
        problems: What must be mended before anything can be trained.
        warnings: What may be right, but should be looked at.
    """

    task: TaskSpec
    root: Path
    dataset: DataSet | None = None
    facts: tuple[CaseFacts, ...] = ()
    split: Split | None = None
    problems: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()

    @property
    def verdict(self) -> str:
        """One line: how many cases, problems and warnings."""
        found = f"{_count(len(self.problems), 'problem')}, {_count(len(self.warnings), 'warning')}"
        if self.dataset is None:
            return f"{self.task.name}: {found}; no case is fit to be looked at"
        cases = _count(len(self.dataset.cases), "case")
        return f"{self.task.name}: {cases} of {_count(len(self.dataset.patients), 'patient')}, {found}"


def check_dataset(
    task: TaskSpec,
    root: Path,
    cache_dir: Path,
    draw: Draw | None = None,
    drawn: int = 0,
    watch: Watch = lambda stage, done, total: None,
    beside: Path | None = None,
) -> Report:
    """Reads every file of a data set once, one case per core in memory.

    Args:
        task: The task.
        root: A folder as `resolve_root` returns it.
        cache_dir: Where facts about files are remembered.
        draw: If given, draws cases while they are in memory.
        drawn: How many cases to draw, evenly from all over the list.
        watch: Told how far the check is.
        beside: Where else to look for files that the task names: the suite's folder.

    Returns:
        All that was found. Problems of single files and of the whole come together.

    Raises:
        DataError: If there is nothing to check: no cases, no layout, a list of patients that cannot be used.
    """
    dataset, unfit = survey_dataset(
        task, root, cache_dir, lambda done, total: watch("files", done, total), beside
    )
    problems = [found_in(relative(text, root)) for text in unfit]
    if dataset is None:
        return Report(task, root, problems=tuple(problems))
    facts = _inspect(dataset, draw, drawn, lambda done, total: watch("cases", done, total))
    problems += [found_in(text) for item in facts for text in item.problems]
    # Without the cases that are unfit a split says nothing of the one that a run would make.
    split, refused = _split(task, dataset, beside) if not unfit else (None, [])
    problems += refused
    warnings: list[Finding] = []
    for rule in RULES:
        (problems if rule.fatal else warnings).extend(rule.look(dataset, facts, split))
    return Report(task, dataset.root, dataset, facts, split, tuple(problems), tuple(warnings))


def _inspect(dataset: DataSet, draw: Draw | None, drawn: int, advance: Advance) -> tuple[CaseFacts, ...]:
    total = len(dataset.cases)
    chosen = evenly(total, drawn) if draw is not None else frozenset()
    with reading_pool() as pool:
        running = [
            pool.submit(inspect_case, dataset, case, draw if number in chosen else None)
            for number, case in enumerate(dataset.cases)
        ]
        facts = []
        for number, future in enumerate(running, start=1):
            facts.append(future.result())
            advance(number, total)
    return tuple(facts)


def evenly(total: int, wanted: int) -> frozenset[int]:
    """Returns at most `wanted` numbers below `total`, from all over the range."""
    return frozenset(np.linspace(0, total - 1, min(wanted, total)).astype(int).tolist())


def _split(task: TaskSpec, dataset: DataSet, beside: Path | None) -> tuple[Split | None, list[Finding]]:
    try:
        return make_split(task, dataset, beside), []
    except DataError as error:
        return None, [Finding("split", relative(str(error), dataset.root))]


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}" if number < 2 else f"{number} {what}s"
