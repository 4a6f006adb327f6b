"""The processes of one trial: they train together, end together, and go on together where one of them died.

While they train they wait for one another, so a process that died or failed leaves the others waiting for ever. They
are ended then. Those that end a trial alike stay for the next one.
"""

import logging
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from bench.run.job import Job, WorkerConfig
from bench.run.process import Limits
from medseg.training.outcome import Epoch, Status, TrialResult
from medseg.training.trial_data import Again

log = logging.getLogger(__name__)
# So often in a row, without an epoch in between, processes may die before the trial is given up.
MAX_LOSSES = 3
# Seconds beyond the time limit after which processes that do not answer count as hung.
HUNG_AFTER_S = 300.0


@dataclass(frozen=True)
class Failure:
    """How a process failed.

    Args:
        status: What it makes of the trial.
        detail: In one line.
        trace: The traceback.
        lost: Only because another process is gone.
        again: How to go on after memory ran out; none: don't.
    """

    status: Status
    detail: str
    trace: str = ""
    lost: bool = False
    again: Again | None = None


Answer = Epoch | TrialResult | Failure


class FailureError(Exception):
    """A process failed, and with it the trial."""

    def __init__(self, failure: Failure):
        self.failure = failure
        super().__init__(failure.detail)


class LostError(Exception):
    """A process died."""


class SilentError(Exception):
    """The processes do not answer."""


class Crew(Protocol):
    """Processes, wherever they live."""

    @property
    def alive(self) -> bool:
        """Whether they were started and not ended."""

    def start(self, worker: WorkerConfig) -> None:
        """Starts as many as a trial of this kind has.

        Raises:
            LostError: If one of them died.
        """

    def ask(self, call: str, *arguments: Any, timeout_s: float | None = None) -> Iterator[tuple[int, Any]]:
        """Calls a method of all of them at the same time, and yields their numbers and answers as they come.

        Raises:
            LostError: As soon as one of them died.
            SilentError: If none answers for `timeout_s`.
        """

    def end(self) -> None:
        """Ends all of them at once, whatever they are doing."""


class Group:
    """Trains one trial after another in the same processes.

    Args:
        crew: The processes.

    Attributes:
        losses: How often processes of the current trial died.
    """

    def __init__(self, crew: Crew):
        self._crew = crew
        self.losses = 0
        # Importing torch is no part of a trial's cost, as in a trial of one process.
        self._starting_s = 0.0

    def run(self, job: Job, worker: WorkerConfig, limits: Limits) -> Generator[Epoch, None, TrialResult]:
        """Trains one trial, from its checkpoint where there is one, also after a process died.

        Args:
            job: The trial.
            worker: Of the run.
            limits: Of the trial; its caller lets it look between two epochs.

        Yields:
            A report per epoch, each epoch once.

        Returns:
            What the trial leaves; `infra_lost` if its processes keep dying.

        Raises:
            FailureError: If the trial failed, or was stopped.
        """
        self.losses = in_a_row = seen = 0
        self._starting_s = 0.0
        again = Again()
        while True:
            try:
                self._begin(job, worker, limits, again)
                while True:
                    answer = self._advance(limits)
                    if isinstance(answer, TrialResult):
                        return answer
                    # After a loss the epochs since the last checkpoint come once more.
                    if answer.epoch > seen:
                        seen, in_a_row = answer.epoch, 0
                        yield answer
            except LostError as error:
                self.close()
                self.losses += 1
                in_a_row += 1
                log.warning("%s: %s", job.trial, error)
                if in_a_row == MAX_LOSSES:
                    return TrialResult("infra_lost", f"{error}, {in_a_row} times in a row after epoch {seen}")
                again = replace(again, spent_s=limits.elapsed_s - self._starting_s)
            except FailureError as error:
                if error.failure.again is None:
                    raise
                again = error.failure.again
            except SilentError as error:
                self.close()
                return TrialResult("timeout", str(error))
            except Exception:
                self.close()
                raise

    def close(self) -> None:
        """Ends the processes."""
        self._crew.end()

    def _begin(self, job: Job, worker: WorkerConfig, limits: Limits, again: Again) -> None:
        if not self._crew.alive:
            before_s = limits.elapsed_s
            try:
                self._crew.start(worker)
            finally:
                self._starting_s += limits.elapsed_s - before_s
        told = (job.model_dump_json(), worker.model_dump_json(), again, limits.elapsed_s)
        for _ in self._crew.ask("begin", *told):
            pass

    def _advance(self, limits: Limits) -> Epoch | TrialResult:
        """Lets all processes train an epoch, and returns what the first one says."""
        left = None if limits.left_s is None else max(0.0, limits.left_s) + HUNG_AFTER_S
        answers: dict[int, Answer] = {}
        answer: Answer
        for rank, answer in self._crew.ask("advance", limits.pruned, timeout_s=left):
            if ends_alone(answer):
                self.close()
                if not isinstance(answer, Failure):
                    return answer
                raise LostError(answer.detail) if answer.lost else FailureError(answer)
            answers[rank] = answer
        first = answers[0]
        if isinstance(first, Failure):
            raise FailureError(first)
        return first


def ends_alone(answer: Answer) -> bool:
    """Says whether a process has ended in a way in which the others do not end, too."""
    if isinstance(answer, Failure):
        return answer.status != "interrupted"
    return isinstance(answer, TrialResult) and answer.status == "oom"
