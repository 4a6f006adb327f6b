"""A lock in an object store, which knows no locks: claims that have to be renewed."""

import json
import random
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from bench.errors import ResultsError
from bench.results.holder import describe, is_dead, myself
from bench.results.place import Place

CLAIMS = "lock"
LEASE_S = 90.0
BEAT_S = 10.0
PAUSE_S = 1.0


@dataclass
class Lease:
    """Holds a place by a claim, an object of its own in ``lock/`` that is written again every `BEAT_S`.

    Who wants to hold writes a claim first and looks for others then; whoever finds one alive takes its own
    back. So of two runs at least one sees the other, if the store lists all that was written before, as those
    of Amazon, Google and Azure do. A claim counts as dead once it was not renewed for `LEASE_S`, by the clock
    of the store, or if its process ran on this machine and is gone. Who could not renew its own for as long
    knows that by itself: see `lost`.

    What it cannot do: keep a process from writing that was stopped for longer than the lease and does not know it
    yet. Then a trial may be run twice; the last result stays, whole, as parts come and go in one step.

    Args:
        place: What is held.
        waiting: Told, once, if it has to be found out whether another run is still alive.
    """

    place: Place
    waiting: Callable[[str], None] = lambda text: None
    lease_s: float = field(default_factory=lambda: LEASE_S)
    beat_s: float = field(default_factory=lambda: BEAT_S)
    pause_s: float = field(default_factory=lambda: PAUSE_S)
    _claim: str = field(default_factory=lambda: f"{secrets.token_hex(8)}.json")
    _renewed: float = float("-inf")
    _held: bool = False
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _text: bytes = b""
    _said: bool = False

    def acquire(self) -> None:
        """Takes the lease.

        Raises:
            ResultsError: If another run holds it, or the store refuses.
            OSError: If the store cannot be reached.
        """
        self.place.check()
        self._text, self._said = json.dumps(myself()).encode(), False
        while True:
            self._renewed = self._renew(self.place)
            try:
                rival = self._rival()
            except BaseException:
                self._withdraw()
                raise
            if rival is None:
                break
            self._withdraw()
            self._outlive(rival)
        self._held = True
        self._ended.clear()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Gives the lease back; one that cannot be given back runs out."""
        if self._thread is None:
            return
        self._ended.set()
        # It may be waiting for a store that is gone.
        self._thread.join(timeout=self.lease_s / 3)
        self._thread, self._held = None, False
        self._withdraw()

    @property
    def lost(self) -> str:
        """Why another run may have taken over; empty while it cannot have."""
        silent_s = _now() - self._renewed
        if not self._held or silent_s < self.lease_s:
            return ""
        return f"{self.place} could not be reached for {silent_s:.0f} s: another run may hold it by now"

    def _beat(self) -> None:
        while not self._ended.wait(self.beat_s):
            # The next beat tries again; `lost` keeps count.
            with suppress(OSError, ResultsError):
                renewed = self._renew(self.place.hasty())
                # What is lost stays lost: another run may have come, and even gone.
                if self.lost or self._ended.is_set():
                    self._withdraw()
                    return
                self._renewed = renewed

    def _renew(self, place: Place) -> float:
        # The moment before counts: the store's clock stamps the claim later than that.
        asked = _now()
        place.write(f"{CLAIMS}/{self._claim}", self._text)
        return asked

    def _withdraw(self) -> None:
        with suppress(OSError, ResultsError):
            self.place.hasty().delete(f"{CLAIMS}/{self._claim}")

    def _rival(self) -> str | None:
        """Returns another claim that may be alive, and removes those that are not."""
        found = self.place.files(CLAIMS)
        mine = found.get(self._claim)
        if mine is None:
            raise ResultsError(
                f"{self.place} does not list what was written to it just now: it cannot be locked"
            )
        for name, renewed in sorted(found.items()):
            if name == self._claim:
                continue
            if mine - renewed < self.lease_s and not is_dead(self._read(name)):
                return name
            self.place.delete(f"{CLAIMS}/{name}")
        return None

    def _outlive(self, rival: str) -> None:
        """Returns once a claim is gone, or was not renewed for as long as a lease lasts.

        Raises:
            ResultsError: If it is renewed: its run is alive.
        """
        holder, since = describe(self._read(rival)), _now()
        first = now = self.place.files(CLAIMS).get(rival)
        if first is not None and not self._said:
            self._said = True
            self.waiting(f"waiting for a sign of life of {holder}, for {self.lease_s:.0f} s at most")
        while now is not None and _now() - since < self.lease_s:
            if now != first:
                raise ResultsError(
                    f"{self.place} is in use by another run ({holder}); wait for it or stop it"
                )
            time.sleep(self.pause_s * random.uniform(0.1, 1))
            now = self.place.files(CLAIMS).get(rival)
        # Two that started at the same moment must not do so again.
        time.sleep(self.pause_s * random.uniform(0.1, 1))

    def _read(self, name: str) -> str:
        try:
            return self.place.read(f"{CLAIMS}/{name}").decode(errors="replace")
        except FileNotFoundError:
            return ""


def _now() -> float:
    # Goes on while a laptop sleeps, as the store's clock does.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
