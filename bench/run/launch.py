"""From a plan with something to do to a Tune run: data, Ray, signals, workers."""

import secrets
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console

from bench.errors import ResultsError
from bench.plan.plan import Plan
from bench.plan.study import Study
from bench.results.lock import RunLock
from bench.results.store import Store, part_name
from bench.run.cluster import Session, count_slots
from bench.run.early import Early
from bench.run.fuse import Fuse
from bench.run.interrupt import Reason, StopRequest
from bench.run.job import Job, WorkerConfig
from bench.run.options import RunOptions
from bench.run.places import TrialPlace
from bench.run.policy import Known
from bench.run.progress import Display
from bench.run.queue import StudyQueue
from bench.run.resume import known_of
from bench.run.rows import curve_rows, trial_row
from bench.run.scratch import scratch_of
from bench.run.signals import Signals
from bench.run.so_far import with_so_far
from bench.run.tracker import Tracker
from medseg.data import index_dataset, prepare
from medseg.training.outcome import TrialResult

SAID: dict[Reason, str] = {
    "interrupted": "stopping: running trials save themselves (Ctrl-C again: stop now)",
    "time is up": "time is up: running trials save themselves (Ctrl-C: stop now)",
    "failure": "the run cannot go on: running trials save themselves",
}


@dataclass(frozen=True)
class Launch:
    """A run that has something to do.

    Args:
        plan: The whole plan.
        options: How to run.
        store: Of the results.
        code: Fingerprint of today's code.
        console: For the display.
        lock: On the results, held.
        fuse: Of the queues.
        run: Id of the run.
    """

    plan: Plan
    options: RunOptions
    store: Store
    code: str
    console: Console
    lock: RunLock
    fuse: Fuse
    run: str = field(default_factory=lambda: secrets.token_hex(8))

    def fit(
        self,
        queues: list[StudyQueue],
        working: Sequence[Study],
        tracker: Tracker,
        ray: Early[Session],
    ) -> Reason | None:
        """Prepares data, waits for Ray and runs; says why it stopped, if it was not through."""
        display = Display(tracker, self.console)
        workers = {study.id: self._worker(study) for study in self.plan.studies}

        def lost(job: Job, result: TrialResult) -> Known:
            return self._lost(job, workers[job.study], tracker.running_s(job), result)

        def said() -> None:
            assert stop.reason is not None
            display.message = SAID[stop.reason]

        def stopping() -> bool:
            if self.lock.lost:
                stop.request("failure")
            return stop.requested

        self._prepare({study.task.name for study in working})
        signals = Signals(self.options.results, self.run)
        stop = StopRequest(signals, said, self.options.left_s())
        with stop, tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            with self.console.status("starting workers"):
                from bench.run.tuner import fit

                session = ray.result()
            stop.listen()
            if stop.requested:
                return stop.reason
            needs = {study.entry: study.resources for study in working}
            tracker.slots = self.fuse.slots = count_slots(
                session.nodes, needs, elastic=session.demand is not None
            )
            try:
                fit(
                    queues,
                    workers,
                    tracker,
                    display,
                    stopping,
                    lost,
                    Path(scratch),
                    signals,
                    partial(stop.request, "failure"),
                    session.demand,
                    self.options.graces,
                )
            finally:
                if self.lock.lost:
                    waits = (
                        f"what was computed waits in {scratch_of(self.options.results, self.options.cache)}"
                    )
                    raise ResultsError(f"{self.lock.lost}; {waits} of each machine for the next run there")
            return stop.reason

    def _lost(self, job: Job, worker: WorkerConfig, running_s: float, result: TrialResult) -> Known:
        """Writes the row of a job whose worker died without a word, unless the worker had written one."""
        result, spent_s = with_so_far(result, TrialPlace(job, worker).files.checkpoint, running_s)
        row = trial_row(job, worker, result, spent_s)
        if not self.store.write(row, [], curve_rows(job, result)):
            stands = self.store.row(part_name(row))
            # An earlier attempt's row says nothing about this one.
            if stands is not None and stands["attempt"] >= job.attempt:
                return known_of(stands)
        return known_of(row)

    def _prepare(self, tasks: Collection[str]) -> None:
        console = self.console
        with console.status("preparing data") as status:

            def watch(task: str, done: int, total: int) -> None:
                status.update(f"{task}: prepared {done:,} of {total:,} cases")

            for name in tasks:
                data = self.plan.data[name]
                dataset = index_dataset(data.spec, data.root, self.options.cache, beside=data.beside)
                prepared = prepare(data.spec, dataset, self.options.cache, partial(watch, name))
                if prepared.cut_share > 0:
                    console.print(
                        f"{name}: {max(prepared.cut_share, 1e-4):.2%} of the foreground lies beyond image_size and "
                        f"is missed by every model; bench data check says where",
                        soft_wrap=True,
                        highlight=False,
                    )

    def _worker(self, study: Study) -> WorkerConfig:
        plan, results = self.plan, self.options.results
        return WorkerConfig(
            suite=plan.suite.suite,
            run=self.run,
            results=results,
            cache=self.options.cache.absolute(),
            roots={name: data.root for name, data in plan.data.items()},
            beside=plan.data[study.task.name].beside,
            code=self.code,
            cpus=study.resources.cpus,
            gpus=study.resources.gpus,
            processes=study.resources.processes,
            memory_gb=study.resources.memory_gb,
            timeout_s=self.options.timeout_s,
            keep_predictions=plan.suite.keep_predictions,
        )
