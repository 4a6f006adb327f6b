"""Normalized surface distance, or surface Dice, at a tolerance.

Nikolov et al. 2021, https://doi.org/10.2196/26151: the share of both surfaces that lies within the tolerance of the
other one. Surface elements come from marching cubes and count by their area (2D: their length).
"""

from math import nan
from typing import TYPE_CHECKING

from medseg.metrics.spec import EmptyValues, MetricSpec

if TYPE_CHECKING:
    from medseg.metrics.maps import MaskPair


def nsd(pair: "MaskPair") -> float:
    """Returns the share of both surfaces within the tolerance of the other, 0..1; at the tolerance is within."""
    near_reference, reference, near_prediction, prediction = pair.surface_shares
    return (near_reference + near_prediction) / (reference + prediction)


NSD = MetricSpec(
    name="nsd",
    title="NSD",
    definition="nsd/marching-cubes/tau={tolerance}/v1",
    higher_is_better=True,
    worst=0.0,
    best=1.0,
    of_label=nsd,
    empty=EmptyValues(both=nan, reference=0.0, prediction=0.0, agreed=1.0),
)
