"""Nodes, and what trials take of them: pure bookkeeping, GPU by GPU."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.suite.schema import Resources
from bench.words import plural

GIB = 2**30
# Sums of fractions are compared with this much slack.
EPS = 1e-6


@dataclass(frozen=True)
class Node:
    """A machine of the cluster, or this one.

    Args:
        id: Ray's.
        name: Of the host.
        cpus: Cores that trials may use.
        gpus: GPUs, likewise.
        memory: Bytes, likewise.
        hardware: Words that `resources.hardware` may ask for, in lower case.
    """

    id: str
    name: str
    cpus: float
    gpus: float
    memory: float
    hardware: frozenset[str] = frozenset()

    def suits(self, shape: "Shape") -> bool:
        """Says whether the node is of the kind that a shape asks for."""
        return not shape.hardware or shape.hardware.lower() in self.hardware

    def parts(self, shape: "Shape") -> int:
        """Returns how many parts of a shape the node holds when nothing else runs."""
        if not self.suits(shape):
            return 0
        counts = [
            int(total / amount + EPS)
            for total, amount in ((self.cpus, shape.cpus), (self.memory, shape.memory))
            if amount > 0
        ]
        if shape.gpus > 0:
            # A fraction does not lie on two GPUs.
            per_gpu = int(1 / shape.gpus + EPS)
            counts.append(int(self.gpus) * per_gpu if per_gpu else int(self.gpus / shape.gpus + EPS))
        return min(counts)

    def __str__(self) -> str:
        kind = f" ({', '.join(sorted(self.hardware))})" if self.hardware else ""
        return f"{self.name}{kind}: {_say(self.cpus, self.gpus, self.memory)}"


@dataclass(frozen=True)
class Shape:
    """What a trial takes: so many equal parts, one per process.

    Args:
        parts: Number of processes.
        cpus: Of each part.
        gpus: Of each part.
        memory: Of each part, bytes.
        hardware: What its nodes must be; empty: any.
    """

    parts: int
    cpus: float
    gpus: float
    memory: float
    hardware: str = ""

    @classmethod
    def of(cls, need: Resources) -> "Shape":
        """Returns the shape of what a suite says of a trial."""
        parts = need.processes
        memory = need.memory_gb * GIB / parts
        return cls(parts, need.cpus / parts, need.gpus / parts, memory, need.hardware or "")

    def __str__(self) -> str:
        text = _say(self.cpus * self.parts, self.gpus * self.parts, self.memory * self.parts)
        processes = f" in {self.parts} processes" if self.parts > 1 else ""
        return text + processes + (f" on {self.hardware}" if self.hardware else "")


@dataclass(frozen=True)
class Share:
    """What one part holds of a node: cores, bytes, and how much of each GPU, by its index."""

    node: str
    cpus: float
    memory: float
    gpus: Mapping[int, float] = field(default_factory=dict)


class Books:
    """What is free on one node.

    GPUs are booked as Ray hands them out: whole ones from one on; a fraction lies on the fullest GPU that has room.
    """

    def __init__(self, node: Node):
        self.node = node
        self.cpus, self.memory = node.cpus, node.memory
        self.gpus = [1.0] * int(node.gpus)

    def copy(self) -> "Books":
        """Returns books that can be written without these."""
        other = Books(self.node)
        other.cpus, other.memory, other.gpus = self.cpus, self.memory, list(self.gpus)
        return other

    def shares(self, shape: Shape) -> list[Share]:
        """Returns what the parts of a shape would hold now: of all of them, or of as many as there is room for."""
        books, found = self.copy(), list[Share]()
        while len(found) < shape.parts and (share := books._share(shape)) is not None:
            books.take(share)
            found.append(share)
        return found

    def _share(self, shape: Shape) -> Share | None:
        gpus = self._choose(shape.gpus)
        if gpus is None or not self.node.suits(shape):
            return None
        share = Share(self.node.id, shape.cpus, shape.memory, gpus)
        return share if self.has(share) else None

    def _choose(self, amount: float) -> dict[int, float] | None:
        if amount <= EPS:
            return {}
        # The fullest first, so that whole ones stay whole.
        order = sorted((free, index) for index, free in enumerate(self.gpus))
        if amount < 1 - EPS:
            roomy = [index for free, index in order if free >= amount - EPS]
            return {roomy[0]: amount} if roomy else None
        whole = [index for free, index in order if free >= 1 - EPS]
        count = round(amount)
        return dict.fromkeys(whole[:count], 1.0) if len(whole) >= count else None

    def has(self, share: Share) -> bool:
        """Says whether there is room for a share."""
        return (
            self.cpus >= share.cpus - EPS
            and self.memory >= share.memory - EPS
            and all(self.gpus[index] >= amount - EPS for index, amount in share.gpus.items())
        )

    def take(self, share: Share) -> None:
        """Books a share."""
        self._book(share, -1)

    def give(self, share: Share) -> None:
        """Books it back."""
        self._book(share, 1)

    def keep(self, share: Share) -> None:
        """Keeps a share for somebody who waits: nobody else gets any of its GPUs."""
        self._book(share, -1)
        for index in share.gpus:
            self.gpus[index] = 0.0

    def lacks(self, share: Share) -> float:
        """Returns how much has to end before there is room: GPUs, and parts of all cores and of all memory."""
        lack = sum(max(0.0, amount - self.gpus[index]) for index, amount in share.gpus.items())
        lack += max(0.0, share.cpus - self.cpus) / max(self.node.cpus, EPS)
        return lack + max(0.0, share.memory - self.memory) / max(self.node.memory, EPS)

    def left(self, shape: Shape) -> tuple[float, float, float]:
        """Returns what sorts nodes: where no GPU is needed those without come first, then the fullest."""
        return (0.0 if shape.gpus else self.node.gpus, sum(self.gpus), self.cpus)

    def _book(self, share: Share, sign: int) -> None:
        self.cpus += sign * share.cpus
        self.memory += sign * share.memory
        for index, amount in share.gpus.items():
            self.gpus[index] += sign * amount


def fit(books: Sequence[Books], shape: Shape) -> tuple[Share, ...] | None:
    """Returns where the parts of a shape would lie now, or None where there is no room.

    They lie on one node, the fullest that has room; on several only if no node could ever hold them all.
    """
    rooms = [(each, each.shares(shape)) for each in books]
    whole = [(each.left(shape), each.node.id, shares) for each, shares in rooms if len(shares) == shape.parts]
    if whole:
        return tuple(min(whole, key=lambda choice: choice[:2])[2])
    if any(each.node.parts(shape) >= shape.parts for each in books):
        return None
    found: list[Share] = []
    for _, shares in sorted(rooms, key=lambda room: len(room[1]), reverse=True):
        found += shares[: shape.parts - len(found)]
    return tuple(found) if len(found) == shape.parts else None


def has_room(books: Mapping[str, Books], shares: Sequence[Share]) -> bool:
    """Says whether there is room for all of some shares at once."""
    rest: dict[str, Books] = {}
    for share in shares:
        mine = rest.setdefault(share.node, books[share.node].copy())
        if not mine.has(share):
            return False
        mine.take(share)
    return True


def capacity(nodes: Sequence[Node], shape: Shape) -> int:
    """Returns how many trials of a shape run at once when nothing else does."""
    parts = [node.parts(shape) for node in nodes]
    whole = sum(count // shape.parts for count in parts)
    # Parts of one trial lie on several nodes only where none holds them all.
    return whole or sum(parts) // shape.parts


def _say(cpus: float, gpus: float, memory: float) -> str:
    return f"{plural(cpus, 'CPU core')}, {plural(gpus, 'GPU')}, {memory / GIB:.1f} GiB memory"
