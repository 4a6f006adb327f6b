"""Ranking schemes: what is averaged or counted of each entry, and then ranked, in any resample of the patients."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from bench.stats.aggregate import check_patients
from bench.stats.paired import ALPHA, Pairs, paired_gaps, significance_map
from bench.stats.resample import draws, weighted_means
from bench.stats.resampled_tests import significant_wins
from bench.stats.signed_rank import round_differences

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Scheme = Literal["mean", "rank", "test"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
SAME = 9
"""Mean ranks that agree to so many digits are equal."""
STEADY = 6


@dataclass(frozen=True)
class Scorer:
    """Scores entries by a scheme in any resample; the score is what is averaged, or counted, and then ranked.

    Args:
        table: The values as they came, entries x patients.
        values: What is averaged (entries, patients), or tested: differences (pairs, patients).
        sign: 1 where higher values are better, -1 where lower ones are.
        scheme: One of `SCHEMES`.
        best: 1 where the highest score is best, -1 where the lowest is.
        decimals: Of the scores.
        pairs: What two entries are tested on, where it is not `table`.
    """

    table: pd.DataFrame
    values: Floats
    sign: int
    scheme: Scheme
    best: int
    decimals: int
    pairs: Pairs | None = None

    @classmethod
    def of(
        cls, values: pd.DataFrame, sign: int, scheme: Scheme, decimals: int, pairs: Pairs | None = None
    ) -> "Scorer":
        """Checks arguments and prepares what does not depend on the resample."""
        check_patients(values)
        if sign not in (-1, 1):
            raise ValueError(f"sign must be 1 (higher is better) or -1, got {sign!r}")
        if not values.shape[1]:
            raise ValueError("ranks need at least one patient")
        array = values.to_numpy(float)
        if scheme == "mean":
            return cls(values, array, sign, scheme, sign, decimals)
        if scheme == "rank":
            return cls(
                values, _within_patients(sign * round_differences(array, decimals)), sign, scheme, -1, SAME
            )
        if scheme == "test":
            return cls(values, sign * paired_gaps(values, pairs), sign, scheme, 1, 0, pairs)
        raise ValueError(f"unknown ranking scheme {scheme!r}; there are {', '.join(SCHEMES)}")

    def full(self) -> Floats:
        """Returns the scores without resampling (1, entries); of tests those of the significance map, exact."""
        if self.scheme == "test":
            better = significance_map(self.table, self.sign, pairs=self.pairs).to_numpy(float) < ALPHA
            return np.asarray(better.sum(axis=1, dtype=float)[None])
        return self._scores(np.ones((1, self.table.shape[1]), int))

    def resampled(self, rng: np.random.Generator, resamples: int) -> Floats:
        """Returns scores (resamples, entries)."""
        return np.concatenate([self._scores(c) for c in draws(self.table.shape[1], rng, resamples)])

    def ranks(self, scores: Floats) -> Floats:
        """Returns ranks of rounded scores, row by row."""
        # Equal means must not part because float noise puts them on two sides of a half.
        steady = round_differences(scores, self.decimals + STEADY)
        return average_ranks(round_differences(steady, self.decimals), self.best)

    def _scores(self, counts: Ints) -> Floats:
        if self.scheme == "test":
            return significant_wins(self.values, counts, len(self.table))
        return weighted_means(counts, self.values)


def _within_patients(values: Floats) -> Floats:
    """Returns ranks of entries within each patient; a value that is not there is tied with all."""
    ranks = rankdata(-values, axis=0, nan_policy="omit")
    return np.asarray(ranks + np.isnan(values).sum(axis=0) / 2, float)


def average_ranks(scores: Floats, best: int) -> Floats:
    """Returns ranks within rows; NaN comes last."""
    return np.asarray(rankdata(np.where(np.isnan(scores), np.inf, -best * scores), axis=1), float)
