"""One Tune run for the whole suite; running it again finishes what is missing."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.errors import ResultsError
from bench.plan.identity import code_fingerprint
from bench.plan.plan import Plan
from bench.plan.registered import with_registered
from bench.results.lock import RunLock
from bench.results.place import Place
from bench.results.store import Store
from bench.run.cluster import Session
from bench.run.compact import compact_if_due
from bench.run.early import Early
from bench.run.fuse import Fuse, probe
from bench.run.launch import Launch
from bench.run.options import RunOptions
from bench.run.policy import Allowance
from bench.run.queue import StudyQueue
from bench.run.record import RunRecord
from bench.run.resume import make_queues, make_tracker
from bench.run.sampling import Mirror
from bench.run.scratch import deliver_all
from bench.run.summary import End, Summary, summarise
from medseg.training.outcome import STORAGE

HURRIED: tuple[End, ...] = ("interrupted", "failure")
"""Whoever ends a run so is not to be kept waiting."""


def run_suite(plan: Plan, options: RunOptions, ray: Early[Session], console: Console) -> Summary:
    """Runs what a plan still misses.

    Args:
        plan: The whole plan, whatever is chosen of it.
        options: How.
        ray: Ray, started or not; it is started once it is sure that there is work.
        console: For the display.

    Raises:
        ResultsError: If another run holds the results, or they cannot be read.
        EngineError: If Ray cannot be started, or is lost.
        OSError: If results cannot be written any more.
        KeyboardInterrupt: If interrupted twice.
    """
    target = options.storage or journal(options.results)
    mirror = Mirror(target) if target is not None else None
    try:
        with RunLock(options.results, console.print) as lock, mirror or nullcontext():
            summary = _run_held(plan, options, ray, console, lock, mirror)
    except OSError as error:
        if error.filename is not None or error.errno not in STORAGE:
            raise
        # The system does not say which file did not find room.
        raise OSError(error.errno, error.strerror, str(options.results)) from error
    return replace(summary, note=mirror.problem) if mirror is not None else summary


def _run_held(
    plan: Plan,
    options: RunOptions,
    ray: Early[Session],
    console: Console,
    lock: RunLock,
    mirror: Mirror | None,
) -> Summary:
    say = partial(console.print, soft_wrap=True, highlight=False, markup=False)
    brought = deliver_all(options.results, options.cache, say, options.policy.anew)
    if brought:
        console.print(f"Brought up {brought} results that an earlier run had to leave on this machine.")
    store, code = Store(options.results), code_fingerprint()
    store.write_suite(with_registered(plan.resolved(), _kept(store), datetime.now(UTC)))
    studies = options.chosen.of(plan.studies)
    allowance, fuse = Allowance(options.limit), Fuse(probe(options.results))
    queues = make_queues(plan, studies, store, code, options.policy, allowance, fuse, mirror, say)
    working = [queue.study for queue in queues if queue.has_work()]
    with RunRecord(store, plan, code, options.command) as record:
        if not working:
            record.summary = summarise(queues, idle=True)
        else:
            ray.start()
            tracker = make_tracker(queues)
            before = tracker.done
            launch = Launch(plan, options, store, code, console, lock, fuse, record.run)
            reason = launch.fit(queues, working, tracker, ray)
            record.summary = summarise(queues, tracker.done - before, reason or _end(queues, allowance))
    if record.summary.end not in HURRIED:
        _gather(store.root, console, say)
    return record.summary


def _gather(results: Place, console: Console, say: Callable[[str], object]) -> None:
    with console.status("gathering results") as status:

        def watch(done: int, total: int) -> None:
            status.update(f"gathering results: {done:,} of {total:,} trials")

        problem = compact_if_due(results, watch)
    if problem:
        say(problem)


def _kept(store: Store) -> dict[str, Any] | None:
    """Returns the suite that was kept before; a damaged one is about to be renewed."""
    try:
        return store.read_suite()
    except ResultsError:
        return None


def _end(queues: Sequence[StudyQueue], allowance: Allowance) -> End | None:
    """Says why a run that nobody stopped is not through."""
    if allowance.spent and any(queue.unfinished for queue in queues):
        return "limit"
    # Others may stop workers, too: whoever takes their machine away.
    return "interrupted" if any(queue.standing.interrupted for queue in queues) else None


def journal(results: Place) -> Path | None:
    """Returns where a suite's search is shown unless told otherwise: a file beside its results."""
    return None if results.folder is None else results.folder / "optuna.journal"
