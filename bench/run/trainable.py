"""The worker side: a Ray Tune Trainable whose step is one epoch.

Torch is imported in the first step: neither the driver, which imports this module, nor a worker that leads several
processes computes anything itself.
"""

import socket
import traceback
from collections.abc import Generator, Mapping
from typing import Any

from ray.tune import Trainable

from bench.run.group import FailureError, Group
from bench.run.job import Job, WorkerConfig
from bench.run.places import TrialPlace
from bench.run.process import Limits, start
from bench.run.rank import NoProcessesError, RayCrew
from bench.run.rows import case_rows, curve_rows, trial_row
from bench.run.so_far import with_so_far
from bench.suite.search import COSTS
from medseg.training.outcome import Epoch, Status, StorageError, TrialResult, classify


class TrialRunner(Trainable):  # type: ignore[misc]
    """Runs one job at a time; a worker process is reused for job after job.

    It trains in its own process, or tells several what to do; then it computes nothing itself.
    """

    _group: Group | None = None

    def setup(self, config: dict[str, Any]) -> None:
        """Takes the first job; see `reset_config`."""
        self._take(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next job in the same process."""
        self._take(new_config)
        return True

    def cleanup(self) -> None:
        """Ends the processes of a trial of several."""
        if self._group is not None:
            self._group.close()

    def _take(self, config: dict[str, Any]) -> None:
        self._job = Job.model_validate_json(config["job"])
        self._worker = WorkerConfig.model_validate_json(config["worker"])
        self._events: Generator[Epoch, None, TrialResult] | None = None
        self._limits = Limits(self._job, self._worker)
        self._place = TrialPlace(self._job, self._worker)
        if self._group is not None:
            # This trial may end before its processes begin it.
            self._group.losses = 0

    def step(self) -> dict[str, Any]:
        """Trains one epoch, or ends the trial and writes its rows."""
        try:
            if self._events is None:
                waiting = self._place.deliver()
                if waiting is not None:
                    return _report(waiting)
                self._events = self._begin()
            self._limits.look()
            epoch = next(self._events)
        except StopIteration as end:
            return self._finish(end.value)
        except FailureError as error:
            failure = error.failure
            return self._failed(failure.status, failure.detail, failure.trace)
        except (Exception, SystemExit) as error:
            # The trial is not at fault, and goes on elsewhere from its checkpoint: Ray ends a worker so, on SIGTERM,
            # or there is no room any more where this one is.
            if isinstance(error, NoProcessesError) or hasattr(error, "ray_terminate_msg"):
                raise
            return self._failed(*classify(error), traceback.format_exc())
        return {"done": False, "status": "running", **vars(epoch)}

    def _begin(self) -> Generator[Epoch, None, TrialResult]:
        if self._worker.processes == 1:
            return start(self._job, self._worker, self._limits)
        self._group = self._group or Group(RayCrew())
        return self._group.run(self._job, self._worker, self._limits)

    def _failed(self, status: Status, detail: str, trace: str) -> dict[str, Any]:
        if status == "crashed":
            detail += f" (traceback: {self._place.keep_log(trace)})"
        return self._finish(TrialResult(status, detail))

    def _finish(self, result: TrialResult) -> dict[str, Any]:
        self._events = None
        result, elapsed_s = with_so_far(result, self._place.files.checkpoint, self._limits.elapsed_s)
        row = trial_row(self._job, self._worker, result, elapsed_s, socket.gethostname())
        row["attempt"] += self._group.losses if self._group is not None else 0
        try:
            self._place.keep(row, case_rows(self._job, result), curve_rows(self._job, result))
        except StorageError as error:
            return _report({**row, "status": "infra_lost", "detail": str(error)})
        return _report(row)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: a trial keeps its own checkpoint beside its results."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: a trial finds its own checkpoint."""


def _report(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the driver is told of a trial that ended."""
    told = ("status", "detail", "value", *COSTS)
    return {"done": True, **{name: row.get(name) for name in told}}
