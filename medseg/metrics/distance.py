"""Metrics from distances between boundaries, in the spacing's unit (mm or px).

A boundary is a mask minus its erosion with connectivity 1, what lies outside the image being background. The
definitions are those of MONAI and MetricsReloaded (Maier-Hein et al. 2024,
https://doi.org/10.1038/s41592-023-02151-z).
"""

from math import inf, nan
from typing import TYPE_CHECKING

import numpy as np

from medseg.metrics.spec import EmptyValues, MetricSpec

if TYPE_CHECKING:
    from medseg.metrics.maps import MaskPair


def hd(pair: "MaskPair") -> float:
    """Returns the Hausdorff distance: the largest distance of either direction."""
    return max(float(d.max()) for d in pair.distances)


def hd95(pair: "MaskPair") -> float:
    """Returns the larger of the two directions' 95th percentiles, linearly interpolated."""
    return max(float(np.percentile(d, 95)) for d in pair.distances)


def assd(pair: "MaskPair") -> float:
    """Returns the average symmetric surface distance: the mean over both directions' distances, pooled."""
    ours, theirs = pair.distances
    return float((ours.sum() + theirs.sum()) / (len(ours) + len(theirs)))


def masd(pair: "MaskPair") -> float:
    """Returns the mean average surface distance: the mean of the two directions' means."""
    ours, theirs = pair.distances
    return float((ours.mean() + theirs.mean()) / 2)


_DISTANCE_EMPTY = EmptyValues(both=nan, reference=inf, prediction=inf, agreed=0.0)

HD = MetricSpec(
    name="hd",
    title="HD",
    definition="hd/erode1/max/v1",
    higher_is_better=False,
    worst="diagonal",
    quantity="length",
    of_label=hd,
    empty=_DISTANCE_EMPTY,
)
HD95 = MetricSpec(
    name="hd95",
    title="HD95",
    definition="hd95/erode1/maxdir/linear/v1",
    higher_is_better=False,
    worst="diagonal",
    quantity="length",
    of_label=hd95,
    empty=_DISTANCE_EMPTY,
)
ASSD = MetricSpec(
    name="assd",
    title="ASSD",
    definition="assd/erode1/pooled/v1",
    higher_is_better=False,
    worst="diagonal",
    quantity="length",
    of_label=assd,
    empty=_DISTANCE_EMPTY,
)
MASD = MetricSpec(
    name="masd",
    title="MASD",
    definition="masd/erode1/meandir/v1",
    higher_is_better=False,
    worst="diagonal",
    quantity="length",
    of_label=masd,
    empty=_DISTANCE_EMPTY,
)
