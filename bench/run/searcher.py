"""The composite searcher: one Ray Tune run serves every study of the suite."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

from ray.tune.search import Searcher

from bench.errors import EngineError
from bench.run.cluster import no_room
from bench.run.job import Job, WorkerConfig
from bench.run.nodes import Node, Shape, capacity
from bench.run.placer import Placer, Slot, Wish
from bench.run.policy import Known
from bench.run.queue import StudyQueue
from bench.run.resume import known_of
from bench.run.tracker import Tracker
from bench.run.workers import IdleWorkers, order
from medseg.training.outcome import TrialResult

NODES_EVERY_S = 1.0
DEMAND_EVERY_S = 10.0
# A study whose shape has an idle worker goes first up to this lead, a share of its trials or so many: another shape
# in its place would cost a fresh worker, and break up room that a large trial would have to wait for again.
WARM_LEAD, WARM_TRIALS = 0.1, 4
# Whoever is to bring a node (SLURM, an autoscaler, a person) gets so long, when nothing else runs.
NODE_WAIT_S = 900.0


class SuiteSearcher(Searcher):  # type: ignore[misc]
    """Hands free slots to the study that is furthest behind.

    Args:
        queues: One per study.
        workers: What workers are told, by study.
        tracker: Followed by the display.
        stopping: Once true, nothing new is handed out.
        lost: Called with a job whose worker died without a word, and with what that makes of it, to write its row;
            returns what stands then.
        waiting: Told once, in a line, that what is left to run has to wait for a node.
        nodes: Says which nodes are there.
        demand: Told now and then what runs and what waits, where nodes can be added.
        clock: Seconds, from any start.
        ending: Called once when the run cannot go on, to ask running trials to save themselves.

    Attributes:
        jobs: By the id of the Tune trial that runs it, or is about to.
        idle: Workers without a job.
        deaths: What the death of its worker makes of a trial, by the id of the Tune trial; set before Tune tells.
        failure: Why the run cannot go on, once it cannot: nothing new is handed out then. Tune would turn it into
            text of its own.
    """

    def __init__(
        self,
        queues: list[StudyQueue],
        workers: Mapping[str, WorkerConfig],
        tracker: Tracker,
        stopping: Callable[[], bool],
        lost: Callable[[Job, TrialResult], Known],
        waiting: Callable[[str], None],
        nodes: Callable[[], list[Node]],
        demand: Callable[[Sequence[Shape]], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        ending: Callable[[], None] = lambda: None,
    ):
        super().__init__()
        self.queues = {queue.study.id: queue for queue in queues}
        self.workers, self.tracker = workers, tracker
        self.stopping, self.lost = stopping, lost
        self.jobs: dict[str, Job] = {}
        self.deaths: dict[str, TrialResult] = {}
        self.failure: Exception | None = None
        self._shapes = {name: Shape.of(queue.study.resources) for name, queue in self.queues.items()}
        self._placer = Placer()
        self.idle = IdleWorkers(self._placer)
        self._slots: dict[str, Slot] = {}
        self._returned: dict[str, Job] = {}
        self._waiting, self._nodes, self._clock = waiting, nodes, clock
        self._demand = demand
        self._looked = self._asked = self._waiting_since = -math.inf
        self._ending = ending

    def suggest(self, trial_id: str) -> dict[str, str] | str | None:
        """Returns the next job, None for "later", or FINISHED."""
        if self.failure is not None or self.stopping():
            return str(Searcher.FINISHED)
        try:
            self._look()
            return self._next(trial_id)
        except Exception as error:  # noqa: BLE001 - Tune would make a text of it
            self.fail(error)
            return str(Searcher.FINISHED)

    def report(self, job: Job, epoch: int, score: float) -> bool:
        """Takes a score of a running job; says whether its study would end the trial now."""
        return self.queues[job.study].report(job, epoch, score)

    def can_start(self, trial_id: str) -> bool:
        """Says whether a trial that has not started yet still may."""
        if self.failure is not None or self.stopping():
            return False
        slot = self._slots.get(trial_id)
        return slot is None or self._placer.stands(slot)

    def leave(self, trial_id: str) -> None:
        """Takes back the slot of a trial that is over."""
        slot = self._slots.pop(trial_id, None)
        if slot is not None:
            self.idle.leave(slot)

    def fail(self, error: Exception) -> None:
        """Ends the run: results can no longer be written, or Ray is gone."""
        if self.failure is None:
            self.failure = error
            self._ending()

    def _look(self) -> None:
        """Notices nodes that join and leave."""
        now = self._clock()
        if now - self._looked < NODES_EVERY_S:
            return
        self._looked = now
        self._placer.update(self._nodes())
        nodes = list(self._placer.nodes.values())
        self.tracker.slots = max(1, min(capacity(nodes, shape) for shape in self._shapes.values()))
        if self._demand is not None and now - self._asked >= DEMAND_EVERY_S:
            self._asked = now
            self._demand([*(slot.shape for slot in self._slots.values()), *self._open_shapes()])

    def _open_shapes(self) -> Iterator[Shape]:
        """Yields what more could run at once, if there was room."""
        for name, queue in self.queues.items():
            study = queue.study
            left = round((1 - queue.progress) * (study.tune_total + study.final_total))
            for _ in range(min(left, max(study.window, study.final_total)) if queue.has_work() else 0):
                yield self._shapes[name]

    def _next(self, trial_id: str) -> dict[str, str] | str | None:
        found = self._placer.choose(self._wishes())
        if found is None:
            over = not self._returned and all(queue.exhausted for queue in self.queues.values())
            if not over:
                self._check_stuck()
            return str(Searcher.FINISHED) if over else None
        self._waiting_since = -math.inf
        name, slot = found
        job = self._returned.pop(name, None) or self.queues[name].next_job()
        if job is None:
            self.idle.decline(slot)
            return None
        self.idle.claim(slot)
        self.jobs[trial_id], self._slots[trial_id] = job, slot
        return {
            "job": job.model_dump_json(),
            "worker": self.workers[job.study].model_dump_json(),
            "slot": order(slot),
        }

    def _wishes(self) -> list[Wish]:
        """Returns who wants to run: what was handed out in vain first, then by need."""
        again = [Wish(name, self._shapes[job.study]) for name, job in self._returned.items()]
        warm = {shape for shape in self._shapes.values() if self._placer.is_warm(shape)}
        need = {
            name: queue.progress - (_lead(queue) if self._shapes[name] in warm else 0.0)
            for name, queue in self.queues.items()
        }
        behind = sorted(self.queues.values(), key=lambda queue: need[queue.study.id])
        return again + [Wish(q.study.id, self._shapes[q.study.id], q.has_work) for q in behind]

    def _check_stuck(self) -> None:
        """Gives up once nothing runs and what is left to run fits no node for a long time."""
        if self._slots:
            self._waiting_since = -math.inf
            return
        nodes = list(self._placer.nodes.values())
        stuck = [wish for wish in self._wishes() if not capacity(nodes, wish.shape) and wish.serious()]
        if not stuck:
            return
        queue = self.queues.get(stuck[0].name)
        entry = queue.study.entry if queue else self._returned[stuck[0].name].entry
        text, now = no_room(entry, stuck[0].shape, nodes), self._clock()
        if self._waiting_since == -math.inf:
            self._waiting_since = now
            self._waiting(f"waiting up to {NODE_WAIT_S / 60:g} min for a node: {text}")
        elif now - self._waiting_since > NODE_WAIT_S:
            raise EngineError(text)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tells the study how its job ended; a worker that died without a word is `infra_lost`."""
        job, death = self.jobs.pop(trial_id), self.deaths.pop(trial_id, None)
        if result is None and not error:
            # It never started: not an attempt.
            self._returned[job.trial] = job
            return
        try:
            self._ended(job, result, error, death)
        except Exception as failure:  # noqa: BLE001 - Tune would call again, and raise what comes of that
            self.fail(failure)

    def _ended(self, job: Job, result: dict[str, Any] | None, error: bool, death: TrialResult | None) -> None:
        if not error and result and result.get("status") not in (None, "running"):
            known = known_of({"value": None, **result, "attempt": job.attempt})
        elif self.stopping() and (death is None or death.status == "infra_lost"):
            known = known_of({"status": "interrupted", "value": None, "attempt": job.attempt})
        else:
            known = self.lost(job, death or worker_died(job))
        self.queues[job.study].ended(job, known)
        self.tracker.job_ended(job, known.status, known.value)

    def __getstate__(self) -> dict[str, Any]:
        """Pickles as nothing: Tune writes its state for a restore that is never made."""
        return {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Stays itself: Tune copies its searcher, but journal, lock and display are not to be doubled."""
        return self

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the truth lies in the results store."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing; see `save`."""


def worker_died(job: Job, cause: str = "") -> TrialResult:
    """Returns what becomes of a job whose worker died."""
    detail = f"the worker died (attempt {job.attempt})"
    return TrialResult("infra_lost", f"{detail}: {cause}" if cause else detail)


def _lead(queue: StudyQueue) -> float:
    return max(WARM_LEAD, WARM_TRIALS / max(1, queue.study.tune_total + queue.study.final_total))
