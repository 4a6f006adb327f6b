"""Which slices each step sees: a pure function of (seed, step), so that resuming needs no state."""

import numpy as np
from numpy.typing import NDArray


def derive_seed(*parts: int) -> int:
    """Returns a 63-bit seed that mixes the parts; equal parts give equal seeds."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)


def batch_indices(count: int, batch_size: int, seed: int, step: int) -> NDArray[np.int64]:
    """Returns the slices of one step.

    The stream is an endless row of permutations: each slice comes once before any comes again.

    Args:
        count: Number of training slices, at least 1.
        batch_size: Slices per step; may exceed `count`.
        seed: The trial's seed.
        step: Step, from 0.

    Returns:
        Indices, shape (batch_size,).
    """
    start = step * batch_size
    positions = np.arange(start, start + batch_size)
    rounds = positions // count
    orders = {r: np.random.default_rng((seed, int(r))).permutation(count) for r in np.unique(rounds)}
    return np.array([orders[r][p % count] for r, p in zip(rounds, positions, strict=True)], dtype=np.int64)
