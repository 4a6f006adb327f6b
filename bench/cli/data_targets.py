"""Which task a user means: a registered one, one of a suite, or one made up for a folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.errors import SuiteError
from medseg.errors import UnknownNameError, did_you_mean
from medseg.tasks import TASKS, TaskSpec


@dataclass(frozen=True)
class Tasks:
    """Tasks to choose from, and where their data lie.

    Args:
        known: By name: those of a suite, or none for those that are registered.
        roots: Roots of data sets by name.
        beside: Folder of the suite, where files may lie that a task names.
    """

    known: Mapping[str, TaskSpec] | None
    roots: Mapping[str, Path]
    beside: Path | None = None

    def task(self, name: str, hint: str = "") -> TaskSpec:
        """Returns a task by its name.

        Raises:
            SuiteError: If there is none; ends with the hint.
            RegistryError: If it cannot be imported.
        """
        try:
            if self.known is None:
                task: TaskSpec = TASKS.load(name)
                return task
            if name not in self.known:
                raise UnknownNameError("task", name, self.known)
        except UnknownNameError as error:
            raise SuiteError([(None, f"{error}{hint}")]) from error
        return self.known[name]

    def has(self, name: str) -> bool:
        """Says whether there is a task of that name."""
        return name in (TASKS.names() if self.known is None else self.known)


def find_tasks(suite: Path | None, roots: Mapping[str, Path]) -> Tasks:
    """Reads a suite's tasks and roots, or offers those that are registered.

    Args:
        suite: The suite's file.
        roots: From the command line; they win over MEDSEG_DATA, which wins over the suite.

    Raises:
        SuiteError: If the suite is not valid, or a root is for a data set that no task has.
    """
    if suite is None:
        _check_roots(roots, list(TASKS.loadable().values()) if roots else [])
        return Tasks(None, roots)
    from bench.suite import load_suite
    from bench.suite.resolve import task_spec

    loaded = load_suite(suite)
    known = {entry.title: task_spec(entry) for entry in loaded.suite.tasks}
    _check_roots(roots, list(known.values()))
    return Tasks(known, loaded.roots(roots), loaded.folder)


def suite_lines(task: TaskSpec, root: Path) -> str:
    """Returns the YAML lines of a suite that uses a data set."""
    lines = ["data:", f"  {_flow(task.dataset)}: {_flow(str(root))}", "tasks:"]
    if task.name in TASKS.names():
        return "\n".join([*lines, f"  - {_flow(task.name)}"])
    tree = task.model_dump(mode="json", exclude_defaults=True)
    # A suite's task finds its data set under its own name.
    if task.dataset == task.name:
        del tree["dataset"]
    items = [f"{key}: {_flow(value)}" for key, value in tree.items()]
    return "\n".join([*lines, f"  - {items[0]}", *(f"    {item}" for item in items[1:])])


def _check_roots(roots: Mapping[str, Path], tasks: Sequence[TaskSpec]) -> None:
    known = sorted({task.dataset for task in tasks})
    unknown = [name for name in roots if name not in known]
    if unknown:
        raise SuiteError(
            [(None, f"--data {name}: unknown data set{did_you_mean(name, known)}") for name in unknown]
        )


def _flow(value: Any) -> str:
    text: str = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=float("inf")
    )
    return text.removesuffix("\n").removesuffix("\n...")
