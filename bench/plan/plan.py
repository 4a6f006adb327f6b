"""A plan: the studies of a suite with the data that they use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.plan.identity import digest
from bench.plan.study import Study
from bench.suite.schema import Suite
from medseg.data import Split
from medseg.tasks import TaskSpec

HASH_DIGITS = 64


@dataclass(frozen=True)
class PlannedData:
    """A task's data as found.

    Args:
        spec: The task with the suite's overrides.
        root: Folder of the data set.
        beside: Folder of the suite, where files may lie that the task names.
        fingerprint: Of the files used, by content.
        split: Assignment of the patients to parts and folds.
        cases: Number of cases.
        patients: Number of patients.
        notes: What was assumed of the data, in words.
        patients_from: How the patients are known; see `medseg.data.case.PatientsFrom`.
    """

    spec: TaskSpec
    root: Path
    beside: Path
    fingerprint: str
    split: Split
    cases: int
    patients: int
    notes: tuple[str, ...] = ()
    patients_from: str = ""


@dataclass(frozen=True)
class Plan:
    """Everything that a run will do.

    Args:
        suite: The suite.
        studies: Task by task, in the order of the suite.
        data: By task name.
        hash: Of the studies, their budgets and final trials, and the claims.
    """

    suite: Suite
    studies: tuple[Study, ...]
    data: Mapping[str, PlannedData]
    hash: str

    def resolved(self) -> dict[str, Any]:
        """Returns the suite with overrides and defaults filled in, as JSON values; holds no paths."""
        suite = self.suite.model_dump(mode="json", exclude={"tasks", "data", "claims"}, exclude_none=True)
        return {
            **suite,
            "claims": [claim.resolved() for claim in self.suite.claims],
            "plan": self.hash,
            "tasks": [
                {
                    **data.spec.model_dump(mode="json"),
                    "data_fingerprint": data.fingerprint,
                    "split_hash": data.split.hash,
                    "cases": data.cases,
                    "patients": data.patients,
                    "patients_from": data.patients_from,
                }
                for data in self.data.values()
            ],
            "studies": [_study(study) for study in self.studies],
        }


def plan_hash(suite: Suite, studies: Sequence[Study]) -> str:
    """Returns the hash of what a suite promises: studies, budgets, final trials and claims; 64 hex digits."""
    promised = [
        [study.id, vars(study.budget) if study.budget else None, study.final_folds, study.final_seeds]
        for study in sorted(studies, key=lambda study: study.id)
    ]
    claims = [claim.identity() for claim in sorted(suite.claims, key=lambda claim: claim.id)]
    return digest(["plan", promised, claims], HASH_DIGITS)


def describe(plan: Plan) -> list[dict[str, str | int]]:
    """Returns one row per study for a table.

    `tuning` and `final` count trials, `searched` the dimensions of the search space.
    """
    return [
        {
            "task": study.task.name,
            "entry": study.entry,
            "patients": plan.data[study.task.name].patients,
            "tuning": _tuning(study),
            "searched": len(study.space),
            "final": study.final_total,
            "parameters": _parameters(study),
        }
        for study in plan.studies
    ]


def _tuning(study: Study) -> str | int:
    by_time = study.budget is not None and study.budget.device_hours is not None
    return str(study.budget) if by_time else study.tune_total


def _parameters(study: Study) -> str | int:
    """The default setting's count; a range where the search chooses the model."""
    counts = sorted({model.parameters or 0 for model in study.models})
    return counts[0] if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"


def _study(study: Study) -> dict[str, Any]:
    return {
        "id": study.id,
        "task": study.task.name,
        "entry": study.entry,
        "models": [_choice(model) for model in study.models],
        "losses": [_choice(loss) for loss in study.losses],
        "space": [parameter.to_json() for parameter in study.space],
        "budget": vars(study.budget) if study.budget else None,
        "counts": vars(study.limits),
        "final": {"folds": list(study.final_folds), "seeds": list(study.final_seeds)},
    }


def _choice(choice: Any) -> dict[str, Any]:
    component = choice.component.model_dump(mode="json")
    return {"label": choice.label, **component, "parameters": choice.parameters}
