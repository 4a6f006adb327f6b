"""Trials that do not end: long beyond their time limit, or although the run is to stop. Bookkeeping without Ray.

Trials look between their steps whether they are to end, so one that hangs within a step never does. Its worker is
killed.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bench.run.group import HUNG_AFTER_S
from bench.run.job import Job

# Seconds that trials have to save themselves once the run is to stop.
STOP_GRACE_S = 120.0
LOOK_EVERY_S, SAY_EVERY_S = 1.0, 15.0
NAMED = 3


@dataclass(frozen=True)
class Graces:
    """How long to wait for a trial that should have ended.

    Args:
        limit_s: Beyond its time limit.
        several_s: Further seconds for one of several processes, which notices by itself that they hang.
        stop_s: After the run was asked to stop.
    """

    limit_s: float = HUNG_AFTER_S
    several_s: float = 60.0
    stop_s: float = STOP_GRACE_S


@dataclass(frozen=True)
class Running:
    """A trial that has a worker.

    Args:
        id: Of the Tune trial.
        job: What it does.
        running_s: For how long.
        timeout_s: How long it may; none: no limit.
        processes: How many train it.
    """

    id: str
    job: Job
    running_s: float = 0.0
    timeout_s: float | None = None
    processes: int = 1


class Watch:
    """Says which workers are to be killed, and, once the run is to stop, who is waited for.

    Args:
        say: Told in a line, now and then, who is waited for.
        graces: How long to wait.
        clock: Seconds, from any start.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        graces: Graces = Graces(),
        clock: Callable[[], float] = time.monotonic,
    ):
        self._say, self._graces, self._clock = say, graces, clock
        self._looked = -math.inf
        self._stopped_at: float | None = None
        self._said_at = 0.0
        self._late: dict[str, str] = {}

    def look(self, running: Iterable[Running], stopping: bool) -> list[str]:
        """Returns the ids of trials whose workers are to be killed now; again, until they are gone.

        Args:
            running: The trials that run; not looked at more than once a second.
            stopping: Whether the run is to stop.
        """
        now = self._clock()
        if now - self._looked < LOOK_EVERY_S:
            return []
        self._looked = now
        trials = list(running)
        kill = [trial.id for trial in trials if self._is_late(trial)]
        if stopping and trials:
            kill += self._stop(trials, now)
        return list(dict.fromkeys(kill))

    def take(self, trial_id: str) -> str | None:
        """Returns why a trial's worker was killed, if it ran too long, and forgets it."""
        return self._late.pop(trial_id, None)

    def _is_late(self, trial: Running) -> bool:
        if trial.timeout_s is None:
            return False
        grace = self._graces.limit_s + (self._graces.several_s if trial.processes > 1 else 0.0)
        if trial.running_s <= trial.timeout_s + grace:
            return False
        self._late[trial.id] = (
            f"the trial ran longer than {trial.timeout_s:g} s; its worker hung and was ended"
        )
        return True

    def _stop(self, trials: list[Running], now: float) -> list[str]:
        if self._stopped_at is None:
            self._stopped_at = self._said_at = now
        left = self._stopped_at + self._graces.stop_s - now
        over = left <= 0
        if over or now - self._said_at >= SAY_EVERY_S:
            self._said_at = now
            if over:
                self._say(f"ending what did not save itself in {self._graces.stop_s:g} s: {names(trials)}")
            else:
                self._say(f"waiting up to {left:.0f} s for {names(trials)} (Ctrl-C: stop now)")
        return [trial.id for trial in trials] if over else []


def names(trials: list[Running]) -> str:
    """Returns which trials these are, in a line."""
    named = "; ".join(_name(trial.job) for trial in trials[:NAMED])
    more = len(trials) - NAMED
    return named + (f"; and {more} more" if more > 0 else "")


def _name(job: Job) -> str:
    spec = job.spec
    which = f"trial {job.number}" if job.number >= 0 else f"fold {spec.fold} seed {spec.seed}"
    return f"{spec.task.name}: {job.entry}, {which}"
