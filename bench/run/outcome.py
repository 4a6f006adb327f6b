"""What is known of a study's tuning trials."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.plan.parameter import Setting


@dataclass(frozen=True)
class Outcome:
    """How a tuning trial ended.

    Args:
        status: A status word of the results store.
        value: Score of a complete trial, higher is better.
        cost: What is known of `bench.suite.search.COSTS`.
    """

    status: str
    value: float | None = None
    cost: Mapping[str, float] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether there is a score to choose by."""
        return self.status == "complete" and self.value is not None and math.isfinite(self.value)


@dataclass(frozen=True)
class Tried:
    """A tuning trial of the results store; `bench.run.history` reads them.

    Args:
        number: Its number within the study.
        setting: Its setting.
        outcome: How it ended; None if it is to be run, or run again.
        curve: Score after each epoch, from 1. Pruners and mirror need it, nothing else does.
    """

    number: int
    setting: Setting
    outcome: Outcome | None = None
    curve: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """A trial with its setting.

    Args:
        number: Its number within the study.
        setting: Its setting.
        finished: Whether it has an outcome.
        value: Its score, if it is complete.
    """

    number: int
    setting: Setting
    finished: bool
    value: float | None = None
