"""Which job runs where: pure bookkeeping between what studies want and what nodes have."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.run.nodes import Books, Node, Shape, Share, fit, has_room


@dataclass(frozen=True, eq=False)
class Slot:
    """A place for one trial at a time; a worker process lives in it."""

    shape: Shape
    shares: tuple[Share, ...]

    @property
    def nodes(self) -> tuple[str, ...]:
        """The node of each part."""
        return tuple(share.node for share in self.shares)


@dataclass(frozen=True)
class Wish:
    """Somebody who may want to run.

    Args:
        name: Who.
        shape: What it takes.
        serious: Asked only where the answer matters, since it may take a while: is there something to run?
    """

    name: str
    shape: Shape
    serious: Callable[[], bool] = lambda: True


class Placer:
    """Hands out slots so that whatever gets one can start at once.

    A large job never finds room while small ones take every gap. So the first that does not fit reserves the place
    where it will fit soonest, and nobody else starts there until it has. One place is reserved at a time; everywhere
    else the others go on.

    A slot whose job ended stays idle: its worker has imported what the next job of that shape needs. It is given up
    when its room is needed.

    Attributes:
        nodes: By id.
        idle: Slots with an idle worker, the longest idle first.
        given_up: Slots whose idle worker has to go; whoever ends it empties the list.
    """

    def __init__(self, nodes: Iterable[Node] = ()):
        self.nodes: dict[str, Node] = {}
        self.idle: list[Slot] = []
        self.given_up: list[Slot] = []
        self._taken: set[Slot] = set()
        self._busy: dict[str, Books] = {}
        self._holder: str | None = None
        self._held: tuple[Share, ...] = ()
        self.update(nodes)

    def update(self, nodes: Iterable[Node]) -> None:
        """Takes notice of nodes that joined, left or changed."""
        found = {node.id: node for node in nodes}
        if found == self.nodes:
            return
        self.nodes = found
        self._busy = {node.id: Books(node) for node in found.values()}
        for slot in self._taken:
            self._book(slot, Books.take)
        for slot in [slot for slot in self.idle if not self.stands(slot)]:
            self._give_up(slot)
        self._drop_hold()

    def stands(self, slot: Slot) -> bool:
        """Says whether all nodes of a slot are there."""
        return all(node in self.nodes for node in slot.nodes)

    def is_warm(self, shape: Shape) -> bool:
        """Says whether an idle worker waits for a job of this shape."""
        return any(slot.shape == shape for slot in self.idle)

    def choose(self, wishes: Sequence[Wish]) -> tuple[str, Slot] | None:
        """Returns who runs next and where, or None if nothing fits now.

        Args:
            wishes: In the order in which they should run.
        """
        if not any(wish.name == self._holder and wish.serious() for wish in wishes):
            self._drop_hold()
        full: set[Shape] = set()
        for wish in wishes:
            if wish.shape in full and wish.name != self._holder:
                continue
            slot = self._find(wish)
            if slot is not None and wish.serious():
                if wish.name == self._holder:
                    self._drop_hold()
                return wish.name, self._take(slot)
            if slot is None:
                full.add(wish.shape)
                if self._holder is None and wish.serious():
                    self._hold(wish)
        return None

    def release(self, slot: Slot) -> None:
        """Takes a slot back whose worker is gone or going."""
        if slot in self._taken:
            self._taken.discard(slot)
            self._book(slot, Books.give)

    def keep(self, slot: Slot) -> bool:
        """Takes a slot back whose worker stays, idle; says whether it may."""
        self.release(slot)
        if self.stands(slot) and slot not in self.idle:
            self.idle.append(slot)
        return slot in self.idle

    def give_up_idle(self) -> None:
        """Gives up every idle slot."""
        for slot in self.idle.copy():
            self._give_up(slot)

    def _find(self, wish: Wish) -> Slot | None:
        view = self._view(wish.name)
        for slot in self.idle:
            if slot.shape == wish.shape and has_room(view, slot.shares):
                return slot
        shares = fit(self._spared(view), wish.shape) or fit(list(view.values()), wish.shape)
        return None if shares is None else Slot(wish.shape, shares)

    def _spared(self, view: Mapping[str, Books]) -> list[Books]:
        """Returns what is free without giving up anybody."""
        spared = {node: books.copy() for node, books in view.items()}
        for share in (share for slot in self.idle for share in slot.shares):
            spared[share.node].take(share)
        return list(spared.values())

    def _take(self, slot: Slot) -> Slot:
        if slot in self.idle:
            self.idle.remove(slot)
        self._taken.add(slot)
        self._book(slot, Books.take)
        self._make_room()
        return slot

    def _make_room(self) -> None:
        """Gives up idle slots, the longest idle first, that have no room any more beside what is taken."""
        books = {node: each.copy() for node, each in self._busy.items()}
        for slot in reversed(self.idle.copy()):
            if has_room(books, slot.shares):
                for share in slot.shares:
                    books[share.node].take(share)
            else:
                self._give_up(slot)

    def _give_up(self, slot: Slot) -> None:
        self.idle.remove(slot)
        self.given_up.append(slot)

    def _hold(self, wish: Wish) -> None:
        """Reserves the place where the least has to end first."""
        choices: list[tuple[float, str, tuple[Share, ...]]] = []
        for node in self.nodes.values():
            shares = self._soonest([node], wish.shape)
            if shares:
                lack = sum(self._busy[node.id].lacks(share) for share in shares)
                choices.append((lack, node.id, shares))
        if choices:
            held = min(choices, key=lambda choice: choice[:2])[2]
        else:
            held = self._soonest(list(self.nodes.values()), wish.shape)
        if held:
            self._holder, self._held = wish.name, held

    def _soonest(self, nodes: Sequence[Node], shape: Shape) -> tuple[Share, ...]:
        """Returns where a shape would lie if nothing ran, on the least busy GPUs; nowhere if it never fits."""
        shares = fit([Books(node) for node in nodes], shape) or ()
        free = {node.id: self._busy[node.id].gpus for node in nodes}
        order = {key: sorted(range(len(gpus)), key=lambda index: -gpus[index]) for key, gpus in free.items()}
        return tuple(
            replace(share, gpus={order[share.node][index]: amount for index, amount in share.gpus.items()})
            for share in shares
        )

    def _drop_hold(self) -> None:
        self._holder, self._held = None, ()

    def _view(self, name: str) -> Mapping[str, Books]:
        """Returns what is free for somebody: without what another has reserved."""
        if self._holder is None or name == self._holder:
            return self._busy
        view = dict(self._busy)
        for share in self._held:
            view[share.node] = view[share.node].copy()
            view[share.node].keep(share)
        return view

    def _book(self, slot: Slot, write: Callable[[Books, Share], None]) -> None:
        for share in slot.shares:
            if share.node in self._busy:
                write(self._busy[share.node], share)
