import threading

import numpy as np
import pytest
import torch

from medseg.data import prepare
from medseg.data.feed import AHEAD, Feed, _suitable

CPU = torch.device("cpu")


@pytest.fixture
def prepared(cardiac, cache):
    return prepare(cardiac.task, cardiac, cache)


def choose(prepared):
    slices = np.arange(3, len(prepared.labels) - 2)[::2]
    return slices, lambda step: slices[np.random.default_rng(step).integers(len(slices), size=5)]


@pytest.mark.parametrize("kind", ["mapped", "resident", "streamed"])
def test_every_way_gives_the_slices_that_were_chosen(prepared, kind):
    slices, chosen = choose(prepared)
    feed = Feed(prepared, slices, chosen, CPU, kind)
    # In order, then again from the start, as after a restored checkpoint.
    for step in (0, 1, 2, 3, 4, 5, 6, 40, 41, 0):
        images, labels = feed.batch(step)
        assert (images.dtype, labels.dtype) == (torch.float16, torch.uint8)
        np.testing.assert_array_equal(images.numpy(), prepared.images[chosen(step)])
        np.testing.assert_array_equal(labels.numpy(), prepared.labels[chosen(step)])
    feed.close()


def test_a_batch_is_the_callers_to_change(prepared):
    slices, chosen = choose(prepared)
    for kind in ("mapped", "resident", "streamed"):
        feed = Feed(prepared, slices, chosen, CPU, kind)
        feed.batch(0)[0].zero_()
        assert feed.batch(0)[0].abs().sum() > 0
        feed.close()


def test_streaming_reads_ahead_in_another_thread_and_no_step_twice(prepared):
    slices, chosen = choose(prepared)
    asked, readers = [], set()

    def watched(step):
        asked.append(step)
        readers.add(threading.current_thread().name)
        return chosen(step)

    feed = Feed(prepared, slices, watched, CPU, "streamed")
    for step in range(4):
        feed.batch(step)
    feed.close()
    assert sorted(asked) == sorted(set(asked))
    assert set(range(4)) <= set(asked) <= set(range(4 + AHEAD - 1))
    assert all(name.startswith("feed") for name in readers)


def test_an_error_while_reading_ahead_reaches_the_step_that_needs_it(prepared):
    slices, chosen = choose(prepared)

    def broken(step):
        if step == 2:
            raise OSError("stale file handle")
        return chosen(step)

    feed = Feed(prepared, slices, broken, CPU, "streamed")
    feed.batch(0)
    feed.batch(1)
    with pytest.raises(OSError, match="stale file handle"):
        feed.batch(2)
    feed.close()


def test_where_the_data_live_follows_from_the_device(prepared, monkeypatch):
    cuda = torch.device("cuda")
    per_slice = prepared.images[:1].nbytes + prepared.labels[:1].nbytes
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (per_slice * 40, per_slice * 80))
    assert _suitable(prepared, 10, CPU) == "mapped"
    assert _suitable(prepared, 10, cuda) == "resident"
    assert _suitable(prepared, 11, cuda) == "streamed"


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["resident", "streamed"])
def test_on_a_gpu_the_same_slices_arrive(prepared, kind):
    slices, chosen = choose(prepared)
    feed = Feed(prepared, slices, chosen, torch.device("cuda"), kind)
    for step in range(5):
        images, labels = feed.batch(step)
        assert images.device.type == "cuda"
        np.testing.assert_array_equal(images.cpu().numpy(), prepared.images[chosen(step)])
        np.testing.assert_array_equal(labels.cpu().numpy(), prepared.labels[chosen(step)])
    feed.close()
