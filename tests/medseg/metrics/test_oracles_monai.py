"""Against MONAI, where its definitions are ours; of empty masks it has another opinion."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from monai.metrics import (
    compute_average_surface_distance,
    compute_dice,
    compute_hausdorff_distance,
    compute_iou,
    compute_surface_dice,
)
from shapes import cases, measure, size_of

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*always_return_as_numpy:FutureWarning", "ignore:.*is all 0:UserWarning"
)


def one_hot(array, labels):
    return torch.from_numpy(np.stack([array == label for label in range(labels + 1)])[None])


@settings(max_examples=100)
@given(cases(labels=2))
def test_overlap_and_distances(case):
    names = ("one", "two")
    ours = measure(*case, names)
    y, p = one_hot(case.reference, 2), one_hot(case.prediction, 2)
    theirs = {
        "dice": compute_dice(p, y, include_background=False),
        "iou": compute_iou(p, y, include_background=False),
        "hd": compute_hausdorff_distance(p, y, spacing=case.spacing),
        "hd95": compute_hausdorff_distance(p, y, percentile=95, spacing=case.spacing),
        "assd": compute_average_surface_distance(p, y, symmetric=True, spacing=case.spacing),
    }
    for index, label in enumerate(names):
        sizes = size_of(case, index + 1)
        if 0 in sizes:
            continue
        for metric, values in theirs.items():
            # MONAI rounds the place of its percentile among n distances to float32: off by n roundings of the gap.
            apart = 2e-7 * max(sizes) * ours[label, "hd"] if metric == "hd95" else 0
            expected = values[0, index].item()
            assert ours[label, metric] == pytest.approx(expected, rel=1e-6, abs=apart), metric


@settings(max_examples=60)
@given(cases())
def test_surface_dice_of_subvoxels(case):
    """MONAI adds areas and compares distances in float32; at no distance is the tolerance."""
    if 0 in size_of(case):
        return
    y, p = one_hot(case.reference, 1), one_hot(case.prediction, 1)
    theirs = compute_surface_dice(p, y, [1.3], spacing=case.spacing, use_subvoxels=True)
    ours = measure(*case, metrics=["nsd"], tolerance=1.3)["organ", "nsd"]
    assert ours == pytest.approx(theirs.item(), rel=1e-5, abs=1e-7)
