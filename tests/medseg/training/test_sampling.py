import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from medseg.training.sampling import SliceSampler, derive_seed


def sampler(count=100, batch=8, share=0.0, seed=1, presence=None):
    slices = np.arange(count) * 3 + 7
    labels = np.ones((count, 1), bool) if presence is None else presence
    return SliceSampler(slices, labels, batch, share, seed)


@given(
    count=st.integers(1, 40), batch=st.integers(1, 50), seed=st.integers(0, 2**31), share=st.floats(0, 0.9)
)
def test_every_slice_comes_once_before_any_comes_again(count, batch, seed, share):
    presence = np.zeros((count, 2), bool)
    presence[: count // 2, 0] = True
    drawn = sampler(count, batch, share, seed, presence)
    free = batch - drawn.forced
    if free == 0:
        return
    steps = -(-3 * count // free)
    stream = np.concatenate([drawn.batch(step)[:free] for step in range(steps)])
    for start in range(0, len(stream) - count + 1, count):
        assert sorted(stream[start : start + count]) == (np.arange(count) * 3 + 7).tolist()


def test_a_step_depends_on_seed_and_step_alone():
    presence = np.arange(300).reshape(100, 3) % 7 == 0
    forward = sampler(share=0.5, presence=presence)
    batches = [forward.batch(step) for step in range(30)]
    backward = sampler(share=0.5, presence=presence)
    for step in reversed(range(30)):
        np.testing.assert_array_equal(backward.batch(step), batches[step])
    assert not np.array_equal(sampler(seed=2).batch(5), sampler(seed=1).batch(5))
    assert not np.array_equal(sampler().batch(6), sampler().batch(5))


def test_rounds_are_shuffled_differently():
    assert not np.array_equal(sampler(50, 50).batch(0), sampler(50, 50).batch(1))


def test_rare_labels_get_their_share_of_every_batch():
    # Label 0 in one slice of a hundred, label 1 in ten, label 2 in all.
    presence = np.zeros((100, 3), bool)
    presence[5, 0] = presence[20:30, 1] = presence[:, 2] = True
    drawn = sampler(batch=12, share=0.33, presence=presence)
    assert drawn.forced == 4
    rare = (np.array([5, *range(20, 30)]) * 3 + 7).tolist()
    seen = np.concatenate([drawn.batch(step)[-4:] for step in range(500)])
    assert set(seen) == set(rare)
    # The label is drawn first: one slice with label 0 is seen as often as the ten with label 1 together.
    assert abs((seen == 5 * 3 + 7).mean() - 0.5) < 0.05


def test_labels_that_all_slices_or_none_hold_are_not_forced():
    presence = np.zeros((100, 2), bool)
    presence[:, 0] = True
    assert sampler(share=0.5, presence=presence).forced == 0


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4))
def test_derived_seeds_are_stable_and_in_range(parts):
    assert derive_seed(*parts) == derive_seed(*parts)
    assert 0 <= derive_seed(*parts) < 2**63


def test_derived_seeds_differ_between_streams_and_steps():
    seeds = {
        derive_seed(seed, stream, step) for seed in range(5) for stream in range(3) for step in range(50)
    }
    assert len(seeds) == 5 * 3 * 50


def test_forced_rows_say_which_label_they_were_drawn_for():
    presence = np.zeros((100, 3), bool)
    presence[:, 0] = True
    presence[10:30, 1] = True
    presence[20:25, 2] = True
    drawn = sampler(share=0.5, presence=presence)
    for step in range(20):
        slices, wanted = drawn.draw(step)
        assert (wanted[:4] == 0).all()
        # Label 1 lies in every slice: it is not rare.
        assert set(wanted[4:]) <= {2, 3}
        for place, label in zip((slices[4:] - 7) // 3, wanted[4:], strict=True):
            assert presence[place, label - 1]
        np.testing.assert_array_equal(slices, drawn.batch(step))
