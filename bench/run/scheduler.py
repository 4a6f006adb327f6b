"""The composite scheduler: asks each study's pruner, ends trials that hang, and takes back what cannot start."""

from collections.abc import Iterator
from typing import Any

import ray
from ray.tune.schedulers import FIFOScheduler

from bench.run.deaths import cause_of, take_all_deaths
from bench.run.hung import Running, Watch
from bench.run.searcher import SuiteSearcher, worker_died
from bench.run.signals import Signals
from medseg.training.outcome import TrialResult


class SuiteScheduler(FIFOScheduler):  # type: ignore[misc]
    """Trials of different studies never compete: each study prunes by its own scores.

    A trial that is to be pruned is told so by a flag, before its next epoch is sent: it ends itself, and writes what
    it has cost.

    Args:
        searcher: Knows which job each trial runs, and where.
        signals: Seen by all workers.
        watch: Knows which trials hang.
    """

    def __init__(self, searcher: SuiteSearcher, signals: Signals, watch: Watch):
        super().__init__()
        self._searcher, self._signals, self._watch = searcher, signals, watch
        # Trials without a result so far; Tune's own list holds every trial there ever was.
        self._starting: dict[str, Any] = {}
        self._trials: dict[str, Any] = {}
        self._patched: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __deepcopy__(self, memo: dict[int, Any]) -> "SuiteScheduler":
        return self

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Takes over which actors are reused, see `IdleWorkers`, and what counts as the death of one."""
        controller = getattr(tune_controller, "_tune_controller", tune_controller)
        controller._actor_cache = self._searcher.idle
        if self._patched is not controller:
            self._patched = controller
            take_all_deaths(controller._actor_manager)
        self._starting[trial.trial_id] = self._trials[trial.trial_id] = trial

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """Looks after trials, at each step of Tune; it starts them in their order.

        A trial's node may leave before its worker is there, and once the run is to stop none shall start.
        """
        for trial in list(self._starting.values()):
            if trial.status == "PENDING" and not self._searcher.can_start(trial.trial_id):
                # Tune's final table asks each trial for its folder, which one that was never staged does not have.
                trial.init_local_path()
                tune_controller.stop_trial(trial)
        for trial_id in self._watch.look(self._running(), self._searcher.stopping()):
            # Tune hears of it as of any worker that died.
            actor = self._trials[trial_id].temporary_state.ray_actor
            if actor is not None:
                ray.kill(actor)

    def _running(self) -> Iterator[Running]:
        for trial_id, trial in self._trials.items():
            job = self._searcher.jobs.get(trial_id)
            if job is not None and trial.status == "RUNNING":
                worker = self._searcher.workers[job.study]
                running_s = self._searcher.tracker.running_s(job)
                yield Running(trial_id, job, running_s, worker.timeout_s, worker.processes)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Asks the study whether a trial should go on."""
        self._starting.pop(trial.trial_id, None)
        job = self._searcher.jobs.get(trial.trial_id)
        if job is not None and result.get("status") == "running":
            try:
                # Of a trial that goes on from its checkpoint, the study may not know how it went before.
                for epoch, score in enumerate(result.get("earlier", ()), start=1):
                    self._searcher.report(job, epoch, float(score))
                if self._searcher.report(job, int(result["epoch"]), float(result["score"])):
                    self._signals.prune(job.trial)
            except Exception as error:  # noqa: BLE001 - Tune would take it for the trial's
                self._searcher.fail(error)
        return str(self.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Takes a slot back; its worker may stay."""
        self._ended(trial)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Takes a slot back whose worker died, and says why it did."""
        job, late = self._searcher.jobs.get(trial.trial_id), self._watch.take(trial.trial_id)
        if job is not None:
            death = TrialResult("timeout", late) if late else worker_died(job, cause_of(trial))
            self._searcher.deaths[trial.trial_id] = death
        self._ended(trial)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Takes a slot back, where nothing started."""
        self._ended(trial)

    def _ended(self, trial: Any) -> None:
        self._starting.pop(trial.trial_id, None)
        self._trials.pop(trial.trial_id, None)
        self._watch.take(trial.trial_id)
        self._searcher.leave(trial.trial_id)
