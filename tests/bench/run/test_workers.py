import inspect

import pytest
from ray.tune.utils.object_cache import _ObjectCache

from bench.run.nodes import GIB, Node, Shape
from bench.run.placer import Placer, Wish
from bench.run.workers import IdleWorkers, order, request

ONE = Shape(1, 1, 1.0, GIB)
WHOLE = Shape(1, 1, 2.0, GIB)


@pytest.fixture
def placer():
    return Placer([Node("n0", "host", 8, 2, 16 * GIB)])


@pytest.fixture
def idle(placer):
    return IdleWorkers(placer)


def place(placer, shape=ONE):
    return placer.choose([Wish("a", shape)])[1]


def key(slot):
    return request(order(slot))


def end(idle, slot, actor):
    """What Tune does when a trial ends and its worker lives."""
    idle.leave(slot)
    return idle.cache_object(key(slot), actor)


def test_it_has_all_that_tune_calls():
    names = [name for name, _ in inspect.getmembers(_ObjectCache) if not name.startswith("_")]
    assert all(hasattr(IdleWorkers, name) for name in names)
    for name in ("cache_object", "pop_cached_object", "has_cached_object", "flush_cached_objects"):
        ours, theirs = (inspect.signature(getattr(cls, name)) for cls in (IdleWorkers, _ObjectCache))
        assert list(ours.parameters) == list(theirs.parameters)


def test_an_order_names_the_node_of_every_part():
    plain = request(order(place(Placer([Node("n0", "host", 8, 2, 16 * GIB)]))))
    assert plain.bundles == [{"CPU": 1.0, "memory": GIB, "GPU": 1.0}]
    assert not plain.head_bundle_is_empty
    assert plain.to_placement_group is not None
    assert plain._bound.kwargs["bundle_label_selector"] == [{"ray.io/node-id": "n0"}]


def test_what_starts_several_processes_takes_nothing_of_theirs(placer):
    slot = place(placer, Shape(2, 1.5, 0.5, GIB))
    wanted = request(order(slot))
    assert wanted.head_bundle_is_empty
    assert wanted.bundles == [{"CPU": 1.5, "memory": GIB, "GPU": 0.5}] * 2
    assert len(wanted._bound.kwargs["bundle_label_selector"]) == 2


def test_a_worker_goes_to_the_trial_that_was_placed_in_its_slot(placer, idle):
    first, second = place(placer), place(placer)
    assert end(idle, first, "worker 1")
    # The trial in `second` is just starting: it keeps its own worker.
    assert not idle.has_cached_object(key(second))
    assert idle.pop_cached_object(key(second)) is None
    again = place(placer)
    idle.claim(again)
    assert again is first
    assert idle.pop_cached_object(key(again)) == "worker 1"
    assert not idle.has_cached_object(key(again))
    assert idle.num_cached_objects == 0


def test_workers_stay_until_their_room_is_needed(placer, idle):
    for name, slot in [("worker 1", place(placer)), ("worker 2", place(placer))]:
        assert end(idle, slot, name)
    assert list(idle.flush_cached_objects()) == []
    place(placer, WHOLE)
    assert set(idle.flush_cached_objects()) == {"worker 1", "worker 2"}
    assert list(idle.flush_cached_objects()) == []


def test_at_the_end_all_go(placer, idle):
    end(idle, place(placer), "worker 1")
    assert list(idle.flush_cached_objects(force_all=True)) == ["worker 1"]
    assert place(placer) is not None


def test_a_worker_that_did_not_survive_leaves_its_room(placer, idle):
    slot = place(placer, WHOLE)
    idle.leave(slot)
    assert place(placer, WHOLE) is not slot


def test_a_trial_that_never_took_its_worker_leaves_it_idle(placer, idle):
    slot = place(placer)
    end(idle, slot, "worker 1")
    idle.claim(place(placer))
    idle.leave(slot)
    assert not idle.has_cached_object(key(slot))
    idle.claim(place(placer))
    assert idle.pop_cached_object(key(slot)) == "worker 1"


def test_a_worker_of_a_lost_node_goes(placer, idle):
    slot = place(placer)
    end(idle, slot, "worker 1")
    placer.update([])
    assert list(idle.flush_cached_objects()) == ["worker 1"]
    other = IdleWorkers(placer)
    assert not end(other, slot, "worker 1")


def test_a_slot_that_nobody_wanted_keeps_its_worker(placer, idle):
    slot = place(placer)
    end(idle, slot, "worker 1")
    assert place(placer) is slot
    idle.decline(slot)
    assert place(placer) is slot
    placer.update([])
    idle.decline(slot)
    assert list(idle.flush_cached_objects()) == ["worker 1"]
