"""Which slices each step sees: a pure function of (seed, step), so that resuming needs no state."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# Streams of randomness that must not coincide.
INITIAL_WEIGHTS, SAMPLE, AUGMENT, LAYERS, PATCH, SUBSET = range(6)


def derive_seed(*parts: int) -> int:
    """Returns a 63-bit seed that mixes the parts; equal parts give equal seeds."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)


class SliceSampler:
    """Says which training slices the effective batch of a step holds.

    The stream is an endless row of permutations: each slice comes once before any comes again. A share of every
    batch, its last places, is drawn instead among the slices that hold a rare label: the label uniformly, then one
    of its slices. Labels that every slice holds are not rare.

    Args:
        slices: Indices of the training slices.
        presence: Bool (slices, labels): which foreground label each of them holds.
        batch_size: Slices per step; may exceed their number.
        foreground_share: Share of the batch that is drawn among slices with a rare label.
        seed: The trial's seed.
    """

    def __init__(
        self,
        slices: NDArray[np.int64],
        presence: NDArray[np.bool_],
        batch_size: int,
        foreground_share: float,
        seed: int,
    ):
        self.slices, self.batch_size, self.seed = slices, batch_size, seed
        rare = [label for label, column in enumerate(presence.T, 1) if column.any() and not column.all()]
        self.rare_labels = np.array(rare, dtype=np.int64)
        self.rare = [np.flatnonzero(presence[:, label - 1]) for label in rare]
        self.forced = round(foreground_share * batch_size) if self.rare else 0
        self._permutation = lru_cache(maxsize=2)(self._draw_permutation)

    def batch(self, step: int) -> NDArray[np.int64]:
        """Returns the slices of one step, shape (batch_size,).

        Args:
            step: From 0.
        """
        return self.draw(step)[0]

    def draw(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns the slices of one step, and the rare label that each was drawn for, 0 for none.

        Args:
            step: From 0.
        """
        count, free = len(self.slices), self.batch_size - self.forced
        positions = range(step * free, (step + 1) * free)
        order = [self._permutation(p // count)[p % count] for p in positions]
        wanted = np.zeros(self.batch_size, dtype=np.int64)
        if self.forced:
            rng = np.random.default_rng((self.seed, 1, step))
            labels = rng.integers(len(self.rare), size=self.forced)
            order += [rng.choice(self.rare[label]) for label in labels]
            wanted[free:] = self.rare_labels[labels]
        return self.slices[np.array(order, dtype=np.int64)], wanted

    def _draw_permutation(self, turn: int) -> NDArray[np.int64]:
        return np.random.default_rng((self.seed, 0, turn)).permutation(len(self.slices))
