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
    found = count(ours, theirs, labels)
    for counted, values in (
        (found.reference, ours),
        (found.prediction, theirs),
        (found.overlap, ours[ours == theirs]),
    ):
        expected = np.bincount(values.ravel(), minlength=labels + 1)
        np.testing.assert_array_equal(counted[1:], expected[1:])
        assert counted[0] == 0


def test_views_without_order_are_counted():
    ours = np.random.default_rng(0).integers(0, 4, (5, 6, 7)).astype(np.uint8)
    found, turned = count(ours, ours, 3), count(ours.T[::-1], ours.T[::-1], 3)
    np.testing.assert_array_equal(found.overlap, turned.overlap)


def test_an_empty_crop_has_no_foreground():
    none = np.zeros((0, 0), dtype=np.uint8)
    found = count(none, none, 2)
    assert found.reference.tolist() == found.prediction.tolist() == found.overlap.tolist() == [0, 0, 0]
