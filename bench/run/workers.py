"""Workers between two jobs: who stays, who goes."""

import json
from collections.abc import Iterator
from typing import Any

from ray.tune import PlacementGroupFactory

from bench.run.placer import Placer, Slot


def order(slot: Slot) -> str:
    """Returns what Ray is asked for, as JSON: the slot's shares, each with its node."""
    bundles = []
    for share in slot.shares:
        bundle = {"CPU": share.cpus, "memory": int(share.memory)}
        if slot.shape.gpus:
            bundle["GPU"] = slot.shape.gpus
        bundles.append(bundle)
    return json.dumps({"bundles": bundles, "nodes": slot.nodes})


def request(text: str) -> PlacementGroupFactory:
    """Returns an order in Tune's words.

    A single process holds its share itself. Of several each has one, and the worker that starts them holds nothing,
    so that it cannot keep them from starting.
    """
    wanted = json.loads(text)
    bundles = wanted["bundles"]
    head: list[dict[str, float]] = [{}] if len(bundles) > 1 else []
    pins = [{"ray.io/node-id": node} for node in wanted["nodes"]]
    return PlacementGroupFactory(head + bundles, bundle_label_selector=pins)


class IdleWorkers:
    """Stands in for Tune's cache of actors, `ray.tune.utils.object_cache._ObjectCache`.

    Tune's own keeps an idle actor only if a trial of the same request waits already, and gives it to the first such
    trial, also to one whose own actor is just starting, which it then throws away. Here the placer decides: a worker
    stays until its room is needed, and goes to the trial that was placed in its slot. A fresh one costs the import of
    torch.

    Args:
        placer: Keeps the books.
    """

    # How many Tune expects to need; it evicts everybody if none, once the search is over.
    total_max_objects = 0

    def __init__(self, placer: Placer):
        self._placer = placer
        self._actors: dict[Slot, Any] = {}
        self._claimed: dict[Any, list[Slot]] = {}
        self._leaving: Slot | None = None

    @property
    def num_cached_objects(self) -> int:
        """Number of idle workers."""
        return len(self._actors)

    def claim(self, slot: Slot) -> None:
        """Keeps the worker of a slot, if it has one, for the trial that was placed there."""
        if slot in self._actors:
            self._claimed.setdefault(request(order(slot)), []).append(slot)

    def leave(self, slot: Slot) -> None:
        """Takes a slot back whose trial ended; if its worker lives, Tune offers it next."""
        for claimed in self._claimed.values():
            if slot in claimed:
                # The trial never got it.
                claimed.remove(slot)
        self.decline(slot)
        self._leaving = slot

    def decline(self, slot: Slot) -> None:
        """Takes a slot back in which nothing was started."""
        if slot not in self._actors:
            self._placer.release(slot)
        elif not self._placer.keep(slot):
            self._placer.given_up.append(slot)

    def increase_max(self, key: Any, by: int = 1) -> None:
        """Nothing: see the class."""

    def decrease_max(self, key: Any, by: int = 1) -> None:
        """Nothing: see the class."""

    def has_cached_object(self, key: Any) -> bool:
        """Says whether a worker is kept for a trial with this request."""
        return bool(self._claimed.get(key))

    def cache_object(self, key: Any, obj: Any) -> bool:
        """Takes the worker of the trial that just ended; says whether it may stay."""
        slot, self._leaving = self._leaving, None
        if slot is None or slot in self._actors or not self._placer.keep(slot):
            return False
        self._actors[slot] = obj
        return True

    def pop_cached_object(self, key: Any) -> Any:
        """Returns the worker that is kept for a trial with this request."""
        if not self.has_cached_object(key):
            return None
        return self._actors.pop(self._claimed[key].pop(0))

    def flush_cached_objects(self, force_all: bool = False) -> Iterator[Any]:
        """Yields the workers that have to go."""
        if force_all:
            self._placer.give_up_idle()
        gone, self._placer.given_up = self._placer.given_up, []
        for slot in gone:
            if slot in self._actors:
                yield self._actors.pop(slot)
