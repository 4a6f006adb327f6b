from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from bench.plan.parameter import Parameter, default_setting, is_active, put
from bench.plan.study import Budget, Choice, Study
from bench.results.counting import Limits
from bench.suite.schema import Resources
from bench.suite.search import PrunerSpec, SamplerSpec
from medseg.config import Component
from medseg.tasks import TASKS
from medseg.training.config import AugmentConfig, TrainConfig

TRAIN = TrainConfig(epochs=20, learning_rate=1e-2, augment=AugmentConfig(noise=0.3))
UNET = Choice(
    "unet", Component(name="unet", options={"features": [8, 16], "head": {"dropout": 0.0}}), TRAIN, 100
)
OTHER = Choice("other", Component(name="resunet"), TRAIN.model_copy(update={"epochs": 30}), 200)
FOCAL = Choice("focal", Component(name="focal", options={"gamma": 2.0}), TRAIN)
SPACE = (
    Parameter("train.optimizer", "train.optimizer", default="adam", choices=("adam", "sgd")),
    Parameter("train.augment.noise", "train.augment.noise", default=0.3, low=0.0, high=1.0),
    Parameter("model.head.dropout", "model.head.dropout", default=0.0, low=0.0, high=0.5),
    Parameter("loss.gamma", "loss.gamma", default=2.0, low=1.0, high=3.0),
    Parameter(
        "train.momentum",
        "train.momentum",
        default=0.9,
        low=0.8,
        high=0.99,
        when=(("train.optimizer", ("sgd",)),),
    ),
)


def study(**changes: Any) -> Study:
    made = Study(
        id="0" * 16,
        task=TASKS.load("phantom-lung"),
        entry="unet + focal",
        models=(UNET,),
        losses=(FOCAL,),
        space=SPACE,
        budget=Budget(trials=5),
        sampler=SamplerSpec(),
        seed=3,
        fold=1,
        tune_epochs=4,
        final_folds=(0, 2),
        final_seeds=(7, 8, 9),
        resources=Resources(),
    )
    return replace(made, **changes)


def test_the_default_setting_leaves_out_what_is_not_active() -> None:
    assert study().default_setting() == {
        "train.optimizer": "adam",
        "train.augment.noise": 0.3,
        "model.head.dropout": 0.0,
        "loss.gamma": 2.0,
    }
    by_default_sgd = (replace(SPACE[0], default="sgd"), *SPACE[1:])
    assert default_setting(by_default_sgd)["train.momentum"] == 0.9


def test_a_parameter_is_active_only_below_an_active_parent() -> None:
    child = Parameter(
        "c", "c", default=1, low=0, high=2, when=(("train.momentum", (0.9,)), ("flag", (True,)))
    )
    assert is_active(child, {"train.momentum": 0.9, "flag": True})
    assert not is_active(child, {"train.momentum": 0.9, "flag": 1})
    assert not is_active(child, {"flag": True})


def test_a_tuning_trial_has_the_fidelity_fold_and_seed_of_the_search() -> None:
    spec = study().tune_spec({"train.optimizer": "sgd", "train.momentum": 0.95, "model.head.dropout": 0.2})
    assert (spec.phase, spec.fold, spec.seed, spec.train.epochs) == ("tune", 1, 3, 4)
    assert (spec.train.optimizer, spec.train.momentum, spec.train.learning_rate) == ("sgd", 0.95, 1e-2)
    assert spec.model.options == {"features": [8, 16], "head": {"dropout": 0.2}}
    assert spec.train.augment.noise == 0.3


def test_final_trials_are_every_fold_with_every_seed_at_full_length() -> None:
    specs = study().final_specs({"loss.gamma": 1.5, "train.augment.noise": 0.0})
    assert [(s.fold, s.seed) for s in specs] == [(0, 7), (0, 8), (0, 9), (2, 7), (2, 8), (2, 9)]
    assert {s.phase for s in specs} == {"final"}
    assert {s.train.epochs for s in specs} == {20}
    assert {s.loss.options["gamma"] for s in specs} == {1.5}
    assert {s.train.augment.noise for s in specs} == {0.0}
    assert study().final_total == len(specs)


def test_settings_do_not_leak_into_the_study() -> None:
    made = study()
    made.tune_spec({"model.head.dropout": 0.5})
    assert made.tune_spec({}).model.options["head"] == {"dropout": 0.0}


