"""One Tune run for the whole suite; running it again finishes what is missing."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from bench.plan.identity import code_fingerprint
from bench.plan.plan import Plan
from bench.results.lock import RunLock
from bench.results.place import Place
from bench.results.store import Store
from bench.run.cluster import Session
from bench.run.early import Early
from bench.run.fuse import Fuse, probe
from bench.run.launch import Launch
from bench.run.options import RunOptions
from bench.run.policy import Allowance
from bench.run.queue import StudyQueue
from bench.run.resume import make_queues, make_tracker
from bench.run.sampling import Mirror
from bench.run.scratch import deliver_all
from bench.run.summary import End, Summary, summarise
from medseg.training.outcome import STORAGE


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
    brought = deliver_all(options.results, options.cache, say)
    if brought:
        console.print(f"Brought up {brought} results that an earlier run had to leave on this machine.")
    store, code = Store(options.results), code_fingerprint()
    store.write_suite(plan.resolved())
    studies = options.chosen.of(plan.studies)
    allowance, fuse = Allowance(options.limit), Fuse(probe(options.results))
    queues = make_queues(plan, studies, store, code, options.policy, allowance, fuse, mirror, say)
    working = [queue.study for queue in queues if queue.has_work()]
    if not working:
        return summarise(queues, idle=True)
    ray.start()
    tracker = make_tracker(queues)
    before = tracker.done
    launch = Launch(plan, options, store, code, console, lock, fuse)
    reason = launch.fit(queues, working, tracker, ray)
    return summarise(queues, tracker.done - before, reason or _end(queues, allowance))


def _end(queues: Sequence[StudyQueue], allowance: Allowance) -> End | None:
    """Says why a run that nobody stopped is not through."""
    if allowance.spent and any(queue.unfinished for queue in queues):
        return "limit"
    # Others may stop workers, too: whoever takes their machine away.
    return "interrupted" if any(queue.standing.interrupted for queue in queues) else None


def journal(results: Place) -> Path | None:
    """Returns where a suite's search is shown unless told otherwise: a file beside its results."""
    return None if results.folder is None else results.folder / "optuna.journal"
