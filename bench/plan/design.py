"""Which models, losses and tasks meet: all of them, or a covering design. Pure."""

from collections.abc import Iterator
from itertools import product

Triple = tuple[int, int, int]


def pairwise(models: int, losses: int, tasks: int) -> set[Triple]:
    """Returns a covering design of strength 2: whichever two of a model, a loss and a task, they meet once at least.

    It is as small as can be: of the three axes the two longest are crossed, and the third is dealt out along the
    diagonals.

    Args:
        models: Number of models.
        losses: Number of losses.
        tasks: Number of tasks.

    Returns:
        Positions of a model, a loss and a task that meet.
    """
    return set(_pairwise((models, losses, tasks)))


def _pairwise(sizes: Triple) -> Iterator[Triple]:
    first, second, third = sorted(range(3), key=lambda axis: -sizes[axis])
    for one, other in product(range(sizes[first]), range(sizes[second])):
        place = {first: one, second: other, third: (one + other) % sizes[third]}
        yield place[0], place[1], place[2]