def test_a_setting_from_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match=r"not in the space of study unet \+ focal: train\.warmup"):
        study().tune_spec({"train.warmup": 0.1})
    rate = Parameter("train.learning_rate", "train.learning_rate", default=1e-3, low=-1.0, high=1.0)
    made = study(space=(rate,))
    with pytest.raises(ValidationError, match="learning_rate"):
        made.tune_spec({"train.learning_rate": -0.5})


def test_a_searched_axis_chooses_the_model_and_its_base() -> None:
    axis = Parameter("model", "model", default="unet", choices=("unet", "other"))
    made = study(models=(UNET, OTHER), space=(axis,))
    assert made.labels({}) == ("unet", "focal")
    assert made.labels({"model": "other"}) == ("other", "focal")
    assert made.final_specs({"model": "other"})[0].model.name == "resunet"
    assert made.final_specs({"model": "other"})[0].train.epochs == 30
    assert made.final_epochs == 30
    with pytest.raises(ValueError, match="model must be one of unet, other, got 'nope'"):
        made.labels({"model": "nope"})


@pytest.mark.parametrize(
    ("budget", "total"),
    [
        (None, 0),
        (Budget(trials=5), 5),
        (Budget(epochs=19), 4),
        (Budget(epochs=4), 1),
        (Budget(device_hours=2), 1),
    ],
)
def test_the_trials_that_a_budget_pays_for(budget: Budget | None, total: int) -> None:
    assert study(budget=budget).tune_total == total


def test_a_budget_has_one_unit() -> None:
    with pytest.raises(ValueError, match="exactly one of"):
        Budget(trials=1, epochs=2)
    with pytest.raises(ValueError, match="exactly one of"):
        Budget()
    assert [str(b) for b in (Budget(trials=3), Budget(epochs=9), Budget(device_hours=0.5))] == [
        "3 trials",
        "9 epochs",
        "0.5 device hours",
    ]


def test_put_copies_what_it_changes_on_the_way() -> None:
    inner = {"x": 1}
    tree: dict[str, Any] = {"a": inner}
    put(tree, "a.y", 2)
    put(tree, "b.c", 3)
    assert tree == {"a": {"x": 1, "y": 2}, "b": {"c": 3}}
    assert inner == {"x": 1}


def test_how_many_trials_count_shows_later_where_pruned_ones_leave_epochs_to_others() -> None:
    by_epochs = study(budget=Budget(epochs=11))
    assert (by_epochs.tune_total, by_epochs.tune_limit) == (2, 2)
    pruned = replace(by_epochs, pruner=PrunerSpec(name="asha"))
    assert (pruned.tune_total, pruned.tune_limit) == (2, None)
    assert replace(pruned, budget=Budget(trials=5)).tune_limit == 5
    assert study(budget=Budget(device_hours=1)).tune_limit is None
    assert study(budget=None).tune_limit == 0
    assert study(most_settings=3).tune_total == 3


@pytest.mark.parametrize(
    ("budget", "pruner", "limits"),
    [
        (Budget(trials=5), "asha", Limits(numbers=5, tune_epochs=4)),
        (Budget(epochs=11), "none", Limits(numbers=2, tune_epochs=4)),
        (Budget(epochs=11), "asha", Limits(epochs=11, tune_epochs=4)),
        (Budget(device_hours=0.5), "none", Limits(device_s=1800.0, tune_epochs=4)),
        (None, "none", Limits(numbers=0, tune_epochs=4)),
    ],
)
def test_limits_say_which_tuning_trials_count(budget: Budget | None, pruner: Any, limits: Limits) -> None:
    found = study(budget=budget, pruner=PrunerSpec(name=pruner), tune_epochs=4).limits
    assert found == limits
    assert study(constraints={"gmacs": 4.0}).limits.most == {"gmacs": 4.0}


def test_what_a_setting_costs_too_much_is_a_share_of_the_limit() -> None:
    limited = study(constraints={"gmacs": 4.0, "parameters": 1e6})
    assert limited.excess({"gmacs": 5.0, "parameters": 5e5, "device_s": 9.0}) == {
        "gmacs": 0.25,
        "parameters": -0.5,
    }
    assert limited.excess({"device_s": 9.0}) == {}
    assert study().excess({"gmacs": 5.0}) == {}
