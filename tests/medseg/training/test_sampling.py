import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from medseg.training.sampling import batch_indices, derive_seed


@given(count=st.integers(1, 40), batch=st.integers(1, 50), seed=st.integers(0, 2**31))
def test_every_slice_comes_once_before_any_comes_again(count, batch, seed):
    steps = -(-3 * count // batch)
    stream = np.concatenate([batch_indices(count, batch, seed, step) for step in range(steps)])
    for start in range(0, len(stream) - count + 1, count):
        assert sorted(stream[start : start + count]) == list(range(count))


def test_a_step_depends_on_seed_and_step_alone():
    assert np.array_equal(batch_indices(100, 8, 1, 5), batch_indices(100, 8, 1, 5))
    assert not np.array_equal(batch_indices(100, 8, 1, 5), batch_indices(100, 8, 2, 5))
    assert not np.array_equal(batch_indices(100, 8, 1, 5), batch_indices(100, 8, 1, 6))


def test_rounds_are_shuffled_differently():
    first, second = batch_indices(50, 50, 0, 0), batch_indices(50, 50, 0, 1)
    assert not np.array_equal(first, second)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4))
def test_derived_seeds_are_stable_and_in_range(parts):
    assert derive_seed(*parts) == derive_seed(*parts)
    assert 0 <= derive_seed(*parts) < 2**63


def test_derived_seeds_differ_between_streams_and_steps():
    seeds = {
        derive_seed(seed, stream, step) for seed in range(5) for stream in range(3) for step in range(50)
    }
    assert len(seeds) == 5 * 3 * 50
