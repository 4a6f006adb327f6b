"""Shows a suite's studies to Optuna's dashboard. A mirror: it is written and never asked what to do."""

import logging
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.errors import BenchError
from bench.plan.parameter import Setting
from bench.plan.study import Study
from bench.run.outcome import Outcome, Tried
from bench.run.sampling_storage import StudyImage, TrialImage, open_storage

log = logging.getLogger(__name__)

PERIOD_S = 2.0
LAST_WRITE_S = 30.0
OPENING_S = 15.0


class Mirror:
    """Writes what happens into an Optuna storage, in batches, in a thread of its own.

    Used as a context. A storage that cannot be written any more costs the dashboard, not the run: `problem` says
    why. What it misses is written by the next run.

    Args:
        target: Journal file, or the URL of an Optuna storage.
    """

    def __init__(self, target: Path | str):
        self.target = target
        self.problem: str | None = None
        self._followed: list[Followed] = []
        self._lock = threading.Lock()
        self._closing, self._given_up = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="optuna-mirror", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join(LAST_WRITE_S)
        if self._thread.is_alive():
            # The next run goes on from where it stands then; this one must not write beside it.
            self._given_up.set()
            if self.problem is None:
                name = shown(self.target)
                self.problem = f"{name}: not written in full within {LAST_WRITE_S:g} s; the next run goes on"

    def follow(self, study: Study, rows: Sequence[Tried]) -> "Followed":
        """Returns what takes the news of a study.

        Args:
            study: Study of the plan.
            rows: What the results store holds of its tuning trials.
        """
        followed = Followed(study, rows, self._lock)
        with self._lock:
            self._followed.append(followed)
        return followed

    def _write_on(self) -> None:
        opened = False
        try:
            storage = open_storage(self.target)
            last, opened = False, True
            while not last:
                last = self._closing.wait(PERIOD_S)
                with self._lock:
                    followed = list(self._followed)
                for one in followed:
                    one.image.write(storage, one.take_news(), self._given_up.is_set)
        except Exception as error:
            # Whatever the database's driver raises: the run goes on without the mirror.
            log.debug("the mirror ends", exc_info=True)
            what = "not written any more" if opened else "cannot be opened"
            self.problem = f"{shown(self.target)}: {what} ({_reason(error, self.target)})"


def shown(target: Path | str) -> str:
    """Returns a storage's name without what opens it: user, password, options."""
    if isinstance(target, Path):
        return str(target)
    # A password may hold any sign, whoever should have quoted it; up to the last @ it may all be secret.
    return re.sub(r"(?<=://).*@", "", target, flags=re.DOTALL).partition("?")[0]


def check_storage(target: str) -> None:
    """Refuses a storage that cannot be opened when a run begins; a database is made where it is not there.

    Raises:
        BenchError: If it cannot be opened.
    """
    if "://" not in target:
        # A journal is opened by whoever holds the results.
        if Path(target).is_dir():
            raise BenchError(
                f"--storage {target}: is a folder; expected a file or a URL, e.g. sqlite:///search.db"
            )
        return
    failed: list[Exception] = []

    def look() -> None:
        try:
            open_storage(target)
        except Exception as error:  # noqa: BLE001 - whatever the database's driver raises
            failed.append(error)

    # A driver may wait for minutes, and can be told how long in no common way.
    thread = threading.Thread(target=look, name="optuna-storage", daemon=True)
    thread.start()
    thread.join(OPENING_S)
    if thread.is_alive():
        raise BenchError(f"--storage {shown(target)}: does not answer within {OPENING_S:g} s")
    if failed:
        raise BenchError(
            f"--storage {shown(target)}: cannot be opened ({_reason(failed[0], target)})"
        ) from failed[0]


def _reason(error: Exception, target: Path | str) -> str:
    """Returns the first line of what a driver says, without passwords."""
    said = str(error).replace(str(target), shown(target)).strip()
    return f"{type(error).__name__}: {said.splitlines()[0]}" if said else type(error).__name__


class Followed:
    """The news of one study, collected until they are written."""

    def __init__(self, study: Study, rows: Sequence[Tried], lock: threading.Lock):
        self.image = StudyImage(study)
        self._lock = lock
        self._trials = {row.number: TrialImage(row.setting, dict(row.curve), row.outcome) for row in rows}
        self._news = set(self._trials)

    def asked(self, number: int, setting: Setting) -> None:
        """A number has its setting."""
        with self._lock:
            self._trials[number] = TrialImage(setting)
            self._news.add(number)

    def reported(self, number: int, epoch: int, score: float) -> None:
        """A trial finished an epoch."""
        with self._lock:
            self._trials[number].curve[epoch] = score
            self._news.add(number)

    def ended(self, number: int, outcome: Outcome) -> None:
        """A trial ended."""
        with self._lock:
            self._trials[number].outcome = outcome
            self._news.add(number)

    def take_news(self) -> dict[int, TrialImage]:
        """Returns copies of the trials that changed since the last call."""
        with self._lock:
            news = {number: self._trials[number].copy() for number in sorted(self._news)}
            self._news.clear()
        return news
