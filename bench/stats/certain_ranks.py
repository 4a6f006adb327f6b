"""Between which places the true ranks by mean lie, all of them at once.

Mogstad, Romano, Shaikh, Wilhelm (2024), Inference for ranks with applications to mobility across neighbourhoods and
academic achievement across countries, Rev Econ Stud 91: of all ordered pairs it is asked whether the first is better,
with one error rate for all, and ranks follow. What is asked about are means of paired differences, by a studentised
bootstrap of the largest of them, stepwise (Romano, Wolf 2005, Exact and approximate stepdown methods for multiple
hypothesis testing, JASA 100).
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.stats.aggregate import check_patients
from bench.stats.paired import ALPHA, LEAST_PATIENTS, paired_gaps
from bench.stats.resample import check_bootstrap, draws
from bench.stats.signed_rank import round_differences

Floats = NDArray[np.float64]

RESAMPLES = 1999
NOISE = 1e-12
"""What is smaller than this part of the largest difference is rounding."""


def certain_ranks(
    values: pd.DataFrame,
    sign: int,
    rng: np.random.Generator,
    alpha: float = ALPHA,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """Returns between which places the entries' true ranks by mean lie, all of them at once.

    True ranks are those of the means over all patients that could have come, not only those that did. As many places
    as entries surely have a better mean are taken from the top, as many as have a worse one from the bottom. Wider
    than a bootstrap interval, which is too sure of the winner where entries are equal in truth.

    Args:
        values: Entries x patients as `per_patient` makes them; where labels may be absent, of all entries together.
        sign: 1 where more is better, -1 where less is.
        rng: Source of the resampling.
        alpha: Chance of any error in the whole table.
        resamples: Bootstrap samples.

    Returns:
        Columns low and high, a row per entry. A pair with fewer than six patients narrows nothing.

    Raises:
        ValueError: If the table is not entries x patients, has no patient, or an argument is out of range.
    """
    check_patients(values)
    check_bootstrap(resamples, 1 - alpha, values.shape[1])
    if sign not in (1, -1):
        raise ValueError(f"sign must be 1 (more is better) or -1, got {sign}")
    size = len(values)
    first, second = np.triu_indices(size, 1)
    better = np.zeros((size, size), bool)
    if len(first):
        found = _better(round_differences(sign * paired_gaps(values)), rng, alpha, resamples)
        better[first, second], better[second, first] = found
    ends = {"low": 1 + better.sum(axis=0), "high": size - better.sum(axis=1)}
    return pd.DataFrame(ends, pd.Index(values.index, name="entry"))


def _better(
    d: Floats, rng: np.random.Generator, alpha: float, resamples: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Says of each pair (pairs, patients) whether the first is surely better, and whether the second is."""
    valid = ~np.isnan(d)
    asked = valid.sum(axis=1) >= LEAST_PATIENTS
    found = np.zeros((2, len(d)), bool)
    if not asked.any():
        return found[0], found[1]
    t, boot = _studentised(np.where(valid, d, 0.0)[asked], valid[asked].astype(float), rng, resamples)
    both, boot = np.concatenate([t, -t]), np.concatenate([boot, -boot], axis=1)
    left = np.ones(len(both), bool)
    while left.any():
        # What was found leaves the family, and the others meet a lower bar.
        bar = np.quantile(boot[:, left].max(axis=1), 1 - alpha, method="higher")
        passed = left & (both > bar)
        if not passed.any():
            break
        left &= ~passed
    found[:, asked] = ~left.reshape(2, -1)
    return found[0], found[1]


def _studentised(d: Floats, valid: Floats, rng: np.random.Generator, resamples: int) -> tuple[Floats, Floats]:
    """Returns means over their standard errors (pairs,), and in each resample those of centred differences."""
    mean = d.sum(axis=1) / valid.sum(axis=1)
    scale = NOISE * np.abs(d).max(axis=1)
    centred = (d - mean[:, None]) * valid
    centred[np.abs(centred) <= scale[:, None]] = 0.0
    everyone = np.ones((1, d.shape[1]))
    parts = [_t(counts.astype(float), centred, valid, 0.0) for counts in draws(d.shape[1], rng, resamples)]
    return _t(everyone, centred, valid, mean)[0], np.concatenate(parts)


def _t(counts: Floats, centred: Floats, valid: Floats, shift: Floats | float) -> Floats:
    """Returns t (resamples, pairs) of centred differences plus `shift`; infinite where they do not vary."""
    number = counts @ valid.T
    some = np.maximum(number, 1.0)
    mean = counts @ centred.T / some
    spread = counts @ (centred**2).T / some - mean**2
    size = np.abs(centred).max(axis=1)
    spread[spread <= (NOISE * size) ** 2] = 0.0
    mean[np.abs(mean) <= NOISE * size] = 0.0
    error = np.sqrt(spread / np.maximum(number - 1, 1.0))
    top = mean + shift
    # Of equal differences zero is no finding, and anything else is certain.
    certain = np.where(top > 0, np.inf, np.where(top < 0, -np.inf, 0.0))
    return np.asarray(np.divide(top, error, out=certain, where=error > 0))
