"""What a task declares about its metrics, as the results recorded it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from bench.errors import ResultsError
from bench.results.store import Store, part_name
from bench.stats.aggregate import POLICIES, Policy
from medseg.tasks import TASKS, TaskSpec

_TOO_NARROW = "images of one patient would make intervals too narrow"
PATIENTS_TEXT = {
    "images": f"Patients are not known: each image counts as one; {_TOO_NARROW}.",
    "partly": f"Patients of some images are not known: each of these counts as one; {_TOO_NARROW}.",
    "guessed": "Patients are guessed, by pages of origin and likeness: each other image counts as one; "
    f"{_TOO_NARROW}.",
}
"""What must be said of how patients are known, as `medseg.data.case.PatientsFrom` says it; the others are sure."""


@dataclass(frozen=True)
class Contract:
    """How a task's values are to be read.

    Args:
        policy: What empty masks count.
        tolerances: Tolerance by label, in the task's unit; empty where the task declares none.
        cavities: Labels whose ejection fraction is told.
        unit: Of lengths, ``mm`` or ``px``; empty where it is not known.
        patients_from: How the patients are known; see `medseg.data.case.PatientsFrom`.
    """

    policy: Policy = "nnunet"
    tolerances: dict[str, float] = field(default_factory=dict)
    cavities: tuple[str, ...] = ()
    unit: str = ""
    patients_from: str = ""

    @property
    def patients_note(self) -> str:
        """What must be said of how the patients are known; empty where they are."""
        return PATIENTS_TEXT.get(self.patients_from, "")


def read_contract(store: Store, trials: pd.DataFrame, task: str) -> Contract:
    """Returns a task's contract: that of the suite that was run last, else of the newest trial.

    Args:
        store: Results.
        trials: Trials of the task, in the order in which they finished.
        task: Name.

    Raises:
        ResultsError: If it names a policy that is not known here.
    """
    tasks = {tree.get("name"): tree for tree in (store.read_suite() or {}).get("tasks", [])}
    tree = tasks.get(task)
    if tree is None:
        newest = store.row(part_name(trials.iloc[-1].to_dict())) if len(trials) else None
        tree = json.loads(newest["spec_json"]).get("task", {}) if newest else {}
    # Results of before there was a choice say nothing.
    policy = tree.get("empty_policy", "nnunet")
    if policy not in POLICIES:
        raise ResultsError(
            f"{store.root}: task {task} has the policy {policy!r} for empty masks; "
            f"this medseg-bench knows {', '.join(POLICIES)}"
        )
    patients_from = str(tree.get("patients_from", ""))
    return Contract(policy, _tolerances(tree), _cavities(tree, task), tree.get("unit", ""), patients_from)


def _tolerances(tree: Mapping[str, Any]) -> dict[str, float]:
    given = tree.get("tolerance_mm")
    if given is None or isinstance(given, Mapping):
        return dict(given or {})
    return dict.fromkeys(tree.get("labels", {}), given)


def _cavities(tree: Mapping[str, Any], task: str) -> tuple[str, ...]:
    """Returns the cavities of a task; results of before there were any have those of the registered task."""
    if "cavities" in tree or task not in TASKS.names():
        return tuple(tree.get("cavities", ()))
    known: TaskSpec = TASKS.load(task)
    return known.cavities
