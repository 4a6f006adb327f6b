from types import SimpleNamespace

import pytest

from bench.plan.check_search import check_search
from bench.plan.parameter import Parameter
from bench.plan.study import Budget
from bench.suite.search import SamplerSpec

RATE = Parameter("train.learning_rate", "r", default=0.1, low=0.01, high=1.0)
DEPTH = Parameter("model.depth", "d", default=3, low=2, high=4)
OPTIMIZER = Parameter("train.optimizer", "o", default="adam", choices=("adam", "sgd"))
MOMENTUM = Parameter(
    "train.momentum", "m", default=0.9, low=0.8, high=0.9, when=(("train.optimizer", ("sgd",)),)
)


def study(sampler, space=(), most=None, budget=Budget(trials=9)):  # noqa: B008 - frozen
    return SimpleNamespace(
        entry="unet + ce", sampler=SamplerSpec(name=sampler), space=space, most_settings=most, budget=budget
    )


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (study("grid", most=10_001), "unet + ce: a grid has at most 10,000 settings, this one has more; sampler: "),
        (study("cmaes", (OPTIMIZER, MOMENTUM)), "unet + ce: cmaes needs 2 ranges that are always active, got none; "),
        (
            study("cmaes", (OPTIMIZER, RATE, MOMENTUM)),
            "unet + ce: cmaes needs 2 ranges that are always active, got train.learning_rate; ",
        ),
    ],
)  # fmt: skip
def test_a_sampler_that_cannot_search_the_space_is_refused(made, message):
    (found,) = check_search(made)
    assert found.text.startswith(message)
    assert found.path == ("tune", "sampler")


@pytest.mark.parametrize(
    "made",
    [
        study("grid", most=10_000),
        study("cmaes", (RATE, DEPTH, MOMENTUM)),
        study("tpe", (OPTIMIZER,)),
        study("cmaes", (), budget=None),
    ],
)
def test_others_may(made):
    assert list(check_search(made)) == []
