import pytest

from bench.errors import BenchError
from bench.run.cluster import count_slots
from bench.suite.schema import Resources

GIB = 2**30
NODE = {"CPU": 8.0, "GPU": 2.0, "memory": 32.0 * GIB}


def need(**extra) -> Resources:
    return Resources(**{"cpus": 1, "memory_gb": 1, **extra})


@pytest.mark.parametrize(
    ("extra", "slots"),
    [
        ({}, 8),
        ({"cpus": 3}, 2),
        ({"gpus": 0.25}, 8),
        ({"gpus": 0.5}, 4),
        ({"gpus": 2}, 1),
        ({"memory_gb": 10}, 3),
    ],
)
def test_the_scarcest_resource_counts(extra, slots):
    assert count_slots([NODE], {"a": need(**extra)}) == slots


def test_nodes_add_up_and_trials_do_not_span_them():
    assert count_slots([NODE, NODE], {"a": need(cpus=5)}) == 2
    assert count_slots([NODE], {"a": need(), "b": need(cpus=4)}) == 2


@pytest.mark.parametrize("extra", [{"cpus": 64}, {"gpus": 4}, {"memory_gb": 500}])
def test_what_fits_nowhere_is_refused_instead_of_waiting_for_ever(extra):
    with pytest.raises(
        BenchError, match=r"a trial of unet \+ ce needs .* no node has that: 8 CPU cores, 2 GPUs"
    ):
        count_slots([NODE, NODE], {"unet + ce": need(**extra)})
