"""What one study still has to run: tuning trials while its budget lasts, then its final trials."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bench.plan.identity import setting_id, trial_id
from bench.plan.study import Study
from bench.run.job import Job
from bench.run.sampling import Asked, Sampling

Only = Literal["missing", "failed", "stale", "all"]
RETRIED = ("interrupted", "infra_lost")
MAX_ATTEMPTS = 3


@dataclass(frozen=True)
class Known:
    """What the results store says of a trial."""

    status: str
    value: float | None
    stale: bool
    attempt: int
    device_s: float
    detail: str = ""


@dataclass
class Policy:
    """Which trials that have rows are run again."""

    only: Only = "missing"

    def needs_run(self, known: Known | None) -> bool:
        """Says whether a trial with this row is to be run."""
        if known is None or known.status in RETRIED or self.only == "all":
            return True
        if self.only == "failed":
            return known.status != "complete"
        return self.only == "stale" and known.stale


def best_setting(rows: Mapping[int, tuple[dict[str, Any], Known]]) -> dict[str, Any] | None:
    """Returns the setting with the highest score, the earliest of equals, or None where all failed."""
    scored = [
        (known.value, -number, setting)
        for number, (setting, known) in rows.items()
        if known.status == "complete" and known.value is not None
    ]
    return max(scored, key=lambda row: row[:2])[2] if scored else None


@dataclass
class StudyQueue:
    """The jobs of one study, handed out one at a time.

    Args:
        study: Study of the plan.
        sampling: Its settings.
        known: The store's rows by trial id.
        policy: Which of them are run again.
        data: Fingerprint of the study's data, and hash of its split.
    """

    study: Study
    sampling: Sampling | None
    known: dict[str, Known]
    policy: Policy
    data: tuple[str, str]
    failed: bool = False
    _tune: dict[int, Asked] = field(default_factory=dict)
    _pending: list[Job] = field(default_factory=list)
    _running: dict[str, Job] = field(default_factory=dict)
    _finals: list[Job] = field(default_factory=list)
    _finals_planned: bool = False
    _ids: dict[int, str] = field(default_factory=dict)
    _losses: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        if self.sampling is None:
            self._plan_finals({})
            return
        limit = self.study.tune_limit
        for asked in self.sampling.trials():
            if limit is not None and asked.number >= limit:
                # A larger budget was spent once; what it paid for beyond today's must not count for some entries.
                continue
            self._tune[asked.number] = asked
            self._offer(asked)
        self._close_tuning()

    def next_job(self) -> Job | None:
        """Returns the next job, or None while there is none (yet)."""
        if not self.has_work():
            return None
        job = self._pending.pop(0)
        self._running[job.trial] = job
        return job

    def ended(self, job: Job, known: Known) -> None:
        """Takes a job's end. A lost one is offered again, up to `MAX_ATTEMPTS` times."""
        self._running.pop(job.trial, None)
        self.known[job.trial] = known
        if known.status == "infra_lost":
            self._losses[job.trial] += 1
        if known.status == "infra_lost" and self._losses[job.trial] < MAX_ATTEMPTS:
            self._pending.insert(0, job.model_copy(update={"attempt": job.attempt + 1}))
        elif known.status != "interrupted":
            # Two numbers may have drawn the same setting: one training run answers both.
            for asked in self._tune.values():
                if job.number >= 0 and self._id(asked) == job.trial:
                    self._tell(asked.number, known)

    def has_work(self) -> bool:
        """Says whether there is a job to hand out now."""
        while not self._pending and self._advance():
            pass
        return bool(self._pending)

    def finished(self, lost: bool = False) -> tuple[list[Known], list[Known]]:
        """Returns the rows of the study's tuning and final trials that ended.

        Args:
            lost: Count those whose worker died, too; the next run tries them again.
        """
        retried = ("interrupted",) if lost else RETRIED
        open_trials = {job.trial for job in (*self._pending, *self._running.values())}
        ids = [self._id(asked) for asked in self._tune.values()]
        tune = [self.known.get(trial) for trial in ids if trial not in open_trials]
        final = [self.known.get(job.trial) for job in self._finals if job.trial not in open_trials]
        return _settled(tune, retried), _settled(final, retried)

    @property
    def exhausted(self) -> bool:
        """True once nothing is left to hand out or to wait for."""
        return not self._pending and not self._running and (self._finals_planned or self.failed)

    @property
    def progress(self) -> float:
        """Share of the study's trials that are handed out or done; the least goes first."""
        total = self.study.tune_total + self.study.final_total
        left = len(self._pending) + max(0, self.study.tune_total - len(self._tune))
        left += 0 if self._finals_planned else self.study.final_total
        return 1 - left / max(1, total)

    def _advance(self) -> bool:
        """Makes the next pending job, if the study has one now."""
        if self.failed or self._finals_planned or self.sampling is None:
            return False
        if self._budget_left():
            asked = self.sampling.ask()
            self._tune[asked.number] = asked
            self._offer(asked)
            return True
        return self._close_tuning()

    def _close_tuning(self) -> bool:
        """Chooses the best setting once nothing is left to tune; says whether final trials follow."""
        if self._pending or self._running or self._budget_left():
            return False
        rows = {n: (a.setting, k) for n, a in self._tune.items() if (k := self._known_of(a)) is not None}
        setting = best_setting(rows)
        self.failed = setting is None
        if setting is not None:
            self._plan_finals(setting)
        return not self.failed

    def _budget_left(self) -> bool:
        spent = [k.device_s if (k := self._known_of(asked)) else None for asked in self._tune.values()]
        return self.study.budget_left(spent)

    def _offer(self, asked: Asked) -> None:
        job = self._job(asked.setting, asked.number)
        known = self.known.get(job.trial)
        if self.policy.needs_run(known):
            if all(job.trial != other.trial for other in (*self._pending, *self._running.values())):
                self._pending.append(job)
        elif known is not None and not asked.finished:
            self._tell(asked.number, known)

    def _tell(self, number: int, known: Known) -> None:
        if self.sampling is not None and number >= 0:
            self.sampling.tell(number, known.value if known.status == "complete" else None)

    def _plan_finals(self, setting: dict[str, Any]) -> None:
        self._finals_planned = True
        self._finals = [self._make(spec, setting, -1) for spec in self.study.final_specs(setting)]
        for job in self._finals:
            if self.policy.needs_run(self.known.get(job.trial)):
                self._pending.append(job)

    def _known_of(self, asked: Asked) -> Known | None:
        return self.known.get(self._id(asked))

    def _id(self, asked: Asked) -> str:
        # Hashing a whole trial for every suggestion would grow with the square of the trials.
        if asked.number not in self._ids:
            self._ids[asked.number] = self._job(asked.setting, asked.number).trial
        return self._ids[asked.number]

    def _job(self, setting: dict[str, Any], number: int) -> Job:
        return self._make(self.study.tune_spec(setting), setting, number)

    def _make(self, spec: Any, setting: dict[str, Any], number: int) -> Job:
        identity = trial_id(spec, *self.data, self.study.id)
        earlier = self.known.get(identity)
        return Job(
            trial=identity,
            study=self.study.id,
            entry=self.study.entry,
            model=self.study.labels(setting)[0],
            loss=self.study.labels(setting)[1],
            number=number,
            setting=setting,
            setting_id=setting_id(setting),
            spec=spec,
            attempt=earlier.attempt + 1 if earlier else 1,
            data_fingerprint=self.data[0],
            split_hash=self.data[1],
        )


def _settled(rows: Iterable[Known | None], retried: tuple[str, ...]) -> list[Known]:
    return [row for row in rows if row is not None and row.status not in retried]
