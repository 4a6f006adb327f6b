"""Where a trial keeps its files, and how those of an object store get there and back.

In a folder, files are written where they stay. Of an object store they are made in a scratch folder of this machine
and brought up: the checkpoint each time it changes, weights and predictions when the trial is through.
"""

import socket
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.errors import ResultsError
from bench.results.schema import UNDECIDED
from bench.results.store import Store, part_name
from bench.run.courier import Courier
from bench.run.job import Job, WorkerConfig
from bench.run.scratch import bring_files, deliver, scratch_of
from medseg.training.launch import rank
from medseg.training.outcome import Epoch, InterruptedTrialError, Status, StorageError, TrialResult
from medseg.training.trial_data import OVER, TrialFiles

Row = Mapping[str, Any]
Events = Generator[Epoch, None, TrialResult]
Begin = Callable[[TrialFiles, Callable[[], bool]], Events]


class TrialPlace:
    """Where one trial keeps what outlives it.

    Args:
        job: The trial.
        worker: Of the run.

    Attributes:
        files: Where the trial writes.
    """

    def __init__(self, job: Job, worker: WorkerConfig):
        self._job, self._place, self._several = job, worker.results, worker.processes > 1
        self._scratch, self._rank = scratch_of(worker.results, worker.cache), rank()
        self._part = part_name({"trial": job.trial, "code": worker.code})
        self._checkpoint = f"checkpoints/{self._part}.safetensors"
        root, final = self._root, job.number < 0
        self.files = TrialFiles(
            checkpoint=self._own / self._checkpoint,
            weights=root / "weights" / f"{job.trial}.safetensors" if final else None,
            predictions=root / "predictions" / job.trial if final and worker.keep_predictions else None,
        )

    @property
    def _root(self) -> Path:
        folder = self._scratch or self._place.folder
        assert folder is not None
        return folder

    @property
    def _own(self) -> Path:
        """Where this process keeps its checkpoint: only the first one brings its own up."""
        if self._scratch is None or self._rank == 0:
            return self._root
        return self._scratch / "ranks" / str(self._rank)

    def train(self, begin: Begin, should_stop: Callable[[], bool]) -> Events:
        """Returns the epochs of the trial; meanwhile files go to and fro as need be.

        Args:
            begin: Begins the trial, told where its files are and what says that it is to stop.
            should_stop: Says so.
        """
        if self._scratch is None:
            return begin(self.files, should_stop)
        return self._train_apart(begin, should_stop)

    def keep(self, row: Row, cases: Sequence[Row], curves: Sequence[Row]) -> None:
        """Writes the trial's rows and forgets its checkpoint if it is over; arguments and errors as in `Store.write`.

        Raises:
            StorageError: If an object store cannot be reached or refuses; the rows wait in the scratch folder then.
        """
        try:
            Store(self._place).write(row, cases, curves)
        except (OSError, ResultsError) as error:
            if self._scratch is None:
                raise
            # One that can go on does so from its checkpoint.
            if row["status"] not in UNDECIDED:
                Store(self._scratch).write(row, cases, curves)
            raise self._kept_here(error) from error
        self._forget(row["status"])

    def deliver(self) -> Row | None:
        """Brings up the trial's rows if they wait on this machine, and returns that of the trials table.

        Raises:
            StorageError: If that cannot be done; they wait on.
        """
        if self._scratch is None:
            return None
        try:
            row = deliver(self._scratch, self._place, self._part)
        except (OSError, ResultsError) as error:
            raise self._kept_here(error) from error
        if row is not None:
            self._forget(row["status"])
        return row

    def keep_log(self, text: str) -> str:
        """Keeps a text that a person may want to read, and returns where."""
        name = f"logs/{self._job.trial}.txt"
        try:
            self._place.write(name, text.encode(errors="replace"))
        except (OSError, ResultsError):
            if self._scratch is None:
                raise
            path = self._scratch / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", errors="replace")
            return f"{path} on {socket.gethostname()}"
        return name

    def _forget(self, status: Status) -> None:
        self.files.forget(status)
        if self._scratch is not None and status in OVER:
            # The result is there: a checkpoint that stays harms nobody.
            with suppress(OSError, ResultsError):
                self._place.delete(self._checkpoint)

    def _train_apart(self, begin: Begin, should_stop: Callable[[], bool]) -> Events:
        known = self._fetch()
        if self._rank > 0:
            return (yield from self._train_along(begin(self.files, should_stop)))
        courier = Courier(self.files.checkpoint, self._place, self._checkpoint, known)

        def stopping() -> bool:
            return bool(courier.failure) or should_stop()

        try:
            result = yield from begin(self.files, stopping)
        except Exception as error:
            courier.close()
            courier.bring()
            if courier.failure and isinstance(error, InterruptedTrialError):
                raise self._kept_here(courier.failure) from error
            raise
        finally:
            courier.close()
        return self._through(result, courier)

    def _train_along(self, events: Events) -> Events:
        """Drops this process's copy of the checkpoint once it has been read."""
        try:
            first = next(events)
        except StopIteration as end:
            result: TrialResult = end.value
            return result
        finally:
            self.files.checkpoint.unlink(missing_ok=True)
        yield first
        return (yield from events)

    def _through(self, result: TrialResult, courier: Courier) -> TrialResult:
        """Brings up what a trial leaves beside its rows; what cannot be brought is told in its detail."""
        assert self._scratch is not None
        if result.status != "complete" or self._several:
            courier.bring()
        problem: object = courier.failure
        try:
            bring_files(self._scratch, self._place, self._job.trial)
        except (OSError, ResultsError) as error:
            problem = error
        if problem:
            return replace(result, detail="; ".join(filter(None, [result.detail, self._words(problem)])))
        if self._several:
            # Whoever writes the rows may be on another machine.
            self.files.forget(result.status)
        return result

    def _fetch(self) -> bool:
        """Gets the checkpoint, unless that of this machine is newer; says whether both are the same then."""
        local = self.files.checkpoint
        folder, _, name = self._checkpoint.partition("/")
        changed = self._place.files(folder).get(name)
        if changed is None:
            if self._several:
                local.unlink(missing_ok=True)
            return not local.exists()
        # All processes of a trial must see the same one, wherever they are.
        if self._several or not local.exists() or local.stat().st_mtime < changed:
            self._place.fetch(self._checkpoint, local)
            return True
        return False

    def _kept_here(self, problem: object) -> StorageError:
        return StorageError(self._words(problem))

    def _words(self, problem: object) -> str:
        here = f"on {socket.gethostname()} in {self._scratch}"
        return f"{problem}; what was computed waits {here} for the next run there"
