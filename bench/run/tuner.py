"""The one Ray Tune run."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import Callback, PlacementGroupFactory, RunConfig, TuneConfig

from bench.run.job import Job, WorkerConfig
from bench.run.progress import Display
from bench.run.queue import StudyQueue
from bench.run.searcher import SuiteSearcher
from bench.run.tracker import Tracker
from bench.run.trainable import TrialRunner

UNBOUNDED = 10**9


class _Follow(Callback):  # type: ignore[misc]
    """Feeds the display."""

    def __init__(self, searcher: SuiteSearcher, display: Display):
        self._searcher, self._display = searcher, display

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Follow":
        return self

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        job = self._searcher.jobs.get(trial.trial_id)
        if job is not None:
            self._searcher.tracker.job_started(job)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        job = self._searcher.jobs.get(trial.trial_id)
        if job is not None and result.get("status") == "running":
            self._searcher.tracker.epoch_done(job, int(result["epoch"]))

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._display.tick()


def fit(
    queues: list[StudyQueue],
    workers: Mapping[str, WorkerConfig],
    tracker: Tracker,
    display: Display,
    stopping: Callable[[], bool],
    lost: Callable[[Job], None],
    scratch: Path,
) -> None:
    """Runs every queue until it is exhausted or `stopping` says so.

    Tune's own state goes to `scratch`: what counts is in the results store and the Optuna journal.

    Raises:
        OSError: If results or journal can no longer be written; what was running has ended then.
        ResultsError: If an earlier result cannot be read.
    """
    searcher = SuiteSearcher(queues, workers, tracker, stopping, lost)
    tuner = tune.Tuner(
        tune.with_resources(TrialRunner, request),
        tune_config=TuneConfig(
            search_alg=searcher,
            num_samples=UNBOUNDED,
            reuse_actors=True,
            trial_name_creator=str,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=RunConfig(
            name="suite", storage_path=str(scratch), verbose=0, callbacks=[_Follow(searcher, display)]
        ),
    )
    with display:
        tuner.fit()
    if searcher.failure is not None:
        raise searcher.failure


def request(config: dict[str, Any]) -> PlacementGroupFactory:
    """Returns what one trial takes of a node."""
    worker = json.loads(config["worker"])
    bundle = {"CPU": worker["cpus"], "memory": worker["memory_gb"] * 2**30}
    if worker["gpus"]:
        bundle["GPU"] = worker["gpus"]
    return PlacementGroupFactory([bundle])
