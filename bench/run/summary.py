"""How a run ended, in numbers and words, and with which exit code."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from bench.run.policy import Known
from bench.run.queue import StudyQueue

INTERRUPTED, STOPPED, FAILED = 130, 5, 1
End = Literal["interrupted", "time is up", "failure", "limit"]


@dataclass(frozen=True)
class Spent:
    """What the tuning of one study has cost.

    Args:
        task: Its task.
        entry: Its entry.
        budget: What it may spend, in words.
        trials: Tuning trials, failed and pruned ones included.
        pruned: Of these, ended early.
        failed: Of these, failed.
        epochs: Charged epochs.
        device_s: Seconds of a device.
    """

    task: str
    entry: str
    budget: str
    trials: int
    pruned: int
    failed: int
    epochs: int
    device_s: float


@dataclass(frozen=True)
class Summary:
    """How a run ended.

    Args:
        planned: Trials of the plan, or of the studies that were chosen.
        ran: Trials that this run decided.
        complete: Trials that are complete.
        stale: Trials whose row was made by other code.
        pruned: Trials that were ended early by their scores.
        failed: Trials that did not complete, by status.
        hopeless_losses: Of those that are `infra_lost`, the ones that are not tried again by themselves.
        kept: Trials that were to run again and were lost at every attempt, so that the earlier result stands.
        reasons: Why, each once.
        hopeless: Studies of which no tuning trial can be chosen, with the constraints that none keeps to.
        stopped: Studies with too many failures, and how many.
        spent: What tuning cost, per study.
        end: Why the run stopped before it was through: a signal, or a limit.
        unfinished: Work is left, whatever the reason.
        idle: There was nothing to do.
        note: What went wrong beside the results.
    """

    planned: int
    ran: int
    complete: int
    stale: int = 0
    pruned: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    hopeless_losses: int = 0
    kept: int = 0
    reasons: tuple[str, ...] = ()
    hopeless: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    spent: tuple[Spent, ...] = ()
    end: End | None = None
    unfinished: bool = False
    idle: bool = False
    note: str | None = None

    @property
    def missing(self) -> int:
        """Trials of the plan without a result."""
        return max(0, self.planned - self.complete - self.pruned - sum(self.failed.values()))

    @property
    def exit_code(self) -> int:
        """See `bench.errors.EXIT_CODES`."""
        if self.end == "interrupted":
            return INTERRUPTED
        if self.end is not None:
            return STOPPED
        wrong = self.failed or self.kept or self.hopeless or self.stopped or self.unfinished
        return FAILED if wrong else 0


def summarise(
    queues: Sequence[StudyQueue], ran: int = 0, end: End | None = None, idle: bool = False
) -> Summary:
    """Counts how the plan's trials stand.

    Args:
        queues: Of the studies that were chosen.
        ran: Trials that this run decided.
        end: Why the run stopped before it was through.
        idle: There was nothing to do.
    """
    rows: list[Known] = []
    kept: list[Known] = []
    reasons: dict[str, None] = {}
    planned = 0
    for queue in queues:
        tune, final = queue.finished(lost=True)
        # How many trials a budget in device time pays for is known only when it is spent.
        planned += max(queue.study.tune_total, len(tune)) + queue.study.final_total
        rows += [*tune, *final]
        kept += queue.standing.kept
        for known in (*tune, *final, *queue.standing.kept):
            if known.failed or known.status == "infra_lost":
                reasons[f"{_title(queue)}: {known.status}: {known.detail}"] = None
    count = Counter(known.status for known in rows)
    complete, pruned = count.pop("complete", 0), count.pop("pruned", 0)
    return Summary(
        planned=planned,
        ran=ran,
        complete=complete,
        stale=sum(known.stale for known in rows),
        pruned=pruned,
        failed=dict(count),
        hopeless_losses=sum(known.hopeless for known in rows),
        kept=sum(known.status == "infra_lost" for known in kept),
        reasons=tuple(reasons),
        hopeless=tuple(_hopeless(queue) for queue in queues if queue.failed),
        stopped=tuple(f"{_title(queue)}: {queue.standing.tally}" for queue in queues if queue.stopped),
        spent=tuple(_spent(queue) for queue in queues if queue.study.budget is not None),
        end=end,
        unfinished=any(queue.unfinished for queue in queues),
        idle=idle,
    )


def _title(queue: StudyQueue) -> str:
    return f"{queue.study.task.name}: {queue.study.entry}"


def _hopeless(queue: StudyQueue) -> str:
    why = queue.sampling.out_of_reach() if queue.sampling is not None else ""
    return f"{_title(queue)} ({why})" if why else _title(queue)


def _spent(queue: StudyQueue) -> Spent:
    tune, _ = queue.finished(lost=True)
    spending = queue.spending
    return Spent(
        task=queue.study.task.name,
        entry=queue.study.entry,
        budget=str(queue.study.budget),
        trials=spending.trials,
        pruned=sum(known.status == "pruned" for known in tune),
        failed=sum(known.failed or not known.decided for known in tune),
        epochs=spending.epochs,
        device_s=spending.device_s,
    )
