import math

import pytest

from bench.results.counting import Limits, Tuned, best_of, charged_epochs, counted, excess, out_of_reach


def trials(*changes):
    """Complete trials of 10 s, each better than the one before."""
    plain = {"status": "complete", "cost": {"device_s": 10.0}}
    return [Tuned(number, value=number / 10, **plain | change) for number, change in enumerate(changes)]


FOUR = trials({}, {}, {}, {})


@pytest.mark.parametrize(
    ("limits", "numbers"),
    [
        (Limits(), [0, 1, 2, 3]),
        (Limits(numbers=2), [0, 1]),
        (Limits(numbers=0), []),
        (Limits(epochs=8, tune_epochs=4), [0, 1]),
        (Limits(epochs=11, tune_epochs=4), [0, 1]),
        (Limits(device_s=20.0), [0, 1]),
        (Limits(device_s=20.1), [0, 1, 2]),
    ],
)
def test_trials_count_in_the_order_of_their_numbers_until_the_budget_is_spent(limits, numbers):
    assert [trial.number for trial in counted(reversed(FOUR), limits)] == numbers
    best = best_of(FOUR, limits)
    assert (best.number if best else None) == (numbers[-1] if numbers else None)


def test_what_is_charged():
    assert charged_epochs("crashed", 1, 4) == 4
    assert [charged_epochs("pruned", epochs, 4) for epochs in (0, 2, 9)] == [1, 2, 4]
    failing = trials(*[{"status": "crashed", "cost": {}}] * 3, {})
    assert len(counted(failing, Limits(device_s=3.0))) == 3
    pruned = trials({}, {"status": "pruned", "epochs": 2}, {})
    assert len(counted(pruned, Limits(epochs=10, tune_epochs=4))) == 3
    assert len(counted(pruned, Limits(epochs=9, tune_epochs=4))) == 2


def test_the_best_is_complete_and_costs_no_more_than_it_may():
    dear = trials({}, {}, {"cost": {"gmacs": 4.1}}, {"status": "pruned"})
    assert best_of(dear, Limits()).number == 2
    assert best_of(dear, Limits(most={"gmacs": 4.0})).number == 1
    assert best_of([Tuned(0, "complete", math.nan), Tuned(1, "complete")], Limits()) is None


def test_of_equals_the_lowest_number_wins():
    equal = [Tuned(number, "complete", 0.5) for number in (2, 1, 3)]
    assert best_of(equal, Limits()).number == 1


def test_costs_that_are_not_known_break_no_limit():
    assert excess({"gmacs": 5.0}, {"gmacs": 4.0, "parameters": 9.0}) == {"gmacs": 0.25}


def test_limits_that_no_trial_keeps_to_are_named_with_the_least_that_was_seen():
    costs = [{"gmacs": 7.0, "parameters": 5e6}, {"gmacs": 6.5, "parameters": 1e6}, {"gmacs": 1.0}]
    dear = [Tuned(number, "complete", 0.5, cost=cost) for number, cost in enumerate(costs)]
    said = "gmacs must be at most 5, the least seen is 6.5"
    assert out_of_reach(dear[:2], Limits(most={"gmacs": 5.0, "parameters": 3e6})) == said
    assert out_of_reach(dear, Limits(most={"gmacs": 5.0})) == ""
    # What the budget does not pay for is not seen.
    assert out_of_reach(dear, Limits(numbers=2, most={"gmacs": 5.0})) == said
    both = [
        Tuned(0, "complete", cost={"gmacs": 6, "parameters": 1e6}),
        Tuned(1, "complete", cost={"gmacs": 4, "parameters": 9e6}),
    ]
    assert out_of_reach(both, Limits(most={"gmacs": 5.0, "parameters": 3e6})) == (
        "gmacs must be at most 5, the least seen is 4; parameters must be at most 3e+06, the least seen is 1e+06"
    )
    assert out_of_reach([Tuned(0, "crashed", cost={"gmacs": 9})], Limits(most={"gmacs": 5.0})) == ""
