"""How to run a suite."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.results.place import Place
from bench.run.choose import Chosen
from bench.run.hung import Graces
from bench.run.policy import Policy


@dataclass(frozen=True)
class RunOptions:
    """How to run; nothing here changes a number.

    Args:
        results: Place of the suite's results.
        cache: Folder of prepared data and phantoms.
        policy: Which trials are run, and when a study gives up.
        chosen: Which studies are run.
        limit: Trials that may be started; none: all.
        max_hours: Hours after which running trials are to save themselves; none: no limit.
        timeout_s: Longest a trial may take.
        storage: URL of the Optuna storage that shows the search; none: a journal file beside the results.
        graces: How long to wait for a trial that hangs.
        command: What was typed, without paths; it is written down.
        started: When the command began, by `time.monotonic`.
    """

    results: Place
    cache: Path
    policy: Policy = field(default_factory=Policy)
    chosen: Chosen = field(default_factory=Chosen)
    limit: int | None = None
    max_hours: float | None = None
    timeout_s: float | None = None
    storage: str | None = None
    graces: Graces = field(default_factory=Graces)
    command: str = ""
    started: float = field(default_factory=time.monotonic)

    def left_s(self) -> float | None:
        """Returns the seconds that are left of `max_hours`; none without a limit."""
        if self.max_hours is None:
            return None
        return max(0.0, self.max_hours * 3600 - (time.monotonic() - self.started))
