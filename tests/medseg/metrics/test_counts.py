"""Counts against numpy's histograms, with few labels and with many, in several chunks."""

import numpy as np
import pytest

from medseg.metrics.counts import _CHUNK, _FEW_LABELS, count


@pytest.mark.parametrize("labels", [1, 3, _FEW_LABELS, _FEW_LABELS + 1, 117, 300])
@pytest.mark.parametrize("shape", [(7, 9), (70, 41, 37), (1, 1), (2, _CHUNK + 3)])
def test_counts_are_those_of_the_whole_maps(labels, shape):
    rng = np.random.default_rng(labels)
    dtype = np.uint8 if labels < 256 else np.uint16
    ours, theirs = rng.integers(0, labels + 1, (2, *shape)).astype(dtype)
    size = ours.size + 1000
    found = count(ours, theirs, labels, size)
    outside = np.eye(labels + 1, dtype=int)[0] * 1000
    np.testing.assert_array_equal(found.reference, np.bincount(ours.ravel(), minlength=labels + 1) + outside)
    np.testing.assert_array_equal(
        found.prediction, np.bincount(theirs.ravel(), minlength=labels + 1) + outside
    )
    both = np.bincount(ours[ours == theirs], minlength=labels + 1) + outside
    np.testing.assert_array_equal(found.overlap, both)


def test_an_empty_crop_is_all_background():
    none = np.zeros((0, 0), dtype=np.uint8)
    found = count(none, none, 2, 50)
    assert found.reference.tolist() == found.prediction.tolist() == found.overlap.tolist() == [50, 0, 0]
