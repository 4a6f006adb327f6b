import numpy as np
import pytest
import torch

from medseg.data.augment.config import AugmentConfig
from medseg.data.patch import ANY_FOREGROUND
from medseg.training import batches as module
from medseg.training.batches import Batches

CPU = torch.device("cpu")


def make(spec, data, rows=None, **train):
    spec = spec.model_copy(update={"train": spec.train.model_copy(update=train)})
    slices = data.slices(data.split.patients(0)[0])
    rows = rows or slice(0, spec.train.batch_size)
    return Batches(spec, data.prepared, slices, CPU, rows, torch.channels_last)


def test_a_batch_is_what_the_network_takes(small_spec, small_data):
    images, labels = make(small_spec, small_data).batch(0)
    assert (images.shape, images.dtype) == ((4, 1, 32, 32), torch.float32)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert (labels.shape, labels.dtype) == ((4, 32, 32), torch.int64)


@pytest.mark.parametrize("train", [{}, {"patch_size": (16, 24)}])
def test_a_step_is_the_same_whenever_it_is_asked_for(small_spec, small_data, train):
    forward, backward = make(small_spec, small_data, **train), make(small_spec, small_data, **train)
    found = [forward.batch(step) for step in range(4)]
    for step in reversed(range(4)):
        for one, other in zip(found[step], backward.batch(step), strict=True):
            assert torch.equal(one, other)
    assert not torch.equal(found[0][0], found[1][0])


@pytest.mark.parametrize("train", [{}, {"patch_size": (16, 24), "foreground_share": 0.5}])
def test_processes_get_the_rows_of_one_batch(small_spec, small_data, train):
    whole = make(small_spec, small_data, **train).batch(3)
    parts = [
        make(small_spec, small_data, rows, **train).batch(3)
        for rows in (slice(0, None, 2), slice(1, None, 2))
    ]
    for number in range(2):
        for rank, part in enumerate(parts):
            assert torch.equal(part[number], whole[number][rank::2])


def test_patches_have_their_size_and_move_with_their_masks(small_spec, small_data):
    off = {"patch_size": (16, 24), "augment": AugmentConfig.off()}
    images, labels = make(small_spec, small_data, **off).batch(0)
    assert images.shape[2:] == labels.shape[1:] == (16, 24)
    # Each is a window of one of the prepared slices, image and mask at the same place.
    stored, masks = np.asarray(small_data.prepared.images, np.float32), small_data.prepared.labels
    windows = np.lib.stride_tricks.sliding_window_view(stored[:, 0], (16, 24), axis=(1, 2))
    mask_windows = np.lib.stride_tricks.sliding_window_view(masks, (16, 24), axis=(1, 2))
    for image, label in zip(images[:, 0].numpy(), labels.numpy(), strict=True):
        same = np.argwhere((windows == image).all(axis=(3, 4)))
        assert any((mask_windows[tuple(place)] == label).all() for place in same)


def test_where_all_slices_hold_all_labels_patches_look_for_foreground(small_spec, small_data, monkeypatch):
    seen = []

    def watched(labels, slices, wanted, patch, rng):
        seen.append(wanted.tolist())
        return original(labels, slices, wanted, patch, rng)

    original = module.draw_windows
    monkeypatch.setattr(module, "draw_windows", watched)
    make(small_spec, small_data, patch_size=(16, 16), foreground_share=0.5).batch(0)
    assert seen == [[0, 0, ANY_FOREGROUND, ANY_FOREGROUND]]
