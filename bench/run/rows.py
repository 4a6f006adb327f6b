"""From a worker's result to rows of the results tables."""

import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bench.run.job import Job, WorkerConfig

if TYPE_CHECKING:
    from medseg.training.outcome import TrialResult

Row = dict[str, Any]

# What nobody knows of a trial that ended without a summary.
UNKNOWN: Row = {
    "value": math.nan,
    "parameters": None,
    "best_epoch": None,
    "steps": None,
    "train_s": math.nan,
    "device": "",
    "gmacs": None,
    "samples_per_s": None,
    "data_share": None,
    "compute_share": None,
    "validation_share": None,
    "peak_memory_mb": None,
    "energy_j": None,
    "micro_batch": None,
    "processes": None,
    "compiled": None,
    "memory_format": None,
    "notes": None,
    "node": None,
    "run": None,
    "case_s": None,
}


def trial_row(
    job: Job,
    worker: WorkerConfig,
    result: "TrialResult",
    elapsed_s: float = 0.0,
    node: str | None = None,
) -> Row:
    """Returns the trials row of a job that ended, however it ended.

    Args:
        job: The job.
        worker: Of the run.
        result: What the trial left. A summary is kept however the trial ended.
        elapsed_s: What a trial without a summary has cost; it counts in a budget of device time.
        node: Where a trial without a summary ran, if anybody knows.
    """
    spec, now = job.spec, datetime.now(UTC)
    summary = dict(result.summary)
    versions = summary.pop("versions", {})
    return {
        "trial": job.trial,
        "suite": worker.suite,
        "study": job.study,
        "phase": spec.phase,
        "number": job.number,
        "setting": job.setting_id,
        "setting_json": json.dumps(job.setting, sort_keys=True),
        "spec_json": spec.model_dump_json(),
        "task": spec.task.name,
        "model": job.model,
        "loss": job.loss,
        "entry": job.entry,
        "fold": spec.fold,
        "seed": spec.seed,
        "status": result.status,
        "detail": result.detail,
        "attempt": job.attempt,
        "metric": spec.task.selection_metric,
        "epochs": spec.train.epochs,
        "batch_size": spec.train.batch_size,
        "precision": spec.train.precision,
        "code": worker.code,
        "data": job.data_fingerprint,
        "split": job.split_hash,
        "versions_json": json.dumps(versions, sort_keys=True),
        "started_at": now,
        "finished_at": now,
        **UNKNOWN,
        "node": node,
        "run": worker.run,
        "wall_s": elapsed_s,
        "device_s": elapsed_s * worker.processes,
        **summary,
        # Its curve has scores, but no setting is chosen by a trial that did not complete.
        **({} if result.status == "complete" else {"value": math.nan}),
    }


def case_rows(job: Job, result: "TrialResult") -> list[Row]:
    """Returns the cases rows of a job."""
    return [{"trial": job.trial, **row} for row in result.cases]


def curve_rows(job: Job, result: "TrialResult") -> list[Row]:
    """Returns the curves rows of a job."""
    return [{"trial": job.trial, **row} for row in result.curves]
