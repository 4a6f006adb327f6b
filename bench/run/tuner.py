"""The one Ray Tune run."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ray import tune
from ray.exceptions import RayError
from ray.tune import RunConfig, TuneConfig
from ray.tune.progress_reporter import TrialProgressCallback
from rich.console import Console

from bench.errors import EngineError
from bench.run.cluster import first_line, live_nodes
from bench.run.hung import Graces, Watch
from bench.run.job import Job, WorkerConfig
from bench.run.nodes import Shape
from bench.run.policy import Known
from bench.run.progress import Display
from bench.run.queue import StudyQueue
from bench.run.scheduler import SuiteScheduler
from bench.run.searcher import SuiteSearcher
from bench.run.signals import Signals
from bench.run.tracker import Tracker
from bench.run.trainable import TrialRunner
from bench.run.workers import request
from medseg.training.outcome import TrialResult

UNBOUNDED = 10**9


class _Follow(TrialProgressCallback):  # type: ignore[misc]
    """Feeds the display, in the place of Tune's own printer."""

    def __init__(self, searcher: SuiteSearcher, display: Display):
        super().__init__()
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

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Nothing: the searcher tells the display."""

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Nothing; see `on_trial_error`."""

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._display.tick()


def fit(
    queues: list[StudyQueue],
    workers: Mapping[str, WorkerConfig],
    tracker: Tracker,
    display: Display,
    stopping: Callable[[], bool],
    lost: Callable[[Job, TrialResult], Known],
    scratch: Path,
    signals: Signals,
    ending: Callable[[], None] = lambda: None,
    demand: Callable[[Sequence[Shape]], None] | None = None,
    graces: Graces = Graces(),  # noqa: B008 - frozen
) -> None:
    """Runs every queue until it is exhausted or `stopping` says so.

    Tune's own state goes to `scratch`: what counts is in the results store. `ending` is called once the run cannot go
    on, to ask running trials to save themselves. `demand` is told now and then what could be used, where nodes may
    be added. `graces` say how long is waited for a trial that hangs.

    Raises:
        OSError: If results or journal can no longer be written; what was running has ended then.
        ResultsError: If an earlier result cannot be read.
        EngineError: If Ray is lost, or what is left to run fits no node.
    """
    # The searcher hands out what has room, and no more.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(UNBOUNDED)
    waiting = partial(_say, display.console)
    searcher = SuiteSearcher(
        queues, workers, tracker, stopping, lost, waiting, live_nodes, demand=demand, ending=ending
    )
    watch = Watch(partial(setattr, display, "message"), graces)
    tuner = tune.Tuner(
        tune.with_resources(TrialRunner, lambda config: request(config["slot"])),
        tune_config=TuneConfig(
            search_alg=searcher,
            scheduler=SuiteScheduler(searcher, signals, watch),
            num_samples=UNBOUNDED,
            reuse_actors=True,
            trial_name_creator=str,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=RunConfig(
            name="suite", storage_path=str(scratch), verbose=0, callbacks=[_Follow(searcher, display)]
        ),
    )
    try:
        with display:
            tuner.fit()
    except (RayError, ConnectionError) as error:
        raise EngineError(f"Ray was lost ({first_line(error)})") from error
    if searcher.failure is not None:
        raise searcher.failure


def _say(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, highlight=False, markup=False)
