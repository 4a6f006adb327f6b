import heapq
import random

import pytest

from bench.run.nodes import GIB, Node, Shape
from bench.run.placer import Placer, Wish

QUARTER, ONE, FOUR = (Shape(1, 1, gpus, GIB) for gpus in (0.25, 1.0, 4.0))


def make(count=1, gpus=4.0) -> Placer:
    return Placer(Node(str(index), f"n{index}", 64, gpus, 100 * GIB) for index in range(count))


def take(placer, shape, name="a"):
    found = placer.choose([Wish(name, shape)])
    return None if found is None else found[1]


def test_the_first_that_fits_runs():
    placer = make(gpus=2)
    name, slot = placer.choose([Wish("large", FOUR), Wish("small", ONE)])
    assert (name, slot.nodes) == ("small", ("0",))
    assert take(placer, ONE) is not None
    assert take(placer, ONE) is None


def test_who_is_not_serious_gets_nothing():
    placer = make()
    assert placer.choose([Wish("a", ONE, lambda: False)]) is None
    assert placer.choose([Wish("a", ONE, lambda: False), Wish("b", ONE)])[0] == "b"


def test_an_idle_worker_is_reused_by_its_shape_only():
    placer = make()
    first = take(placer, ONE)
    assert placer.keep(first)
    assert placer.is_warm(ONE)
    assert not placer.is_warm(QUARTER)
    assert take(placer, QUARTER) is not first
    assert take(placer, ONE) is first
    assert not placer.is_warm(ONE)


def test_idle_workers_go_when_their_room_is_needed_and_no_more_than_that():
    placer = make(gpus=4)
    slots = [take(placer, ONE) for _ in range(4)]
    for slot in slots:
        placer.keep(slot)
    assert take(placer, Shape(1, 1, 2.0, GIB)) is not None
    assert len(placer.given_up) == len(placer.idle) == 2
    assert set(placer.given_up) | set(placer.idle) == set(slots)


def test_a_large_job_reserves_a_place_and_others_go_on_elsewhere():
    placer = make(count=2)
    running = [take(placer, ONE) for _ in range(8)]
    wishes = [Wish("large", FOUR), Wish("small", ONE)]
    assert placer.choose(wishes) is None
    by_node = {node: [slot for slot in running if slot.nodes == (node,)] for node in "01"}
    # The reserved node drains; the other is refilled.
    placer.keep(by_node["0"].pop())
    placer.keep(by_node["1"].pop())
    name, slot = placer.choose(wishes)
    other = slot.nodes[0]
    assert name == "small"
    reserved = {"0": "1", "1": "0"}[other]
    assert placer.choose(wishes) is None
    for slot in by_node[reserved]:
        assert placer.choose(wishes) is None
        placer.keep(slot)
    name, slot = placer.choose(wishes)
    assert (name, slot.nodes) == ("large", (reserved,))


def test_a_reservation_ends_with_its_holder():
    placer = make()
    running = [take(placer, ONE) for _ in range(4)]
    serious = True
    wishes = [Wish("large", FOUR, lambda: serious), Wish("small", ONE)]
    assert placer.choose(wishes) is None
    placer.release(running[0])
    assert placer.choose(wishes) is None
    serious = False
    assert placer.choose(wishes)[0] == "small"


def test_what_can_never_fit_reserves_nothing():
    placer = make(gpus=2)
    running = take(placer, ONE)
    assert placer.choose([Wish("huge", FOUR), Wish("small", ONE)])[0] == "small"
    placer.release(running)
    assert placer.choose([Wish("huge", FOUR), Wish("small", ONE)])[0] == "small"


def test_nodes_leave_with_their_idle_workers_and_join_empty():
    placer = make(count=2)
    slots = {slot.nodes[0]: slot for slot in [take(placer, FOUR), take(placer, FOUR)]}
    placer.keep(slots["0"])
    placer.update([Node("1", "n1", 64, 4, 100 * GIB), Node("2", "n2", 64, 4, 100 * GIB)])
    assert placer.given_up == [slots["0"]]
    assert not placer.stands(slots["0"])
    assert placer.stands(slots["1"])
    assert take(placer, FOUR).nodes == ("2",)
    assert take(placer, FOUR) is None
    placer.release(slots["1"])
    assert take(placer, FOUR).nodes == ("1",)


def test_a_worker_of_a_lost_node_is_not_kept():
    placer = make()
    slot = take(placer, ONE)
    placer.update([])
    assert not placer.keep(slot)
    assert not placer.idle


def simulate(seed: int, spread: float, trials: int = 200, studies: int = 12):
    """Runs a mixed load on 4 nodes of 8 GPUs; returns use of the GPUs, until the last start, and in all."""
    rng = random.Random(seed)
    placer, shapes = make(count=4, gpus=8), (QUARTER, ONE, FOUR)
    left = {f"s{index}": trials // studies + (index < trials % studies) for index in range(studies)}
    total, pace = dict(left), {name: rng.uniform(1 - spread, 1 + spread) for name in left}
    shape = {name: shapes[index % 3] for index, name in enumerate(left)}
    now, ends, runs = 0.0, [], []
    while True:
        # As the searcher orders studies: the least progress first, with a lead of four trials for a warm worker.
        lead = {name: 4 / total[name] if placer.is_warm(shape[name]) else 0.0 for name in left}
        order = sorted(filter(left.get, left), key=lambda name: 1 - left[name] / total[name] - lead[name])
        found = placer.choose([Wish(name, shape[name]) for name in order])
        if found is not None:
            name, slot = found
            left[name] -= 1
            end = now + pace[name] * rng.uniform(1 - spread, 1 + spread)
            runs.append((now, end, slot.shape.gpus))
            heapq.heappush(ends, (end, len(runs), slot))
        elif ends:
            now, _, slot = heapq.heappop(ends)
            placer.keep(slot)
        else:
            break
    assert not any(left.values())
    assert not placer._taken
    last = max(start for start, _, _ in runs)
    until = sum((min(end, last) - start) * gpus for start, end, gpus in runs) / 32 / last
    return until, sum((end - start) * gpus for start, end, gpus in runs) / 32 / now


@pytest.mark.parametrize("seed", range(4))
def test_a_mixed_load_fills_the_cluster(seed):
    until_last_start, in_all = simulate(seed, spread=0.3)
    assert until_last_start > 0.95
    assert in_all > 0.9


def test_equal_trials_fill_it_to_the_end():
    assert min(simulate(0, spread=0.0)) > 0.95


def test_a_large_job_is_not_starved_by_an_endless_stream_of_small_ones():
    placer, rng = make(count=2), random.Random(0)
    now, ends, came = 0.0, [], 3.0
    while True:
        wishes = [Wish("small", QUARTER)] if now < came else [Wish("large", FOUR), Wish("small", QUARTER)]
        found = placer.choose(wishes)
        if found is None:
            now, _, slot = heapq.heappop(ends)
            placer.keep(slot)
        elif found[0] == "large":
            break
        else:
            heapq.heappush(ends, (now + rng.uniform(0.5, 1.5), len(ends) + now, found[1]))
    # It waits for those who run, and for nobody who comes after it.
    assert now < came + 1.5
