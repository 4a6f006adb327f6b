from itertools import product

from bench.plan.parameter import default_setting, is_active
from bench.plan.space import build_space
from bench.plan.study import Choice
from bench.suite.resolve import Placed
from bench.suite.search import ParameterSpec
from medseg.config import Component
from medseg.training.config import TrainConfig


def placed(**fields: object) -> Placed:
    return Placed(ParameterSpec.model_validate(fields), ())


def model(label: str, **options: object) -> Choice:
    return Choice(label, Component(name=label, options=options), TrainConfig(), 1)


LR = placed(low=1e-4, high=1e-2, log=True)
OPTIMIZER = placed(choices=("adam", "sgd"))
MOMENTUM = placed(low=0.8, high=0.99, when={"train.optimizer": "sgd"})
DROPOUT = placed(low=0.0, high=0.5)
UNET, RESUNET = model("unet", dropout=0.1), model("resunet", dropout=0.2)
DICE, FOCAL = model("dice"), model("focal", gamma=2.0)


def test_one_entry_keeps_its_paths_parents_first() -> None:
    parts = {"train.momentum": MOMENTUM, "model.dropout": DROPOUT, "train.optimizer": OPTIMIZER}
    space = build_space([UNET], [DICE], {("unet", "dice"): parts})
    assert [p.name for p in space] == ["model.dropout", "train.optimizer", "train.momentum"]
    assert [p.name for p in space] == [p.path for p in space]
    assert space[2].when == (("train.optimizer", ("sgd",)),)
    assert default_setting(space) == {"model.dropout": 0.1, "train.optimizer": "adam"}


def test_the_order_of_writing_does_not_matter() -> None:
    parts = {"train.momentum": MOMENTUM, "model.dropout": DROPOUT, "train.optimizer": OPTIMIZER}
    backwards = dict(reversed(parts.items()))
    first = build_space([UNET], [DICE], {("unet", "dice"): parts})
    assert first == build_space([UNET], [DICE], {("unet", "dice"): backwards})


def test_searched_models_share_what_is_equal_and_split_what_is_theirs() -> None:
    shared = {"train.learning_rate": LR}
    spaces = {
        ("unet", "dice"): {**shared, "model.dropout": DROPOUT},
        ("resunet", "dice"): {**shared, "model.dropout": DROPOUT},
    }
    space = build_space([UNET, RESUNET], [DICE], spaces)
    assert [p.name for p in space] == [
        "model",
        "model.dropout@resunet",
        "model.dropout@unet",
        "train.learning_rate",
    ]
    assert space[0].choices == ("unet", "resunet")
    by_name = {p.name: p for p in space}
    assert by_name["model.dropout@resunet"].when == (("model", ("resunet",)),)
    assert by_name["model.dropout@resunet"].path == "model.dropout"
    assert by_name["model.dropout@resunet"].default == 0.2
    assert default_setting(space) == {"model": "unet", "model.dropout@unet": 0.1, "train.learning_rate": 1e-3}


def test_a_child_follows_its_split_parent() -> None:
    spaces = {
        ("unet", "dice"): {"train.optimizer": OPTIMIZER, "train.momentum": MOMENTUM},
        ("resunet", "dice"): {
            "train.optimizer": placed(choices=("adam", "adamw", "sgd")),
            "train.momentum": MOMENTUM,
        },
    }
    space = build_space([UNET, RESUNET], [DICE], spaces)
    by_name = {p.name: p for p in space}
    momentum = by_name["train.momentum@resunet"]
    assert momentum.when == (("model", ("resunet",)), ("train.optimizer@resunet", ("sgd",)))
    assert not is_active(momentum, {"model": "unet", "train.optimizer@resunet": "sgd"})
    assert is_active(momentum, {"model": "resunet", "train.optimizer@resunet": "sgd"})


def test_both_axes_searched() -> None:
    shared = {"train.learning_rate": LR, "model.dropout": DROPOUT}
    own = {"dice": {}, "focal": {"loss.gamma": placed(low=1.0, high=3.0)}}
    spaces = {(model, loss): {**shared, **own[loss]} for model, loss in product(("unet", "resunet"), own)}
    space = build_space([UNET, RESUNET], [DICE, FOCAL], spaces)
    assert [p.name for p in space] == [
        "model",
        "loss",
        "loss.gamma@focal",
        "model.dropout@resunet",
        "model.dropout@unet",
        "train.learning_rate",
    ]
    assert default_setting(space) == {
        "model": "unet",
        "loss": "dice",
        "model.dropout@unet": 0.1,
        "train.learning_rate": 1e-3,
    }


def test_what_differs_by_pair_is_split_by_pair() -> None:
    spaces = {
        pair: {"train.learning_rate": placed(low=1e-4, high=1e-2 if pair == ("unet", "focal") else 1e-1)}
        for pair in product(("unet", "resunet"), ("dice", "focal"))
    }
    names = [p.name for p in build_space([UNET, RESUNET], [DICE, FOCAL], spaces)]
    assert names[2:] == [
        f"train.learning_rate@{model}+{loss}" for model in ("resunet", "unet") for loss in ("dice", "focal")
    ]


def test_every_parameter_comes_after_what_it_depends_on() -> None:
    chain = {
        "train.a": placed(choices=(0, 1), when={"train.b": 1}),
        "train.b": placed(choices=(0, 1), when={"train.c": 1}),
        "train.c": placed(choices=(0, 1)),
    }
    # The defaults come from the training setting, so real fields stand in for a, b and c.
    names = {"train.a": "train.batch_size", "train.b": "train.steps_per_epoch", "train.c": "train.epochs"}
    renamed = {
        names[path]: placed(
            choices=part.spec.choices, when={names[parent]: value for parent, value in part.spec.when.items()}
        )
        for path, part in chain.items()
    }
    space = build_space([UNET], [DICE], {("unet", "dice"): renamed})
    assert [p.name for p in space] == ["train.epochs", "train.steps_per_epoch", "train.batch_size"]
