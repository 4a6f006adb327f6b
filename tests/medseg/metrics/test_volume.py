"""Volumes against boxes whose volume is known."""

from math import nan

import numpy as np
import pytest

from medseg.metrics import METRICS, evaluate_case

NAMES = ("volume_ml", "reference_volume_ml", "volume_difference_ml", "absolute_volume_difference_ml", "rvd")
SPACING = (8.0, 1.25, 1.5)


def box(*sides, shape=(6, 10, 12)):
    mask = np.zeros(shape, np.uint8)
    mask[tuple(slice(side) for side in sides)] = 1
    return mask


def values(reference, prediction, spacing=SPACING):
    rows = evaluate_case(reference, prediction, spacing, ["LV"], NAMES)
    return {row.metric: row.value for row in rows}, {row.status for row in rows}


def test_boxes_of_known_size():
    # 5 x 8 x 10 and 4 x 8 x 10 voxels of 8 x 1.25 x 1.5 = 15 mm3.
    found, status = values(box(5, 8, 10), box(4, 8, 10))
    assert status == {"ok"}
    expected = {
        "volume_ml": 4.8,
        "reference_volume_ml": 6.0,
        "volume_difference_ml": -1.2,
        "absolute_volume_difference_ml": 1.2,
        "rvd": -0.2,
    }
    assert found == pytest.approx(expected, rel=1e-12)


def test_volumes_do_not_ask_where_voxels_lie():
    found, _ = values(box(3, 4, 5), np.flip(box(3, 4, 5)))
    assert found["volume_ml"] == found["reference_volume_ml"] == 0.9
    assert found["absolute_volume_difference_ml"] == found["rvd"] == 0


@pytest.mark.parametrize(
    ("reference", "prediction", "status", "expected"),
    [
        (box(0), box(0), "both_empty", (0, 0, 0, 0, nan)),
        (box(0), box(2, 5, 10), "reference_empty", (1.5, 0, 1.5, 1.5, nan)),
        (box(2, 5, 10), box(0), "prediction_empty", (0, 1.5, -1.5, 1.5, -1)),
    ],
)
def test_empty_masks_have_a_volume(reference, prediction, status, expected):
    found, statuses = values(reference, prediction)
    assert statuses == {status}
    assert found == pytest.approx(dict(zip(NAMES, expected, strict=True)), nan_ok=True)


def test_twice_the_spacing_is_eight_times_the_volume():
    rng = np.random.default_rng(0)
    reference, prediction = rng.integers(0, 2, (2, 4, 5, 6))
    small, _ = values(reference, prediction)
    large, _ = values(reference, prediction, tuple(2 * step for step in SPACING))
    for name in NAMES[:4]:
        assert large[name] == pytest.approx(8 * small[name], rel=1e-12)
    assert large["rvd"] == small["rvd"]


@pytest.mark.parametrize("name", NAMES)
def test_volumes_have_no_worst_value_and_are_only_reported(name):
    spec = METRICS.load(name)
    assert not spec.ranked
    assert spec.left_out_if_failed
    assert spec.unit("mm") == ("" if name == "rvd" else "mL")
