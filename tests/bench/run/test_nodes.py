import pytest

from bench.run.nodes import GIB, Books, Node, Shape, capacity, fit, has_room
from bench.suite.schema import Resources


def node(name="n", cpus=16.0, gpus=4.0, memory=64.0, hardware=()) -> Node:
    return Node(name, name, cpus, gpus, memory * GIB, frozenset(hardware))


def shape(gpus=0.0, cpus=1.0, memory=1.0, parts=1, hardware="") -> Shape:
    return Shape(parts, cpus, gpus, memory * GIB, hardware)


def gpus_of(books: Books, wanted: Shape) -> list[dict[int, float]]:
    """The GPUs that each part would get; they are taken."""
    shares = books.shares(wanted)
    for share in shares:
        books.take(share)
    return [dict(share.gpus) for share in shares]


def test_a_trial_is_split_into_equal_parts():
    need = Resources(cpus=4, gpus=2, processes=2, memory_gb=8, hardware="A100")
    assert Shape.of(need) == Shape(2, 2.0, 1.0, 4.0 * GIB, "A100")
    assert str(Shape.of(need)) == "4 CPU cores, 2 GPUs, 8.0 GiB memory in 2 processes on A100"
    assert str(Shape.of(Resources(cpus=1, gpus=1, memory_gb=8))) == "1 CPU core, 1 GPU, 8.0 GiB memory"


def test_fractions_fill_a_gpu_before_they_begin_the_next():
    books = Books(node())
    assert [gpus_of(books, shape(0.5)) for _ in range(3)] == [[{0: 0.5}], [{0: 0.5}], [{1: 0.5}]]
    assert gpus_of(books, shape(1.0)) == [{2: 1.0}]
    assert gpus_of(books, shape(2.0)) == []


def test_what_is_given_back_can_be_taken_again():
    books = Books(node(cpus=2, gpus=1, memory=2))
    (share,) = books.shares(shape(1.0, cpus=2, memory=2))
    books.take(share)
    assert not books.has(share)
    books.give(share)
    assert books.has(share)


@pytest.mark.parametrize(
    "wanted", [shape(cpus=17), shape(memory=65), shape(gpus=5.0), shape(hardware="h100")]
)
def test_what_a_node_cannot_hold(wanted):
    machine = node(hardware=["a100"])
    assert not Books(machine).shares(wanted)
    assert machine.parts(wanted) == 0


def test_the_fullest_node_is_taken_and_gpus_are_spared():
    free, full, plain = Books(node("free")), Books(node("full")), Books(node("plain", cpus=64, gpus=0))
    full.take(full.shares(shape(1.0))[0])
    books = [free, full, plain]
    assert fit(books, shape(2.0))[0].node == "full"
    assert fit(books, shape(4.0))[0].node == "free"
    assert fit(books, shape())[0].node == "plain"


def test_hardware_is_found_in_any_case():
    books = [Books(node("a", hardware=["a100"])), Books(node("h", hardware=["h100"]))]
    assert fit(books, shape(1.0, hardware="H100"))[0].node == "h"
    assert fit(books, shape(1.0, hardware="T4")) is None


def test_parts_lie_together_where_a_node_can_hold_them():
    one, two = Books(node("one")), Books(node("two"))
    one.take(one.shares(shape(2.0))[0])
    assert {share.node for share in fit([one, two], shape(1.0, parts=4))} == {"two"}
    two.take(two.shares(shape(1.0))[0])
    # Either node will hold all four some day, so they wait.
    assert fit([one, two], shape(1.0, parts=4)) is None


def test_parts_that_no_node_holds_lie_on_few():
    books = [Books(node(str(index))) for index in range(3)]
    shares = fit(books, shape(1.0, parts=6))
    assert [share.node for share in shares] == ["0"] * 4 + ["1"] * 2
    assert has_room({each.node.id: each for each in books}, shares)


def test_room_for_each_is_not_room_for_all():
    books = Books(node(gpus=1))
    (share,) = books.shares(shape(1.0))
    assert has_room({"n": books}, [share])
    assert not has_room({"n": books}, [share, share])


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (shape(), 32),
        (shape(cpus=3), 10),
        (shape(0.25), 32),
        (shape(0.3), 24),
        (shape(0.6), 8),
        (shape(3.0), 2),
        (shape(memory=20), 6),
        (shape(1.0, parts=4), 2),
        (shape(1.0, parts=6), 1),
        (shape(1.0, parts=9), 0),
    ],
)
def test_capacity_counts_what_really_fits(wanted, count):
    nodes = [node("one"), node("two")]
    assert capacity(nodes, wanted) == count
    books, found = [Books(each) for each in nodes], 0
    while (shares := fit(books, wanted)) is not None:
        found += 1
        for share in shares:
            next(each for each in books if each.node.id == share.node).take(share)
    assert found == count


def test_lack_grows_with_what_has_to_end():
    books = Books(node())
    (four,) = books.shares(shape(4.0))
    assert books.lacks(four) == 0
    books.take(books.shares(shape(0.5))[0])
    books.take(books.shares(shape(2.0))[0])
    assert books.lacks(four) == pytest.approx(2.5)
