"""What is known of trials, which of them are run again, and when a study gives up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Only = Literal["missing", "failed", "stale", "all"]
RETRIED = ("interrupted", "infra_lost")
"""Statuses that are run again by themselves: they say nothing about the trial."""
NO_FAILURE = ("complete", "pruned", *RETRIED)
MOST_ATTEMPTS = 12
"""At a trial, over all runs: one that is lost then counts as a failure, so that suites end."""


@dataclass(frozen=True)
class Known:
    """What the results store says of a trial.

    Args:
        status: Its status word.
        value: Score of a complete trial, higher is better.
        stale: Whether other code made it.
        attempt: Number of the attempt that ended so.
        device_s: What it cost, in seconds of a device.
        detail: Why it ended so.
        cost: What is known of `bench.suite.search.COSTS`.
    """

    status: str
    value: float | None
    stale: bool
    attempt: int
    device_s: float
    detail: str = ""
    cost: Mapping[str, float] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether the trial came to an end; the store replaces such a row by no other."""
        return self.status not in RETRIED

    @property
    def hopeless(self) -> bool:
        """Whether its workers died so often that it is not tried again by itself."""
        return self.status == "infra_lost" and self.attempt >= MOST_ATTEMPTS

    @property
    def decided(self) -> bool:
        """Whether the row says something about the trial."""
        return self.ended or self.hopeless

    @property
    def failed(self) -> bool:
        """Whether the trial failed, as far as one can say by its own fault."""
        return self.status not in NO_FAILURE or self.hopeless


@dataclass(frozen=True)
class FailureLimit:
    """How many trials of a study may fail before it stops.

    Args:
        count: So many may; none: `share` decides.
        share: So large a part of those that ended may, once there are `LEAST` of them.
    """

    LEAST = 10

    count: int | None = None
    share: float = 0.5

    @classmethod
    def parse(cls, text: str) -> "FailureLimit":
        """Reads `10` or `50%`."""
        if text.endswith("%"):
            return cls(share=int(text[:-1]) / 100)
        return cls(count=int(text))

    def exceeded(self, tally: "Tally") -> bool:
        """Says whether a study whose trials ended so is to stop."""
        if self.count is not None:
            return tally.failed > self.count
        return tally.ended >= self.LEAST and tally.failed > self.share * tally.ended


@dataclass(frozen=True)
class Policy:
    """Which trials are run.

    Args:
        only: Which trials exactly: without a decided row, failed, made by other code, or every one.
        retry: Status words that are run again beside what is missing; `failed` stands for all failures, `damaged` for
            what lies in damaged files of many trials.
        failures: When a study stops.
    """

    only: Only = "missing"
    retry: tuple[str, ...] = ()
    failures: FailureLimit = field(default_factory=FailureLimit)

    @property
    def anew(self) -> bool:
        """Whether any number of trials whose files are damaged is made anew."""
        return "damaged" in self.retry

    @property
    def new(self) -> bool:
        """Whether trials without a row are run."""
        return self.only in ("missing", "all")

    def needs_run(self, known: Known | None) -> bool:
        """Says whether a trial with this row is to be run."""
        if self.only == "all":
            return True
        if known is None or not known.decided:
            return self.only == "missing"
        if self.only == "missing":
            return known.status in self.retry or (known.failed and "failed" in self.retry)
        return known.failed if self.only == "failed" else known.stale


@dataclass
class Tally:
    """Counts how the trials of a study ended."""

    ended: int = 0
    failed: int = 0

    def count(self, known: Known) -> None:
        """Takes the end of a trial. A worker that died at every attempt is no better than a crash."""
        self.ended += 1
        self.failed += known.failed or known.status == "infra_lost"

    def __str__(self) -> str:
        return f"{self.failed} of {self.ended} trials failed"


class Allowance:
    """How many trials may still be started, over all studies of a run.

    Args:
        trials: At most so many; none: any number.
    """

    def __init__(self, trials: int | None = None):
        self.left = trials

    @property
    def spent(self) -> bool:
        """Whether no further trial may be started."""
        return self.left == 0

    def take(self) -> None:
        """Starts a trial."""
        if self.left is not None:
            self.left -= 1
