"""What each measured value counts in an average: the policy for empty masks, and the worst value for failures."""

from math import nan
from typing import Literal, get_args

import numpy as np
import pandas as pd

FAILED = ("failed", "missing")

Worst = float | Literal["diagonal"]
Policy = Literal["nnunet", "brats", "one"]
POLICIES: tuple[Policy, ...] = get_args(Policy)

BRATS_DISTANCE = 373.13
"""Diagonal in mm of the 240 x 240 x 155 images of BraTS: what its evaluation counts for a missed distance."""


def counted_values(
    cells: pd.DataFrame, worst: Worst, policy: Policy = "nnunet", agreed: float = nan
) -> pd.Series:
    """Returns what each measured value counts in an average: the policy for empty masks and failures.

    - Failed and missing: the worst value; so is a value that is NaN though its status says ok. NaN where there
      is no worst value.
    - Infinite (one mask is empty): the worst value, too: of a distance the image's diagonal.
    - NaN where both masks are empty: left out, as nnU-Net does. Counting a label that is absent from both as 1
      would favour empty predictions; the policies ``one`` and ``brats`` do it.
    - NaN where one mask is empty: left out.

    Args:
        cells: Columns value, status and diagonal.
        worst: What a failed value counts: a number, NaN (left out), or the image's ``"diagonal"``.
        policy: ``nnunet``; ``one`` counts `agreed` where both masks are empty; ``brats`` does, too, and
            373.13 instead of the diagonal.
        agreed: What both masks being empty counts then; NaN: left out all the same.

    Returns:
        Floats on the index of `cells`; NaN where a value is left out.

    Raises:
        ValueError: If the policy is not known, or `worst` is another word.
    """
    if policy not in POLICIES:
        raise ValueError(f"policy must be one of {', '.join(POLICIES)}, got {policy!r}")
    if isinstance(worst, str) and worst != "diagonal":
        raise ValueError(f"worst must be a number or 'diagonal', got {worst!r}")
    value = cells["value"].astype(float)
    if policy != "nnunet":
        value = value.mask((cells["status"] == "both_empty") & value.isna(), agreed)
    return value.mask(is_lost(cells) | np.isinf(value), _penalty(cells, worst, policy))


def _penalty(cells: pd.DataFrame, worst: Worst, policy: Policy) -> "pd.Series[float]":
    if not isinstance(worst, str):
        return pd.Series(float(worst), cells.index)
    return pd.Series(BRATS_DISTANCE, cells.index) if policy == "brats" else cells["diagonal"].astype(float)


def is_lost(cells: pd.DataFrame) -> "pd.Series[bool]":
    """Says which cells have no value though there should be one: failed, missing, or NaN with status ok."""
    return cells["status"].isin(FAILED) | ((cells["status"] == "ok") & cells["value"].isna())
