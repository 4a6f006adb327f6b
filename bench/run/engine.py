"""One Tune run for the whole suite; running it again finishes what is missing."""

import json
import math
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from bench.plan.identity import code_fingerprint
from bench.plan.plan import Plan
from bench.plan.study import Study
from bench.results.lock import RunLock
from bench.results.select import newest_per_trial
from bench.results.store import Store
from bench.run.cluster import count_slots, ray_session
from bench.run.interrupt import StopRequest
from bench.run.job import Job, WorkerConfig
from bench.run.progress import Display
from bench.run.queue import RETRIED, Known, Only, Policy, StudyQueue
from bench.run.rows import trial_row
from bench.run.sampling import Sampling, open_storage
from bench.run.tracker import StudyState, Tracker
from medseg.data import index_dataset, prepare
from medseg.training.outcome import TrialResult


@dataclass(frozen=True)
class RunOptions:
    """How to run; nothing here changes a number.

    Args:
        results: Folder of the suite's results.
        cache: Folder of prepared data and phantoms.
        only: Which trials that have rows are run again.
        cpus: Cores to use; none takes all.
        timeout_s: Longest a trial may take.
        verbose: Let Ray and the workers print.
    """

    results: Path
    cache: Path
    only: Only = "missing"
    cpus: int | None = None
    timeout_s: float | None = None
    verbose: bool = False


@dataclass(frozen=True)
class Summary:
    """How a run ended."""

    planned: int
    ran: int
    complete: int
    stale: int
    failed: dict[str, int] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    hopeless: tuple[str, ...] = ()
    interrupted: bool = False
    idle: bool = False


def run_suite(plan: Plan, options: RunOptions, console: Console) -> Summary:
    """Runs what a plan still misses.

    Raises:
        ResultsError: If another run holds the results, or they cannot be read.
        KeyboardInterrupt: If interrupted twice.
    """
    with RunLock(options.results):
        store = Store(options.results)
        store.write_suite(plan.resolved())
        code = code_fingerprint()
        queues = make_queues(plan, store, code, options)
        tracker = make_tracker(plan, queues)
        before = tracker.done
        idle = not any(queue.has_work() for queue in queues)
        interrupted = False
        if not idle:
            _prepare(plan, options.cache, console)
            interrupted = _fit(plan, queues, store, tracker, code, options, console)
        return summarise(queues, tracker.done - before, interrupted, idle)


def make_queues(plan: Plan, store: Store, code: str, options: RunOptions) -> list[StudyQueue]:
    """Returns a queue per study, holding what the store and the Optuna journal know."""
    trials = store.trials()
    known = known_trials(trials, code)
    storage = open_storage(options.results / "optuna.journal")
    queues = []
    for study in plan.studies:
        data = plan.data[study.task.name]
        sampling = Sampling(study, storage, tuned(trials, study)) if study.tune_total else None
        queues.append(
            StudyQueue(study, sampling, known, Policy(options.only), (data.fingerprint, data.split.hash))
        )
    return queues


def known_trials(trials: pd.DataFrame, code: str) -> dict[str, Known]:
    """Returns what the store says of each trial, by the rule that the leaderboard follows too."""
    found: dict[str, Known] = {}
    for row in newest_per_trial(trials, code).to_dict("records"):
        value = row["value"]
        found[row["trial"]] = Known(
            status=row["status"],
            value=None if value is None or math.isnan(value) else float(value),
            stale=bool(row["stale"]),
            attempt=int(row["attempt"]),
            device_s=float(row["device_s"]) if pd.notna(row["device_s"]) else 0.0,
            detail=row["detail"],
        )
    return found


def tuned(trials: pd.DataFrame, study: Study) -> list[tuple[dict[str, Any], float | None]]:
    """Returns the settled tuning trials of a study in the order of their numbers: setting and score."""
    mine = trials[(trials["study"] == study.id) & (trials["phase"] == "tune")]
    mine = (
        mine[~mine["status"].isin(RETRIED)].sort_values("finished_at").drop_duplicates("trial", keep="last")
    )
    return [
        (json.loads(row["setting_json"]), float(row["value"]) if row["status"] == "complete" else None)
        for row in mine.sort_values("number").to_dict("records")
    ]


