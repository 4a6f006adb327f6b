"""Columns of the results tables and the words they hold. See docs/results_schema.md."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

TRIAL_STATUSES = (
    "complete",
    "interrupted",
    "diverged",
    "pruned",
    "oom",
    "timeout",
    "data_error",
    "crashed",
    "infra_lost",
)
UNDECIDED = ("interrupted", "infra_lost")
"""Statuses that say nothing about the trial itself; they never take the place of a result."""

VALUE_STATUSES = ("ok", "both_empty", "reference_empty", "prediction_empty", "missing", "failed")

_TIME = pa.timestamp("us", tz="UTC")

# What version 2 added to `trials`.
COST: dict[str, Any] = {
    "gmacs": pa.float64(),
    "samples_per_s": pa.float64(),
    "data_share": pa.float64(),
    "compute_share": pa.float64(),
    "validation_share": pa.float64(),
    "peak_memory_mb": pa.float64(),
    "energy_j": pa.float64(),
    "micro_batch": pa.int32(),
    "processes": pa.int32(),
    "compiled": pa.bool_(),
    "memory_format": pa.string(),
    "notes": pa.string(),
}


def _columns(required: Mapping[str, Any], optional: Mapping[str, Any]) -> Any:
    fields = [pa.field(name, kind, nullable=False) for name, kind in required.items()]
    return pa.schema(fields + [pa.field(name, kind) for name, kind in optional.items()])


TRIALS = _columns(
    {
        "trial": pa.string(),
        "suite": pa.string(),
        "study": pa.string(),
        "phase": pa.string(),
        "number": pa.int32(),
        "setting": pa.string(),
        "setting_json": pa.string(),
        "spec_json": pa.string(),
        "task": pa.string(),
        "model": pa.string(),
        "loss": pa.string(),
        "entry": pa.string(),
        "fold": pa.int32(),
        "seed": pa.int64(),
        "status": pa.string(),
        "detail": pa.string(),
        "attempt": pa.int32(),
        "metric": pa.string(),
        "epochs": pa.int32(),
        "batch_size": pa.int32(),
        "precision": pa.string(),
        "device": pa.string(),
        "code": pa.string(),
        "data": pa.string(),
        "split": pa.string(),
        "versions_json": pa.string(),
        "started_at": _TIME,
        "finished_at": _TIME,
    },
    {
        "value": pa.float64(),
        "parameters": pa.int64(),
        "best_epoch": pa.int32(),
        "steps": pa.int64(),
        "wall_s": pa.float64(),
        "train_s": pa.float64(),
        "device_s": pa.float64(),
        **COST,
        # Since version 4.
        "node": pa.string(),
        # Since version 5.
        "run": pa.string(),
        "case_s": pa.float64(),
    },
)

CASES = _columns(
    {
        "trial": pa.string(),
        "code": pa.string(),
        "attempt": pa.int32(),
        "part": pa.string(),
        "case": pa.string(),
        "patient": pa.string(),
        "subgroup": pa.string(),
        # Since version 3.
        "phase": pa.string(),
        "label": pa.string(),
        "metric": pa.string(),
        "definition": pa.string(),
        "status": pa.string(),
        "unit": pa.string(),
        "diagonal": pa.float64(),
    },
    {"value": pa.float64()},
)

CURVES = _columns(
    {
        "trial": pa.string(),
        "code": pa.string(),
        "attempt": pa.int32(),
        "epoch": pa.int32(),
        "step": pa.int64(),
    },
    {
        "train_loss": pa.float64(),
        "learning_rate": pa.float64(),
        "score": pa.float64(),
        "wall_s": pa.float64(),
    },
)

# The tables from here on are there since version 5.
RUNS = _columns(
    {
        "run": pa.string(),
        "suite": pa.string(),
        "plan": pa.string(),
        "command": pa.string(),
        "code": pa.string(),
        "version": pa.string(),
        "started_at": _TIME,
        "end": pa.string(),
    },
    {
        "finished_at": _TIME,
        "exit_code": pa.int32(),
        "detail": pa.string(),
        "node": pa.string(),
        "planned": pa.int64(),
        "ran": pa.int64(),
        "complete": pa.int64(),
        "pruned": pa.int64(),
        "failed": pa.int64(),
        "missing": pa.int64(),
        "stale": pa.int64(),
    },
)

STUDIES = _columns(
    {
        "study": pa.string(),
        "suite": pa.string(),
        "plan": pa.string(),
        "task": pa.string(),
        "entry": pa.string(),
        "model": pa.string(),
        "loss": pa.string(),
        "models_json": pa.string(),
        "losses_json": pa.string(),
        "space_json": pa.string(),
        "budget_json": pa.string(),
        "search_json": pa.string(),
        "final_json": pa.string(),
        "labels_json": pa.string(),
        "metric": pa.string(),
        "data": pa.string(),
        "split": pa.string(),
    },
    {},
)

ENV = _columns(
    {
        "run": pa.string(),
        "system": pa.string(),
        "python": pa.string(),
        "cores": pa.int32(),
        "gpus_json": pa.string(),
        "packages_json": pa.string(),
    },
    {
        "node": pa.string(),
        "cpu": pa.string(),
        "memory_gb": pa.float64(),
        "torch": pa.string(),
        "cuda": pa.string(),
        "driver": pa.string(),
    },
)

TABLES: dict[str, Any] = {
    "trials": TRIALS,
    "cases": CASES,
    "curves": CURVES,
    "runs": RUNS,
    "studies": STUDIES,
    "env": ENV,
}

BESIDE = ("cases", "curves")
"""Tables whose rows belong to an attempt at a trial."""

KEYS = {"runs": "run", "studies": "study", "env": "run"}
"""Tables with one row per file, named after this column."""

RUN_ENDS = ("running", "done", "limit", "time is up", "interrupted", "failure", "error")

CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "trials": {"status": TRIAL_STATUSES, "phase": ("tune", "final")},
    "cases": {
        "status": VALUE_STATUSES,
        "part": ("validation", "test"),
        "phase": ("ED", "ES", ""),
        "unit": ("mm", "px", "mL", ""),
    },
    "curves": {},
    "runs": {"end": RUN_ENDS},
    "studies": {},
    "env": {},
}
"""Columns that hold one of a few words."""
