"""Lesions against masks drawn by hand, and against a search by hand."""

from itertools import product
from math import nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from medseg.metrics import METRICS, evaluate_case
from medseg.metrics.lesions import count_lesions
from medseg.metrics.maps import LabelMaps

NAMES = (
    "lesion_sensitivity",
    "lesion_precision",
    "lesion_f1",
    "lesion_count_reference",
    "lesion_count_predicted",
)
MASKS = arrays(
    np.uint8, array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=6), elements=st.integers(0, 1)
)


def drawn(*lines):
    return np.array([[character == "x" for character in line] for line in lines], np.uint8)


def values(reference, prediction):
    rows = evaluate_case(reference, prediction, (1,) * reference.ndim, ["lesion"], NAMES)
    return tuple(row.value for row in rows)


REFERENCE = drawn(
    "xx....x",
    "xx....x",
    ".......",
    "x..x..x",
)


def test_what_is_found_and_what_is_made_up():
    # Two of the reference's five are found; two of three predicted are true.
    prediction = drawn(
        ".x.....",
        "..x....",
        "....x..",
        "x......",
    )
    sensitivity, precision = 2 / 5, 2 / 3
    f1 = 2 * sensitivity * precision / (sensitivity + precision)
    assert values(REFERENCE, prediction) == pytest.approx((sensitivity, precision, f1, 5, 3))


def test_one_predicted_lesion_may_find_several_and_several_may_find_one():
    one = drawn("x.x.x.x")
    whole = drawn("xxxxxxx")
    assert values(one, whole) == (1, 1, 1, 4, 1)
    assert values(whole, one) == (1, 1, 1, 1, 4)


def test_nothing_overlaps():
    assert values(drawn("x..x"), drawn(".x..")) == (0, 0, 0, 2, 1)


def test_corners_touch_in_2d_and_3d():
    diagonal = np.eye(4, dtype=np.uint8)
    assert values(diagonal, diagonal)[3:] == (1, 1)
    corners = np.zeros((3, 3, 3), np.uint8)
    corners[range(3), range(3), range(3)] = 1
    assert values(corners, corners)[3:] == (1, 1)


def test_another_label_between_two_lesions_does_not_join_them():
    maps = np.array([[1, 2, 1], [2, 2, 2], [1, 2, 1]], np.uint8)
    rows = evaluate_case(maps, maps, (1, 1), ["a", "b"], ["lesion_count_reference"])
    assert [row.value for row in rows] == [4, 1]


EMPTY = np.zeros((3, 4), np.uint8)
SOME = drawn("x..x", "....", "xx..")


@pytest.mark.parametrize(
    ("reference", "prediction", "expected"),
    [
        (EMPTY, EMPTY, (nan, nan, nan, 0, 0)),
        (EMPTY, SOME, (nan, 0, 0, 0, 3)),
        (SOME, EMPTY, (0, 0, 0, 3, 0)),
    ],
)
def test_empty_masks(reference, prediction, expected):
    assert values(reference, prediction) == pytest.approx(expected, nan_ok=True)
    f1, sensitivity = METRICS.load("lesion_f1"), METRICS.load("lesion_sensitivity")
    assert (f1.empty.agreed, f1.worst, sensitivity.worst) == (1.0, 0.0, 0.0)


def test_lesions_are_searched_once_for_all_metrics():
    pair = LabelMaps(SOME, SOME, (1, 1), ("lesion",)).pair(1)
    assert count_lesions(pair) is count_lesions(pair)


def flooded(mask):
    """Connected components as sets of places, by walking from neighbour to neighbour."""
    left, found = set(map(tuple, np.argwhere(mask).tolist())), []
    while left:
        lesion, edge = set(), [left.pop()]
        while edge:
            place = edge.pop()
            lesion.add(place)
            around = {
                tuple(a + b for a, b in zip(place, step, strict=True))
                for step in product((-1, 0, 1), repeat=mask.ndim)
            }
            edge += around & left
            left -= around
        found.append(lesion)
    return found


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_as_found_by_walking(data):
    reference = data.draw(MASKS)
    prediction = data.draw(arrays(np.uint8, reference.shape, elements=st.integers(0, 1)))
    pair = LabelMaps(reference, prediction, (1.0,) * reference.ndim, ("lesion",)).pair(1)
    ours, theirs = flooded(reference), flooded(prediction)
    inside, predicted = set().union(*ours), set().union(*theirs)
    found = count_lesions(pair)
    assert (found.reference, found.predicted) == (len(ours), len(theirs))
    assert found.detected == sum(bool(lesion & predicted) for lesion in ours)
    assert found.true == sum(bool(lesion & inside) for lesion in theirs)


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_f1_is_the_same_either_way(data):
    reference = data.draw(MASKS)
    prediction = data.draw(arrays(np.uint8, reference.shape, elements=st.integers(0, 1)))
    there, back = values(reference, prediction), values(prediction, reference)
    assert there[2] == pytest.approx(back[2], nan_ok=True)
    assert there[3:] == back[:2:-1]
