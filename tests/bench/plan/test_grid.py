import pytest

from bench.plan.grid import MOST_SETTINGS, count_settings, grid_settings, grid_values
from bench.plan.parameter import Parameter, default_setting

OPTIMIZER = Parameter("optimizer", "o", default="sgd", choices=("adam", "sgd"))
MOMENTUM = Parameter(
    "momentum", "m", default=0.9, low=0.8, high=0.95, step=0.05, when=(("optimizer", ("sgd",)),)
)
NESTEROV = Parameter("nesterov", "n", default=True, choices=(True, False), when=(("momentum", (0.9, 0.95)),))
DEPTH = Parameter("depth", "d", default=3, low=2, high=4)
SPACE = (OPTIMIZER, DEPTH, MOMENTUM, NESTEROV)


@pytest.mark.parametrize(
    ("spec", "values"),
    [
        ({"low": 2, "high": 5}, [2, 3, 4, 5]),
        ({"low": 8, "high": 32, "step": 8}, [8, 16, 24, 32]),
        ({"low": 1, "high": 4, "log": True}, [1, 2, 3, 4]),
        ({"low": 0.1, "high": 0.5, "step": 0.1}, [0.1, 0.2, 0.3, 0.4, 0.5]),
        ({"choices": (None, [1, 2], "a")}, [None, [1, 2], "a"]),
        ({"low": 0.0, "high": 1.0}, None),
        ({"low": 1e-4, "high": 1e-2, "log": True}, None),
    ],
)
def test_the_values_of_a_dimension(spec, values):
    found = grid_values(Parameter("p", "p", default=None, **spec))
    assert found == values
    assert found is None or [type(value) for value in found] == [type(value) for value in values]


def test_what_is_not_active_makes_no_difference():
    # adam; sgd with 0.8 and 0.85; sgd with 0.9 and 0.95 with and without Nesterov: each with three depths.
    assert count_settings(SPACE) == 3 * (1 + 2 + 2 * 2)
    found = grid_settings(SPACE, seed=0)
    assert len(found) == 21
    assert len({str(setting) for setting in found}) == 21
    for setting in found:
        assert ("momentum" in setting) == (setting["optimizer"] == "sgd")
        assert ("nesterov" in setting) == (setting.get("momentum") in (0.9, 0.95))
        assert list(setting) == [p.name for p in SPACE if p.name in setting]


def test_the_default_comes_first_and_the_order_of_the_others_is_drawn():
    first, again, other = (grid_settings(SPACE, seed) for seed in (1, 1, 2))
    assert first[0] == other[0] == default_setting(SPACE)
    assert first == again != other
    assert sorted(map(str, first)) == sorted(map(str, other))


def test_a_default_that_steps_hit_but_for_rounding_comes_once():
    space = (Parameter("p", "p", default=0.1 + 0.2, low=0.1, high=0.5, step=0.1), DEPTH)
    found = grid_settings(space, 0)
    assert found[0] == {"p": 0.1 + 0.2, "depth": 3}
    assert len(found) == count_settings(space) == 15


def test_true_and_one_are_two_choices():
    space = (Parameter("p", "p", default=1, choices=(1, True)),)
    assert [(type(s["p"]), s["p"]) for s in grid_settings(space, 0)] == [(int, 1), (bool, True)]


def test_a_large_space_is_counted_without_being_listed():
    space = tuple(Parameter(f"p{n}", "p", default=0, low=0, high=99) for n in range(9))
    assert count_settings(space) == 100**9


def test_a_dimension_without_an_end_is_refused():
    with pytest.raises(ValueError, match="rate: a grid needs choices or a step"):
        count_settings((Parameter("rate", "r", default=0.1, low=0.0, high=1.0),))


def test_a_huge_grid_is_counted_without_being_laid_out():
    wide = Parameter("wide", "w", default=1, low=1, high=10**12)
    fine = Parameter("fine", "f", default=0.0, low=0.0, high=1.0, step=1e-12)
    assert count_settings((wide,)) == 10**12
    assert count_settings((wide, fine)) > 10**12
    gates = [Parameter(f"gate{n}", "g", default=1, low=1, high=100) for n in range(8)]
    leaves = [
        Parameter(f"leaf{n}", "l", default=1, low=1, high=2, when=((f"gate{n}", (1,)),)) for n in range(8)
    ]
    assert count_settings((*gates, *leaves)) > MOST_SETTINGS
    child = Parameter("child", "c", default=1, low=1, high=2, when=(("wide", (1,)),))
    assert count_settings((wide, child)) > MOST_SETTINGS
