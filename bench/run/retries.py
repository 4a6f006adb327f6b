"""Lost jobs: how often they are tried again, and when."""

import heapq
import time
from collections import Counter
from collections.abc import Callable

from bench.run.job import Job

MAX_ATTEMPTS = 4
"""Of one trial in one run, if its worker dies each time or is stopped by someone else."""
FIRST_WAIT_S, LONGER = 1.0, 4.0


class Retries:
    """Jobs that wait for their next attempt: 1 s, then 4 s, then 16 s. Their slots serve others meanwhile.

    Args:
        clock: Seconds, from any start.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._losses: Counter[str] = Counter()
        self._waiting: list[tuple[float, int, Job]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def lost(self, job: Job) -> bool:
        """Takes a lost job; says whether it will be tried again."""
        self._losses[job.trial] += 1
        losses = self._losses[job.trial]
        if losses >= MAX_ATTEMPTS:
            return False
        due = self._clock() + FIRST_WAIT_S * LONGER ** (losses - 1)
        again = job.model_copy(update={"attempt": job.attempt + 1})
        # The count keeps the heap from comparing jobs.
        self._count += 1
        heapq.heappush(self._waiting, (due, self._count, again))
        return True

    @property
    def due(self) -> bool:
        """Whether a job has waited long enough."""
        return bool(self._waiting) and self._waiting[0][0] <= self._clock()

    def take(self) -> Job:
        """Returns the job that has waited longest beyond its time."""
        return heapq.heappop(self._waiting)[2]
