"""Volumes in millilitres, as voxels times their size; of 3D label maps with a spacing in mm.

Signed differences are prediction minus reference (Maier-Hein et al. 2024, https://doi.org/10.1038/s41592-023-02151-z).
An empty mask has a volume, 0. A volume has no worst value, so one that could not be measured is left out of
averages, and counted as failed beside them.
"""

from math import nan
from typing import TYPE_CHECKING

from medseg.metrics.spec import EmptyValues, MetricSpec

if TYPE_CHECKING:
    from medseg.metrics.maps import MaskPair

MM3_PER_ML = 1000.0


def volume(pair: "MaskPair") -> float:
    """Returns the predicted volume in mL."""
    return pair.prediction_size * pair.voxel / MM3_PER_ML


def reference_volume(pair: "MaskPair") -> float:
    """Returns the reference's volume in mL."""
    return pair.reference_size * pair.voxel / MM3_PER_ML


def volume_difference(pair: "MaskPair") -> float:
    """Returns predicted minus reference volume in mL; above 0 where too much was predicted."""
    return (pair.prediction_size - pair.reference_size) * pair.voxel / MM3_PER_ML


def absolute_volume_difference(pair: "MaskPair") -> float:
    """Returns the size of `volume_difference` in mL."""
    return abs(volume_difference(pair))


def rvd(pair: "MaskPair") -> float:
    """Returns the relative volume difference (P - R) / R, from -1; the reference must not be empty."""
    return (pair.prediction_size - pair.reference_size) / pair.reference_size


VOLUME = MetricSpec(
    name="volume_ml",
    title="Volume",
    definition="volume_ml/voxels/v1",
    higher_is_better=False,
    worst=nan,
    quantity="volume",
    ranked=False,
    of_label=volume,
)
REFERENCE_VOLUME = MetricSpec(
    name="reference_volume_ml",
    title="Reference volume",
    definition="reference_volume_ml/voxels/v1",
    higher_is_better=False,
    worst=nan,
    quantity="volume",
    ranked=False,
    of_label=reference_volume,
)
VOLUME_DIFFERENCE = MetricSpec(
    name="volume_difference_ml",
    title="Volume difference",
    definition="volume_difference_ml/voxels/signed/v1",
    higher_is_better=False,
    worst=nan,
    quantity="volume",
    ranked=False,
    of_label=volume_difference,
)
ABSOLUTE_VOLUME_DIFFERENCE = MetricSpec(
    name="absolute_volume_difference_ml",
    title="Absolute volume difference",
    definition="absolute_volume_difference_ml/voxels/v1",
    higher_is_better=False,
    worst=nan,
    quantity="volume",
    ranked=False,
    of_label=absolute_volume_difference,
)
RVD = MetricSpec(
    name="rvd",
    title="RVD",
    definition="rvd/voxels/signed/v1",
    higher_is_better=False,
    worst=nan,
    ranked=False,
    of_label=rvd,
    empty=EmptyValues(both=nan, reference=nan, prediction=-1.0),
)
