"""What is known about a run while it goes: per study, and how long it will still take."""

import time
from collections import Counter
from dataclasses import dataclass, field

from bench.run.job import Job
from bench.run.policy import RETRIED
from bench.run.queue import StudyQueue


@dataclass
class StudyState:
    """Counts of one study, as the display shows them; its queue knows what was spent and why it stopped."""

    task: str
    entry: str
    tune_total: int
    final_total: int
    tune_epochs: int
    final_epochs: int
    tune_done: int = 0
    final_done: int = 0
    failed: int = 0
    pruned: int = 0
    running: int = 0
    best: float | None = None
    queue: StudyQueue | None = None


@dataclass
class _Pace:
    """Epochs that were seen, and how long they took."""

    epochs: int = 0
    seconds: float = 0.0


@dataclass
class Tracker:
    """Follows jobs and epochs. Pure bookkeeping: the display reads it, the searcher and callbacks write it."""

    studies: dict[str, StudyState]
    slots: int
    started: float = field(default_factory=time.monotonic)
    _live: dict[str, int] = field(default_factory=dict)
    _live_epochs: Counter[str] = field(default_factory=Counter)
    _pace: dict[str, _Pace] = field(default_factory=dict)
    _began: dict[str, float] = field(default_factory=dict)
    _last_event: dict[str, float] = field(default_factory=dict)

    def job_started(self, job: Job) -> None:
        """A slot took a job."""
        self._live[job.trial] = 0
        self._began[job.trial] = self._last_event[job.trial] = time.monotonic()
        state = self.studies[job.study]
        state.running += 1
        if job.number >= 0:
            # A budget in device time does not say beforehand how many trials it pays for.
            state.tune_total = max(state.tune_total, state.tune_done + state.running)

    def epoch_done(self, job: Job, epoch: int) -> None:
        """A job finished an epoch."""
        if job.trial not in self._live:
            return
        now = time.monotonic()
        if epoch > 1:
            pace = self._pace.setdefault(job.study, _Pace())
            pace.epochs += 1
            pace.seconds += now - self._last_event[job.trial]
        self._last_event[job.trial] = now
        self._live_epochs[job.study] += epoch - self._live[job.trial]
        self._live[job.trial] = epoch

    def running_s(self, job: Job) -> float:
        """Returns how long a job has been running; 0 if it is not."""
        began = self._began.get(job.trial)
        return 0.0 if began is None else time.monotonic() - began

    def job_ended(self, job: Job, status: str, value: float | None) -> None:
        """A job ended with a status."""
        state = self.studies[job.study]
        if job.trial in self._live:
            state.running -= 1
            self._live_epochs[job.study] -= self._live.pop(job.trial)
            del self._began[job.trial], self._last_event[job.trial]
        if state.queue is not None:
            # A number whose setting was trained already ends with the trial that was.
            state.tune_done = state.queue.spending.trials
        if status in RETRIED:
            return
        if status == "pruned":
            state.pruned += 1
        elif status != "complete":
            state.failed += 1
        if job.number >= 0:
            state.tune_done += state.queue is None
            if status == "complete" and value is not None:
                state.best = value if state.best is None else max(state.best, value)
        else:
            state.final_done += 1

    @property
    def planned(self) -> int:
        """Trials of the plan."""
        return sum(s.tune_total + s.final_total for s in self.studies.values())

    @property
    def done(self) -> int:
        """Trials that have a row."""
        return sum(s.tune_done + s.final_done for s in self.studies.values())

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run started."""
        return time.monotonic() - self.started

    def time_left_s(self) -> float | None:
        """Estimates the rest from the seconds per epoch seen so far; None before there are any."""
        epochs = sum(pace.epochs for pace in self._pace.values())
        if not epochs:
            return None
        overall = sum(pace.seconds for pace in self._pace.values()) / epochs
        total = 0.0
        for key, state in self.studies.items():
            pace = self._pace.get(key)
            per_epoch = pace.seconds / pace.epochs if pace else overall
            left = state.tune_epochs * (state.tune_total - state.tune_done)
            left += state.final_epochs * (state.final_total - state.final_done)
            total += max(0, left - self._live_epochs[key]) * per_epoch
        return total / max(1, self.slots)
