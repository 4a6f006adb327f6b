"""Covering designs."""

from itertools import combinations

import pytest

from bench.plan.design import pairwise


@pytest.mark.parametrize(
    "sizes", [(7, 5, 4), (1, 1, 1), (1, 5, 4), (2, 2, 2), (3, 3, 9), (2, 8, 3), (4, 1, 1), (3, 3, 3)]
)
def test_any_two_meet_in_as_few_triples_as_can_be(sizes: tuple[int, int, int]) -> None:
    triples = pairwise(*sizes)
    for one, other in combinations(range(3), 2):
        assert len({(triple[one], triple[other]) for triple in triples}) == sizes[one] * sizes[other]
    *_, second, first = sorted(sizes)
    assert len(triples) == first * second
    assert all(0 <= place < size for triple in triples for place, size in zip(triple, sizes, strict=True))
