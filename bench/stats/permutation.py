"""Sign-flip permutation test of paired differences: of their mean, without ranks.

Fisher (1935), The design of experiments, section 21; Phipson, Smyth (2010), Permutation p-values should never be
zero, Stat Appl Genet Mol Biol 9(1):39.
"""

import math

import numpy as np
import pandas as pd
from scipy.stats import permutation_test

from bench.stats.paired import LEAST_PATIENTS, one_per_patient
from bench.stats.signed_rank import ALTERNATIVES, Alternative, round_differences

FLIPS = 9999


def sign_flip_p(
    d: "pd.Series[float]",
    rng: np.random.Generator,
    alternative: Alternative = "two-sided",
    flips: int = FLIPS,
) -> float:
    """Returns how often a mean so far from zero comes about if the signs of the differences are chance.

    It asks about the mean, which leaderboards show, where the signed-rank test asks about ranks: a few large
    differences count for more. Both suppose that differences lie symmetrically about zero if entries do not differ.

    Exact over all sign flips where there are no more than `flips`: up to 13 patients with the default. Beyond,
    (1 + as far or farther) / (1 + flips) of random ones.

    Args:
        d: Differences by patient, from `differences`; a margin is taken off before.
        rng: Source of the flips.
        alternative: ``greater``: the mean is above zero; ``less``: below.
        flips: How many are drawn.

    Returns:
        p; NaN where the data cannot tell (fewer than six patients).

    Raises:
        ValueError: As in `one_per_patient`, if the alternative is not known, or `flips` is below 1.
    """
    array = round_differences(one_per_patient(d))
    if alternative not in ALTERNATIVES:
        raise ValueError(f"alternative must be one of {', '.join(ALTERNATIVES)}, got {alternative!r}")
    if flips < 1:
        raise ValueError(f"flips must be at least 1, got {flips}")
    if len(array) < LEAST_PATIENTS:
        return math.nan
    found = permutation_test(
        (array,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=flips,
        batch=max(1, 2_000_000 // len(array)),
        alternative=alternative,
        rng=rng,
    )
    return min(1.0, float(np.asarray(found.pvalue)))
