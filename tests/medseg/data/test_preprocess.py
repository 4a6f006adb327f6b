import numpy as np
import pytest

from medseg.data.geometry import place
from medseg.data.preprocess import normalise, preprocess
from medseg.tasks import TASKS

TASK = TASKS.load("acdc-multiclass")


def test_an_image_is_scaled_by_its_own_mean_and_spread():
    rng = np.random.default_rng(0)
    image = rng.normal(300, 40, (2, 3, 12, 10)).astype(np.float32)
    image[1] *= 7
    label = rng.integers(0, 4, (3, 12, 10)).astype(np.uint8)
    task = TASK.model_copy(update={"image_size": (12, 10), "spacing_mm": (1.5, 1.4)})
    network, classes = preprocess(task, image, label, place(task, label.shape, (8.0, 1.5, 1.4)))
    assert network.shape == (3, 2, 12, 10)
    for channel in (0, 1):
        raw = image[channel].astype(np.float64)
        np.testing.assert_allclose(network[:, channel], (raw - raw.mean()) / raw.std(), atol=1e-4)
    np.testing.assert_array_equal(classes, label)


def test_a_picture_has_one_slice():
    task = TASKS.load("covid-lung").model_copy(update={"image_size": (8, 8)})
    image, label = np.arange(64, dtype=np.float32).reshape(1, 8, 8), np.ones((8, 8), np.uint8)
    network, classes = preprocess(task, image, label, place(task, (8, 8), (1.0, 1.0)))
    assert (network.shape, classes.shape) == ((1, 1, 8, 8), (1, 8, 8))


def test_a_constant_image_becomes_zeros():
    np.testing.assert_array_equal(normalise(TASK, np.full((2, 8, 8), 7, np.float32)), 0.0)


def test_tiny_values_are_scaled_like_others():
    rng = np.random.default_rng(0)
    channel = rng.random((2, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(normalise(TASK, channel * 1e-9), normalise(TASK, channel), atol=1e-4)


def test_many_slices_are_those_of_each_slice_alone():
    rng = np.random.default_rng(0)
    image, label = (
        rng.random((1, 21, 12, 10)).astype(np.float32),
        rng.integers(0, 4, (21, 12, 10)).astype(np.uint8),
    )
    task = TASK.model_copy(update={"image_size": (9, 9), "window": (0.0, 1.0)})
    geometry = place(task, label.shape, (8.0, 1.5, 1.4))
    images, labels = preprocess(task, image, label, geometry)
    for z in range(21):
        one = preprocess(task, image[:, z : z + 1], label[z : z + 1], geometry)
        np.testing.assert_array_equal(images[z], one[0][0])
        np.testing.assert_array_equal(labels[z], one[1][0])


def test_clipping_takes_percentiles_of_the_image_itself():
    task = TASK.model_copy(update={"clip_percentiles": (10.0, 90.0)})
    values = np.arange(101, dtype=np.float32)
    values[-1] = 1e6
    clipped = np.clip(values, 10, 90).astype(np.float64)
    np.testing.assert_allclose(normalise(task, values), (clipped - clipped.mean()) / clipped.std(), atol=1e-5)


def test_a_window_maps_to_minus_two_and_two_whatever_the_image_holds():
    task = TASK.model_copy(update={"window": (-100.0, 300.0)})
    found = normalise(task, np.array([-1000, -100, 0, 100, 300, 2000], np.float32))
    np.testing.assert_allclose(found, [-2, -2, -1, 0, 2, 2])


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"window": (3.0, 3.0)}, "window must rise, got 3 and 3"),
        ({"clip_percentiles": (99.0, 1.0)}, "clip_percentiles must rise, got 99 and 1"),
        ({"clip_percentiles": (1.0, 99.0), "window": (0.0, 1.0)}, "exclude each other"),
        ({"unit": "px"}, "unit px leaves no place for spacing_mm"),
        ({"labels": {f"l{i}": i for i in range(1, 300)}}, "labels must be at most 255, got 299"),
        ({"labels": {}}, "at least one foreground label"),
        ({"labels": {"a": 0}}, "value 0 is background already"),
        ({"labels": {"a": 2}, "background": (2,)}, "value 2 is background already"),
        ({"labels": {"a": 2, "b": 2}}, "value 2 stands for two labels"),
    ],
)
def test_tasks_that_contradict_themselves_are_refused(update, message):
    with pytest.raises(ValueError, match=message):
        type(TASK).model_validate(TASK.model_dump() | update)
