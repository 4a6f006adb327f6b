import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.data.raster.header import lengths


@given(st.decimals("0.00001", "5000", places=5).map(lambda size: float(f"{size:.6g}")))
def test_what_32_bits_add_is_taken_away(size):
    assert lengths([np.float32(size), size, -size]) == (size,) * 3


@pytest.mark.parametrize("size", [1.5625, 1.37, 10.0, 0.7, 1.25, 8.0, 0.9765625, 2.5, 0.74, 1.4])
def test_typical_lengths_are_as_written(size):
    assert lengths([np.float32(size), size]) == (size, size)


@pytest.mark.parametrize("size", [0.68359375, 0.341796875, 2.0**-15, 0.1234567, 0.0001625, 5e-5])
def test_more_digits_than_six_are_kept(size):
    assert lengths([np.float32(size), size]) == (size, size)


@pytest.mark.parametrize("size", [2 / 3, math.pi, 1.370000004, 1e300, 1e-60])
def test_what_no_float32_is_stays(size):
    assert lengths([size]) == (size,)


def test_the_norm_of_a_tilted_axis_is_its_length():
    for stated, size in ((1.37, 1.37), (float(np.float32(1.37)), 1.37), (0.68359375, 0.68359375)):
        for angle in np.linspace(0, 3, 31):
            norm = float(np.linalg.norm([stated * math.cos(angle), stated * math.sin(angle), 0.0]))
            assert lengths([norm]) == (size,)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_what_can_be_no_length_is_zero_and_others_hardly_change(size):
    (found,) = lengths([size])
    if math.isfinite(size):
        assert found == pytest.approx(abs(size), rel=2**-23, abs=1e-37)
    else:
        assert found == 0
