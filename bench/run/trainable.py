"""The worker side: a Ray Tune Trainable whose step is one epoch.

Torch is imported in the first step, not when the actor starts. An actor that is slow to start is thrown away
by Tune as soon as another one falls idle, and a second slot would stay empty for ever.
"""

import time
import traceback
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray.tune import Trainable

from bench.results.store import Store
from bench.run.job import Job, WorkerConfig
from bench.run.rows import case_rows, curve_rows, trial_row

if TYPE_CHECKING:
    from medseg.training.outcome import Epoch, TrialResult
    from medseg.training.trial import TrialData, TrialFiles

STOP_POLL_S = 0.2


class TrialRunner(Trainable):  # type: ignore[misc]
    """Runs one job at a time; a worker process is reused for job after job."""

    def setup(self, config: dict[str, Any]) -> None:
        """Takes the first job; see `reset_config`."""
        self._take(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next job in the same process."""
        self._take(new_config)
        return True

    def _take(self, config: dict[str, Any]) -> None:
        self._job = Job.model_validate_json(config["job"])
        self._worker = WorkerConfig.model_validate_json(config["worker"])
        self._events: Generator[Epoch, None, TrialResult] | None = None
        self._started = time.monotonic()

    def step(self) -> dict[str, Any]:
        """Trains one epoch, or ends the trial and writes its rows."""
        from medseg.training.outcome import TrialResult, classify

        try:
            if self._events is None:
                self._events = start(self._job, self._worker, self._should_stop)
            epoch = next(self._events)
        except StopIteration as end:
            return self._finish(end.value)
        except (Exception, SystemExit) as error:
            # Ray ends a worker so, on SIGTERM: the trial is not at fault, and goes on from its checkpoint.
            if hasattr(error, "ray_terminate_msg"):
                raise
            status, detail = classify(error)
            if status == "crashed":
                detail += f" (traceback: {self._keep_traceback()})"
            return self._finish(TrialResult(status, detail))
        return {"done": False, "status": "running", **vars(epoch)}

    def _finish(self, result: "TrialResult") -> dict[str, Any]:
        self._events = None
        row = trial_row(self._job, self._worker, result, time.monotonic() - self._started)
        Store(self._worker.results).write(row, case_rows(self._job, result), curve_rows(self._job, result))
        trial_files(self._job, self._worker).forget(result.status)
        return {
            "done": True,
            "status": result.status,
            "detail": result.detail,
            "value": row["value"],
            "device_s": row["device_s"],
        }

    def _keep_traceback(self) -> str:
        path = self._worker.results / "logs" / f"{self._job.trial}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(traceback.format_exc(), encoding="utf-8")
        return f"logs/{path.name}"

    def _should_stop(self) -> bool:
        limit = self._worker.timeout_s
        if limit is not None and time.monotonic() - self._started > limit:
            from medseg.training.outcome import TimeLimitError

            raise TimeLimitError(f"the trial ran longer than {limit:g} s")
        return self._stop_requested()

    def _stop_requested(self) -> bool:
        now = time.monotonic()
        if now - getattr(self, "_polled", 0.0) < STOP_POLL_S:
            return False
        self._polled = now
        return self._worker.stop_file.exists()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: a trial keeps its own checkpoint beside its results."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: a trial finds its own checkpoint."""


def checkpoint_path(results: Path, trial: str) -> Path:
    """Returns where a trial keeps its last state while it is not complete."""
    return results / "checkpoints" / f"{trial}.safetensors"


def trial_files(job: Job, worker: WorkerConfig) -> "TrialFiles":
    """Returns where a trial keeps what outlives it."""
    from medseg.training.trial_data import TrialFiles

    final, results = job.number < 0, worker.results
    return TrialFiles(
        checkpoint=checkpoint_path(results, f"{job.trial}-{worker.code[:8]}"),
        weights=results / "weights" / f"{job.trial}.safetensors" if final else None,
        predictions=results / "predictions" / job.trial if final and worker.keep_predictions else None,
    )


def start(
    job: Job, worker: WorkerConfig, should_stop: Callable[[], bool]
) -> "Generator[Epoch, None, TrialResult]":
    """Opens the data and begins, or continues, a job."""
    import torch

    from medseg.training.trial import run_trial

    torch.set_num_threads(worker.cpus)
    files = trial_files(job, worker)
    return run_trial(job.spec, _data(job, worker), files, should_stop, use_cpu=worker.gpus == 0)


def _data(job: Job, worker: WorkerConfig) -> "TrialData":
    from medseg.errors import DataError
    from medseg.training.trial import open_data

    data = open_data(job.spec.task, worker.roots.get(job.spec.task.name), worker.cache, worker.beside)
    if (data.dataset.fingerprint, data.split.hash) != (job.data_fingerprint, job.split_hash):
        raise DataError(
            f"{job.spec.task.name}: the data at {data.dataset.root} are not those of the plan "
            f"(fingerprint {data.dataset.fingerprint[:12]}, expected {job.data_fingerprint[:12]}; "
            f"split {data.split.hash[:12]}, expected {job.split_hash[:12]})"
        )
    return data
