"""Lesion-wise counts: what was found and what was made up, whatever its size.

A lesion is a connected component of a label's mask. Voxels that touch by face, edge or corner belong together (8
neighbours in 2D, 26 in 3D: "full" in the definition ids). A reference lesion is detected if at least one predicted
voxel of the label lies in it; a predicted lesion is true if it overlaps the reference, so several of either may share
one of the other.
"""

from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medseg.metrics.spec import EmptyValues, MetricSpec

if TYPE_CHECKING:
    from medseg.metrics.maps import Mask, MaskPair


@dataclass(frozen=True)
class Lesions:
    """Connected components of one label of a case.

    Args:
        reference: Lesions of the reference.
        predicted: Lesions of the prediction.
        detected: Reference lesions that the prediction overlaps.
        true: Predicted lesions that the reference overlaps.
    """

    reference: int
    predicted: int
    detected: int
    true: int


def count_lesions(pair: "MaskPair") -> Lesions:
    """Returns the lesions of a label; they are found once for all metrics. Either mask may be empty."""
    if "lesions" not in pair.memo:
        ours, reference = _components(pair.reference)
        theirs, predicted = _components(pair.prediction)
        both = pair.reference & pair.prediction
        pair.memo["lesions"] = Lesions(
            reference, predicted, _touched(ours, reference, both), _touched(theirs, predicted, both)
        )
    found: Lesions = pair.memo["lesions"]
    return found


def lesion_sensitivity(pair: "MaskPair") -> float:
    """Returns the share of reference lesions that were detected, 0..1."""
    found = count_lesions(pair)
    return found.detected / found.reference


def lesion_precision(pair: "MaskPair") -> float:
    """Returns the share of predicted lesions that are true, 0..1."""
    found = count_lesions(pair)
    return found.true / found.predicted


def lesion_f1(pair: "MaskPair") -> float:
    """Returns the harmonic mean of lesion-wise sensitivity and precision, 0..1; 0 where nothing overlaps.

    The same with reference and prediction exchanged. ISLES'22 (Hernandez Petzsche et al. 2022,
    https://doi.org/10.1038/s41597-022-01875-5) counts detected reference lesions against false predicted ones, which
    gives another value where one predicted lesion covers several of the reference.
    """
    sensitivity, precision = lesion_sensitivity(pair), lesion_precision(pair)
    return 2 * sensitivity * precision / (sensitivity + precision) if sensitivity else 0.0


def lesion_count_reference(pair: "MaskPair") -> float:
    """Returns how many lesions the reference has."""
    return float(count_lesions(pair).reference)


def lesion_count_predicted(pair: "MaskPair") -> float:
    """Returns how many lesions were predicted."""
    return float(count_lesions(pair).predicted)


def _components(mask: "Mask") -> tuple[NDArray[np.signedinteger], int]:
    if not mask.size:
        return np.zeros(mask.shape, dtype=np.int32), 0
    # Whoever only looks a metric up need not wait for scipy.
    from scipy import ndimage

    numbers, count = ndimage.label(mask, np.ones((3,) * mask.ndim))
    return numbers, int(count)


def _touched(numbers: NDArray[np.signedinteger], count: int, where: "Mask") -> int:
    touched = np.zeros(count + 1, dtype=bool)
    touched[numbers[where]] = True
    return int(np.count_nonzero(touched))


LESION_F1 = MetricSpec(
    name="lesion_f1",
    title="Lesion F1",
    definition="lesion_f1/full/overlap1/harmonic/v1",
    higher_is_better=True,
    worst=0.0,
    best=1.0,
    of_label=lesion_f1,
    empty=EmptyValues(both=nan, reference=0.0, prediction=0.0, agreed=1.0),
)
LESION_SENSITIVITY = MetricSpec(
    name="lesion_sensitivity",
    title="Lesion sensitivity",
    definition="lesion_sensitivity/full/overlap1/v1",
    higher_is_better=True,
    worst=0.0,
    best=1.0,
    of_label=lesion_sensitivity,
    empty=EmptyValues(both=nan, reference=nan, prediction=0.0),
)
LESION_PRECISION = MetricSpec(
    name="lesion_precision",
    title="Lesion precision",
    definition="lesion_precision/full/overlap1/v1",
    higher_is_better=True,
    worst=0.0,
    best=1.0,
    of_label=lesion_precision,
    empty=EmptyValues(both=nan, reference=0.0, prediction=0.0),
)
LESIONS_REFERENCE = MetricSpec(
    name="lesion_count_reference",
    title="Lesions in the reference",
    definition="lesion_count_reference/full/v1",
    higher_is_better=False,
    worst=nan,
    ranked=False,
    of_label=lesion_count_reference,
)
LESIONS_PREDICTED = MetricSpec(
    name="lesion_count_predicted",
    title="Lesions predicted",
    definition="lesion_count_predicted/full/v1",
    higher_is_better=False,
    worst=nan,
    ranked=False,
    of_label=lesion_count_predicted,
)
