"""What is known about a run while it goes: per study, and how long it will still take."""

import time
from collections import defaultdict
from dataclasses import dataclass, field

from bench.run.job import Job


@dataclass
class StudyState:
    """Counts of one study, as the display shows them."""

    task: str
    entry: str
    tune_total: int
    final_total: int
    tune_epochs: int
    final_epochs: int
    tune_done: int = 0
    final_done: int = 0
    failed: int = 0
    running: int = 0
    best: float | None = None
    note: str = ""


@dataclass
class Tracker:
    """Follows jobs and epochs. Pure bookkeeping: the display reads it, the searcher and callbacks write it."""

    studies: dict[str, StudyState]
    slots: int
    started: float = field(default_factory=time.monotonic)
    _live: dict[str, tuple[Job, int]] = field(default_factory=dict)
    _epoch_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _last_event: dict[str, float] = field(default_factory=dict)

    def job_started(self, job: Job) -> None:
        """A slot took a job."""
        self._live[job.trial] = (job, 0)
        self._last_event[job.trial] = time.monotonic()
        state = self.studies[job.study]
        state.running += 1
        if job.number >= 0:
            # A budget in device time does not say beforehand how many trials it pays for.
            state.tune_total = max(state.tune_total, state.tune_done + state.running)

    def epoch_done(self, job: Job, epoch: int) -> None:
        """A job finished an epoch."""
        now = time.monotonic()
        if job.trial in self._last_event and epoch > 1:
            self._epoch_s[job.study].append(now - self._last_event[job.trial])
        self._last_event[job.trial] = now
        self._live[job.trial] = (job, epoch)

    def job_ended(self, job: Job, status: str, value: float | None) -> None:
        """A job ended with a status."""
        state = self.studies[job.study]
        if self._live.pop(job.trial, None) is not None:
            state.running -= 1
        self._last_event.pop(job.trial, None)
        if status in ("interrupted", "infra_lost"):
            return
        if status != "complete":
            state.failed += 1
        if job.number >= 0:
            state.tune_done += 1
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
        seen = [s for times in self._epoch_s.values() for s in times]
        if not seen:
            return None
        overall = sum(seen) / len(seen)
        total = 0.0
        for key, state in self.studies.items():
            times = self._epoch_s.get(key)
            per_epoch = sum(times) / len(times) if times else overall
            epochs = (state.tune_total - state.tune_done) * state.tune_epochs
            epochs += (state.final_total - state.final_done) * state.final_epochs
            epochs -= sum(done for job, done in self._live.values() if job.study == key)
            total += max(0, epochs) * per_epoch
        return total / max(1, self.slots)
