"""What a run tells its workers while they train: stop, or prune this trial. Flags beside the results.

A flag has the name of its run in its own: a run that lost the results to another one still has to stop its workers,
and must not stop those of the other.
"""

import threading
import time
from pathlib import Path

from bench.errors import ResultsError
from bench.results.place import Place, open_place

FLAGS = "signals"
POLL_S = 0.2
REMOTE_POLL_S = 5.0
KEPT_S = 24 * 3600.0
"""How long flags of other runs stay; they mean nothing to this one, but their workers may yet look."""


class Signals:
    """Flags in a place that the driver and all workers see.

    In an object store a stop is looked for in the background, every `REMOTE_POLL_S`, so that no training step waits.
    A store that cannot be reached says nothing: workers find that out where they write.

    Args:
        where: Place of the suite's results.
        run: Name of the run, of its own among all that ever were.
    """

    def __init__(self, where: Place | Path | str, run: str):
        self.place, self.run = open_place(where), run
        self._remote = self.place.folder is None
        self._every_s = REMOTE_POLL_S if self._remote else POLL_S
        self._polled_at, self._stop = float("-inf"), False
        self._poll: threading.Thread | None = None

    def request_stop(self) -> None:
        """Asks all workers to save themselves and stop; errors as in `Place.write`."""
        self.place.write(self._stop_flag(), b"")

    def stop_requested(self) -> bool:
        """Says whether workers are to stop; cheap enough to be asked before every training step."""
        now = time.monotonic()
        if now - self._polled_at < self._every_s or (self._poll is not None and self._poll.is_alive()):
            return self._stop
        self._polled_at = now
        if self._remote:
            self._poll = threading.Thread(target=self._look, name="signals", daemon=True)
            self._poll.start()
        else:
            self._look()
        return self._stop

    def prune(self, trial: str) -> None:
        """Asks the worker of a trial to end it at its next epoch; errors as in `Place.write`."""
        self.place.write(self._prune_flag(trial), b"")

    def pruned(self, trial: str) -> bool:
        """Says whether a trial is to end; to be asked once per epoch."""
        return self._is_set(self._prune_flag(trial))

    def clear(self) -> None:
        """Removes the flags of this run, and those that runs long gone left behind; errors as in `Place.delete`."""
        old = time.time() - KEPT_S
        for name, changed in self.place.files(FLAGS).items():
            if name.startswith(f"{self.run}-") or changed < old:
                self.place.delete(f"{FLAGS}/{name}")

    def _stop_flag(self) -> str:
        return f"{FLAGS}/{self.run}-stop"

    def _prune_flag(self, trial: str) -> str:
        return f"{FLAGS}/{self.run}-prune-{trial}"

    def _look(self) -> None:
        self._stop = self._is_set(self._stop_flag())

    def _is_set(self, flag: str) -> bool:
        try:
            return self.place.hasty().exists(flag)
        except (OSError, ResultsError):
            return False