def make_tracker(plan: Plan, queues: Sequence[StudyQueue]) -> Tracker:
    """Returns the display's bookkeeping, counting what is already there."""
    states = {}
    for study, queue in zip(plan.studies, queues, strict=True):
        tune, final = queue.finished()
        state = StudyState(
            task=study.task.name,
            entry=study.entry,
            tune_total=study.tune_total,
            final_total=study.final_total,
            tune_epochs=study.tune_epochs,
            final_epochs=study.final_epochs,
            tune_done=len(tune),
            final_done=len(final),
            failed=sum(known.status != "complete" for known in (*tune, *final)),
        )
        state.best = max((k.value for k in tune if k.value is not None), default=None)
        states[study.id] = state
    return Tracker(states, slots=1)


def summarise(queues: Sequence[StudyQueue], ran: int, interrupted: bool, idle: bool = False) -> Summary:
    """Counts how the plan's trials stand."""
    rows: list[Known] = []
    reasons: dict[str, None] = {}
    planned = 0
    for queue in queues:
        study = queue.study
        tune, final = queue.finished(lost=True)
        # How many trials a budget in device time pays for is known only when it is spent.
        planned += max(study.tune_total, len(tune)) + study.final_total
        rows += [*tune, *final]
        for known in (*tune, *final):
            if known.status != "complete":
                reasons[f"{study.task.name}: {study.entry}: {known.status}: {known.detail}"] = None
    return Summary(
        planned=planned,
        ran=ran,
        complete=sum(known.status == "complete" for known in rows),
        stale=sum(known.stale for known in rows),
        failed=dict(Counter(known.status for known in rows if known.status != "complete")),
        reasons=tuple(reasons),
        hopeless=tuple(f"{q.study.task.name}: {q.study.entry}" for q in queues if q.failed),
        interrupted=interrupted,
        idle=idle,
    )


def _prepare(plan: Plan, cache: Path, console: Console) -> None:
    with console.status("preparing data") as status:

        def watch(task: str, done: int, total: int) -> None:
            status.update(f"{task}: prepared {done:,} of {total:,} cases")

        for name, data in plan.data.items():
            dataset = index_dataset(data.spec, data.root, cache, beside=data.beside)
            prepared = prepare(data.spec, dataset, cache, partial(watch, name))
            if prepared.cut_share > 0:
                console.print(
                    f"{name}: {max(prepared.cut_share, 1e-4):.2%} of the foreground lies beyond image_size and is "
                    f"missed by every model; bench data check says where",
                    soft_wrap=True,
                    highlight=False,
                )


def _fit(
    plan: Plan,
    queues: list[StudyQueue],
    store: Store,
    tracker: Tracker,
    code: str,
    options: RunOptions,
    console: Console,
) -> bool:
    display = Display(tracker, console)
    roots = {name: data.root for name, data in plan.data.items()}
    workers = {study.id: _worker(plan, study, roots, code, options) for study in plan.studies}

    def stopping() -> None:
        display.message = "stopping: running trials save themselves (Ctrl-C again: stop now)"

    def lost(job: Job) -> None:
        result = TrialResult("infra_lost", f"the worker died (attempt {job.attempt})")
        store.write(trial_row(job, workers[job.study], result), [], [])

    with (
        StopRequest(options.results / "stop", stopping) as stop,
        tempfile.TemporaryDirectory(prefix="bench-") as scratch,
        ExitStack() as session,
    ):
        with console.status("starting workers"):
            nodes = session.enter_context(ray_session(options.cpus, options.verbose))
            from bench.run.tuner import fit
        stop.listen()
        tracker.slots = count_slots(nodes, {study.entry: study.resources for study in plan.studies})
        fit(queues, workers, tracker, display, lambda: stop.requested, lost, Path(scratch))
        return stop.requested


def _worker(plan: Plan, study: Study, roots: dict[str, Path], code: str, options: RunOptions) -> WorkerConfig:
    return WorkerConfig(
        suite=plan.suite.suite,
        results=options.results.absolute(),
        cache=options.cache.absolute(),
        roots=roots,
        beside=plan.data[study.task.name].beside,
        code=code,
        cpus=study.resources.cpus,
        gpus=study.resources.gpus,
        memory_gb=study.resources.memory_gb,
        stop_file=(options.results / "stop").absolute(),
        timeout_s=options.timeout_s,
        keep_predictions=plan.suite.keep_predictions,
    )
