"""Ends a run in which nothing but losses comes back."""

import os
from collections.abc import Callable

from bench.errors import EngineError
from bench.results.place import Place
from bench.run.retries import MAX_ATTEMPTS
from medseg.training.outcome import STORAGE

TRIALS = 5
PROBE, PROBE_BYTES = ".probe", 4 * 2**20


class Fuse:
    """Tells losses that trials bring on themselves from those that would take every trial.

    Args:
        probe: Raises an OSError where results cannot be written any more.

    Attributes:
        slots: Trials that run at once; one machine that dies takes several of them.
    """

    def __init__(self, probe: Callable[[], None] = lambda: None):
        self.slots = 1
        self._probe = probe
        self._losses, self._trials = 0, set[str]()

    def lost(self, trial: str, detail: str) -> None:
        """A trial was lost.

        Raises:
            OSError: If the reason is that results cannot be written any more.
            EngineError: If this happened to several trials in turn, as often as they were tried, and nothing went
                well meanwhile.
        """
        if any(os.strerror(number) in detail for number in STORAGE):
            self._probe()
        self._losses += 1
        self._trials.add(trial)
        if len(self._trials) >= TRIALS and self._losses >= max(TRIALS * MAX_ATTEMPTS, 2 * self.slots):
            raise EngineError(
                f"the last {self._losses} attempts at trials were all lost, the last one: {detail}"
            )

    def fine(self) -> None:
        """A trial came to an end, good or bad."""
        self._losses = 0
        self._trials.clear()


def probe(results: Place) -> Callable[[], None]:
    """Returns what writes as much as a small checkpoint, and removes it."""

    def write() -> None:
        results.write(PROBE, bytes(PROBE_BYTES))
        results.delete(PROBE)

    return write
