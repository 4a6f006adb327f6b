"""The composite searcher: one Ray Tune run serves every study of the suite."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Self

from ray.tune.search import Searcher

from bench.errors import BenchError
from bench.run.job import Job, WorkerConfig
from bench.run.queue import Known, StudyQueue
from bench.run.tracker import Tracker


def finite(value: float | None) -> float:
    """Returns a number, 0 where there is none."""
    return value if value is not None and math.isfinite(value) else 0.0


class SuiteSearcher(Searcher):  # type: ignore[misc]
    """Hands free slots to the study that is furthest behind.

    Args:
        queues: One per study.
        worker: What every worker is told.
        tracker: Followed by the display.
        stopping: Once true, nothing new is handed out.
        lost: Called with a job whose worker died without a word, to write its row.

    Attributes:
        failure: Why results or journal can no longer be written, once they cannot: nothing new is handed out then.
            Tune would turn it into text of its own.
    """

    def __init__(
        self,
        queues: list[StudyQueue],
        workers: Mapping[str, WorkerConfig],
        tracker: Tracker,
        stopping: Callable[[], bool],
        lost: Callable[[Job], None],
    ):
        super().__init__()
        self.queues = {queue.study.id: queue for queue in queues}
        self.workers, self.tracker = workers, tracker
        self.stopping, self.lost = stopping, lost
        self.jobs: dict[str, Job] = {}
        self.failure: Exception | None = None

    def suggest(self, trial_id: str) -> dict[str, str] | str | None:
        """Returns the next job, None for "later", or FINISHED."""
        if self.failure is not None or self.stopping():
            return str(Searcher.FINISHED)
        try:
            return self._next(trial_id)
        except (OSError, BenchError) as error:
            self.failure = error
            return str(Searcher.FINISHED)

    def _next(self, trial_id: str) -> dict[str, str] | str | None:
        for queue in sorted(self.queues.values(), key=lambda q: q.progress):
            job = queue.next_job()
            if job is not None:
                self.jobs[trial_id] = job
                return {"job": job.model_dump_json(), "worker": self.workers[job.study].model_dump_json()}
        return str(Searcher.FINISHED) if all(q.exhausted for q in self.queues.values()) else None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tells the study how its job ended; a worker that died without a word is `infra_lost`."""
        try:
            self._ended(self.jobs.pop(trial_id), result, error)
        except (OSError, BenchError) as failure:
            self.failure = self.failure or failure

    def _ended(self, job: Job, result: dict[str, Any] | None, error: bool) -> None:
        if error or not result or result.get("status") in (None, "running"):
            status: str = "interrupted" if self.stopping() else "infra_lost"
            result = {}
        else:
            status = str(result["status"])
        if status == "infra_lost" and not result:
            self.lost(job)
        value = result.get("value")
        known = Known(
            status=status,
            value=value if status == "complete" else None,
            stale=False,
            attempt=job.attempt,
            device_s=finite(result.get("device_s")),
            detail=str(result.get("detail", "the worker died")),
        )
        self.queues[job.study].ended(job, known)
        self.tracker.job_ended(job, status, value)

    def __getstate__(self) -> dict[str, Any]:
        """Pickles as nothing: Tune writes its state for a restore that is never made."""
        return {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Stays itself: Tune copies its searcher, but journal, lock and display are not to be doubled."""
        return self

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the truth lies in the results store and the Optuna journal."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing; see `save`."""
