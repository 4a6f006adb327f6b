"""What one study still has to run: tuning trials while its budget lasts, then its final trials.

Nothing here looks at all trials of a study for the sake of one: what a trial costs the driver does not grow with
their number.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bench.plan.study import Study
from bench.run.budget import Spending
from bench.run.fuse import Fuse
from bench.run.job import Job
from bench.run.jobs import make_job
from bench.run.outcome import Asked, Outcome
from bench.run.policy import Allowance, Known, Policy
from bench.run.retries import Retries
from bench.run.standing import Standing
from medseg.training.config import TrialSpec

if TYPE_CHECKING:
    from bench.run.sampling import Sampling


class StudyQueue:
    """The jobs of one study, handed out one at a time.

    Args:
        study: Study of the plan.
        sampling: Its settings; none: nothing is tuned.
        known: The store's rows by trial id; kept up to date.
        policy: Which trials are run, and when the study gives up.
        data: Fingerprint of the study's data, and hash of its split.
        allowance: How many trials may still be started; shared by the studies of a run.
        fuse: Ends the run where nothing but losses comes back; shared likewise.
        clock: Seconds, from any start.

    Attributes:
        failed: Whether tuning is over and no setting can be chosen, so that there are no final trials.
        stopped: Whether too many trials failed, with work left.
        spending: What tuning has cost.
        standing: How the trials stand.
    """

    def __init__(
        self,
        study: Study,
        sampling: "Sampling | None",
        known: dict[str, Known],
        policy: Policy,
        data: tuple[str, str],
        allowance: Allowance | None = None,
        fuse: Fuse | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.study, self.sampling, self.known, self.policy, self.data = study, sampling, known, policy, data
        self.allowance, self.fuse = allowance or Allowance(), fuse or Fuse()
        self.spending = Spending(study.budget, study.tune_epochs)
        self.failed = self.stopped = False
        self.standing = Standing(known)
        self._ready: deque[Job] = deque()
        self._retries = Retries(clock)
        self._running: dict[str, Job] = {}
        self._earlier: deque[Asked] = deque()
        self._finals: list[Job] = []
        self._finals_planned = False
        if sampling is None:
            self._plan_finals({})
            return
        limit = study.tune_limit
        self._earlier.extend(asked for asked in sampling.trials() if limit is None or asked.number < limit)
        while self._take_earlier():
            pass
        self._close_tuning(sampling)

    def next_job(self) -> Job | None:
        """Returns the next job, or None while there is none (yet)."""
        if not self.has_work():
            return None
        if self._retries.due:
            job = self._retries.take()
        else:
            job = self._ready.popleft()
            self.allowance.take()
        self._running[job.trial] = job
        return job

    def has_work(self) -> bool:
        """Says whether there is a job to hand out now."""
        if self._gives_up():
            return False
        if self._retries.due:
            return True
        if self.allowance.spent:
            return False
        while not self._ready and self._advance():
            pass
        return bool(self._ready)

    def report(self, job: Job, epoch: int, score: float) -> bool:
        """Takes a running job's score after an epoch, from 1; says whether the trial should be ended now."""
        if self.sampling is None or job.number < 0:
            return False
        return self.sampling.report(job.number, epoch, score)

    def ended(self, job: Job, known: Known) -> None:
        """Takes a job's end. One that was lost, or stopped by someone else, is tried again a few times.

        Raises:
            OSError: If it was lost because results cannot be written any more.
            EngineError: If so many were lost in turn that it makes no sense to go on.
        """
        self._running.pop(job.trial, None)
        self.standing.note(job.trial, known)
        self._answer(job, known)
        if known.status == "infra_lost":
            self.fuse.lost(job.trial, known.detail)
        elif known.ended:
            self.fuse.fine()

    def _answer(self, job: Job, known: Known) -> None:
        if not known.ended and not self.stopped and self._retries.lost(job):
            return
        self.standing.close(job.trial, known)
        row = self.known[job.trial]
        # Until it is decided, what follows in this study waits for its score.
        if row.decided:
            for number in self.standing.numbers(job.trial):
                self._tell(job.trial, number, row)

    def finished(self, lost: bool = False) -> tuple[list[Known], list[Known]]:
        """Returns the rows of the study's tuning and final trials that are decided.

        Args:
            lost: Count those whose worker died, too; the next run tries them again.
        """
        finals = [job.trial for job in self._finals]
        return self.standing.tuned(lost), self.standing.settled(finals, lost)

    @property
    def exhausted(self) -> bool:
        """True once nothing is left to hand out or to wait for in this run."""
        return not self._running and not self.has_work() and not (self._retries and not self.stopped)

    @property
    def unfinished(self) -> bool:
        """Whether there is work left that was not handed out, or waits for what this run had to give up."""
        tunes = self.policy.new and not (self._finals_planned or self.failed or self.stopped)
        return tunes or bool(self._ready and not self.stopped)

    @property
    def progress(self) -> float:
        """Share of the study's trials that are handed out or done; the least goes first."""
        tune, final = self.study.tune_total, self.study.final_total
        left = float(len(self._ready) + len(self._retries))
        if not self._finals_planned:
            left += tune * (1 - self.spending.share) + final
        return 1 - left / max(1, tune + final)

    def _advance(self) -> bool:
        """Makes the next jobs, if the study has any now; says whether something happened."""
        if self.failed or self._finals_planned or self.sampling is None:
            return False
        if self._take_earlier():
            return True
        if self.policy.new and self.spending.pays:
            asked = self.sampling.ask()
            if asked is not None:
                self._take(asked)
                return True
        return self._close_tuning(self.sampling)

    def _close_tuning(self, sampling: "Sampling") -> bool:
        """Chooses the best setting once nothing is left to tune; says whether final trials follow."""
        if self.spending.open or (self.spending.pays and not sampling.exhausted):
            return False
        best = sampling.best()
        self.failed = best is None
        if best is not None:
            self._plan_finals(best.setting)
        return best is not None

    def _take_earlier(self) -> bool:
        """Takes the next number that was asked for once; a larger budget may have paid for more than today's."""
        if not self._earlier or not self.spending.pays:
            return False
        self._take(self._earlier.popleft())
        return True

    def _take(self, asked: Asked) -> None:
        """Takes a number with its setting: a job, or the answer of a trial that is known."""
        job = self._job(self.study.tune_spec(asked.setting), asked.setting, asked.number)
        first = self.standing.draw(job.trial, asked.number)
        self.spending.begin()
        known = self.known.get(job.trial)
        if self.standing.is_open(job.trial):
            return
        if first and self.policy.needs_run(known):
            self.standing.open(job.trial)
            self._ready.append(job)
        elif known is not None and known.decided:
            if first:
                self.standing.tally.count(known)
            self._tell(job.trial, asked.number, known, told=asked.finished)

    def _tell(self, trial: str, number: int, known: Known, told: bool = False) -> None:
        if self.sampling is None:
            return
        # Only the first number of a setting was trained.
        like = self.standing.numbers(trial)[0]
        self.spending.end(known, self.sampling.epochs(like))
        if not told:
            value = known.value if known.status == "complete" else None
            self.sampling.tell(number, Outcome(known.status, value, known.cost), like)

    def _plan_finals(self, setting: dict[str, Any]) -> None:
        self._finals_planned = True
        self._finals = [self._job(spec, setting, -1) for spec in self.study.final_specs(setting)]
        for job in self._finals:
            known = self.known.get(job.trial)
            if self.policy.needs_run(known):
                self.standing.open(job.trial)
                self._ready.append(job)
            elif known is not None and known.decided:
                self.standing.tally.count(known)

    def _gives_up(self) -> bool:
        if not self.stopped and self.policy.failures.exceeded(self.standing.tally):
            planned = self._finals_planned or self.failed
            self.stopped = bool(self._ready or self._retries or not planned)
        return self.stopped

    def _job(self, spec: TrialSpec, setting: dict[str, Any], number: int) -> Job:
        job = make_job(self.study, self.data, spec, setting, number)
        earlier = self.known.get(job.trial)
        return job.model_copy(update={"attempt": earlier.attempt + 1}) if earlier else job
