from pathlib import Path

import pytest

from bench.errors import SuiteError
from bench.suite import parse_suite
from bench.suite.check_train import NEEDS_GPU
from bench.suite.resolve import effective_space
from bench.suite.search import ParameterSpec


def made(space: str, models: str = "unet", losses: str = "dice", rest: str = "") -> str:
    return (
        f"suite: s\ntasks: [phantom-lung]\nmodels: [{models}]\nlosses: [{losses}]\n{rest}\n"
        f"tune:\n  budget: {{trials: 2}}\n  space:\n{space}\n"
    )


OPTIMIZER = "    train.optimizer: {choices: [adam, sgd]}\n"
RATE = "    train.learning_rate: {low: 1e-4, high: 1e-2, log: true}\n"

REFUSED = [
    # Paths.
    ("    @train.learning_rte: {low: 1e-4, high: 1e-2}", "unknown hyper-parameter 'train.learning_rte', did you"),
    ("    @train.augment: {low: 0.0, high: 1.0}", "unknown hyper-parameter 'train.augment'"),
    ("    @train.epochs: {low: 1, high: 20}", "train.epochs cannot be searched"),
    ("    @train.recipe: {choices: [adam, nnunet]}", "train.recipe cannot be searched: it is short for base values;"),
    ("    @train.patch_size: {choices: [[64, 64]]}", "train.patch_size cannot be searched: models are built for one"),
    ("    @learning_rate: {low: 1e-4, high: 1e-2}", "a space path must be one of train.*, model.*, loss.*, got"),
    ("    @model: {choices: [unet]}", "a space path must be one of train.*, model.*, loss.*, got 'model'"),
    ("    @model..x: {low: 1, high: 2}", "a space path must be one of train.*, model.*, loss.*, got 'model..x'"),
    # Ranges and choices.
    ("    train.warmup: @{low: 0.5, high: 0.1}", "tune.space.train.warmup: low must be less than high, got 0.5 and"),
    ("    train.warmup: @{low: 0.0}", "tune.space.train.warmup: needs low and high, or choices"),
    ("    train.weight_decay: @{low: 0, high: 1, log: true}", "tune.space.train.weight_decay: a logarithmic range"),
    ("    train.warmup: @{choices: [0.0], log: true}", "tune.space.train.warmup: choices leave no place for log"),
    ("    train.warmup: @{choices: [0.0], low: 0}", "tune.space.train.warmup: choices leave no place for low"),
    ("    train.warmup: @{choices: []}", "tune.space.train.warmup: choices must not be empty"),
    ("    train.batch_size: @{low: 8, high: 20, step: 5}", "tune.space.train.batch_size: step must divide high"),
    ("    train.batch_size: @{low: 8, high: 20, step: 2.5}", "tune.space.train.batch_size: an integer range needs"),
    ("    train.warmup: {low: 0.0, high: 0.5, step: @0}", "tune.space.train.warmup.step must be greater than 0"),
    ("    train.warmup: {low: @low, high: 0.5}", "tune.space.train.warmup.low must be a whole number or a number"),
    ("    train.warmup: @[0.0, 0.5]", "tune.space.train.warmup must be a mapping, got [0.0, 0.5]"),
    # Values that the field cannot take.
    ("    train.warmup: {low: 0.0, high: @1.5}", "train.warmup must be less than 1, got 1.5"),
    ("    train.batch_size: {low: 8, high: @20.5}", "train.batch_size must be a whole number, got 20.5"),
    ("    train.optimizer: {choices: [adam, @lion]}", "train.optimizer must be 'adam', 'adamw' or 'sgd', got 'lion'"),
    ("    train.augment.flip: {choices: [true, @1]}", "train.augment.flip must be true or false, got 1"),
    ("    train.precision: {choices: [fp32, bf16, @fp16]}", f"train.{NEEDS_GPU}"),
    ("    train.clip_norm: {choices: [null, 12.0, @0]}", "train.clip_norm must be greater than 0, got 0"),
    ("    train.micro_batch: {choices: [null, 8, @32]}",
     "train: micro_batch must be at most batch_size, got 32 and 16"),
    ("    train.micro_batch: @{choices: [null, 8]}\n    train.batch_size: {low: 4, high: 32}",
     "train.micro_batch must be at most train.batch_size, but up to 8 and down to 4 may be drawn together"),
    # The default setting is the first trial.
    ("    train.ema_decay: @{low: 0.9, high: 0.999}", "the space must hold the default train.ema_decay = null, since "
     "the default setting is the first trial; it holds 0.9 to 0.999; set train.ema_decay under train:, or search "
     "choices with null"),
    ("    train.clip_norm: @{choices: [null, 1.0]}", "the space must hold the default train.clip_norm = 12.0, since "
     "the default setting is the first trial; it holds null, 1.0"),
    ("    train.learning_rate: @{low: 1e-5, high: 1e-4}", "the space must hold the default train.learning_rate ="),
    ("    train.optimizer: @{choices: [adamw, sgd]}", "the space must hold the default train.optimizer = 'adam'"),
    ("    train.batch_size: @{low: 7, high: 31, step: 2}", "the space must hold the default train.batch_size = 16"),
    # Conditions.
    (RATE + "    train.momentum: {low: 0.8, high: 0.99, when: {@train.optimizer: sgd}}",
     "train.momentum: when refers to 'train.optimizer', which is not in the space (choices: train.learning_rate)"),
    (OPTIMIZER + "    train.momentum: {low: 0.8, high: 0.99, when: {train.optimizer: @adamw}}",
     "train.momentum: when needs values that train.optimizer can take (adam, sgd), got 'adamw'"),
    (OPTIMIZER + "    train.momentum: {low: 0.8, high: 0.99, when: {train.optimizer: @[]}}",
     "train.momentum: when needs at least one value of train.optimizer"),
    ("    train.warmup: {low: 0.0, high: 0.5, @when: {train.warmup: 0.1}}", "train.warmup: when goes in a circle"),
]  # fmt: skip


def problems(text: str) -> list[str]:
    with pytest.raises(SuiteError) as caught:
        parse_suite(text, Path("s.yaml"))
    return [f"{place}: {message}" for place, message in caught.value.problems]


@pytest.mark.parametrize(("space", "message"), REFUSED)
def test_a_wrong_space_is_refused_with_its_place(space: str, message: str) -> None:
    before, _, after = made(space).partition("@")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    found = problems(before + after)
    assert found[0].startswith(f"s.yaml:{line}:{column}: {message}"), found
    assert len(found) == 1, found


def test_no_value_at_all_may_be_searched() -> None:
    space = "    train.ema_decay: {choices: [null, 0.99]}\n    train.micro_batch: {choices: [null, 2, 4]}\n"
    suite = parse_suite(made(space + "    train.batch_size: {choices: [4, 16]}"), Path("s.yaml")).suite
    found = effective_space(suite, suite.models[0], suite.losses[0])
    assert found["train.ema_decay"].spec.choices == (None, 0.99)
    assert found["train.micro_batch"].spec.contains(None)
    rest = "train: {ema_decay: 0.99}"
    assert parse_suite(made("    train.ema_decay: {low: 0.9, high: 0.999}", rest=rest), Path("s.yaml"))


def test_a_searched_precision_may_be_fp16_on_a_gpu() -> None:
    space = "    train.precision: {choices: [fp32, fp16]}"
    assert parse_suite(made(space, rest="resources: {gpus: 1}"), Path("s.yaml"))
    found = problems(
        made(space, models="unet, {name: resunet, resources: {gpus: 0}}", rest="resources: {gpus: 1}")
    )
    assert found == [f"s.yaml:9:39: train.{NEEDS_GPU}"]


def test_a_circle_of_conditions_names_its_members() -> None:
    space = (
        "    train.warmup: {low: 0.0, high: 0.5, when: {train.optimizer: adam}}\n"
        "    train.optimizer: {choices: [adam, sgd], when: {train.warmup: 0.0}}"
    )
    found = problems(made(space))
    assert len(found) == 2
    assert any(
        "train.optimizer: when goes in a circle: train.optimizer -> train.warmup" in line for line in found
    )


def test_a_models_space_is_put_over_the_suites() -> None:
    models = (
        "{name: unet, space: {model.dropout: {low: 0.0, high: 0.5}, train.learning_rate: null}}, "
        "{name: resunet, space: {train.learning_rate: {low: 1e-3, high: 1e-1, log: true}}}"
    )
    losses = "{name: focal, space: {loss.gamma: {choices: [1.0, 2.0]}}}"
    suite = parse_suite(made(RATE + OPTIMIZER, models, losses), Path("s.yaml")).suite
    first = effective_space(suite, suite.models[0], suite.losses[0])
    second = effective_space(suite, suite.models[1], suite.losses[0])
    assert list(first) == ["loss.gamma", "model.dropout", "train.optimizer"]
    assert first["loss.gamma"].path == ("losses", 0, "space", "loss.gamma")
    assert first["train.optimizer"].path == ("tune", "space", "train.optimizer")
    assert second["train.learning_rate"].spec.high == 0.1
    assert second["train.learning_rate"].path == ("models", 1, "space", "train.learning_rate")


def test_null_that_removes_nothing_is_refused() -> None:
    found = problems(made(RATE, models="{name: unet, space: {train.warmup: null}}"))
    assert found == ["s.yaml:3:31: null removes 'train.warmup' from tune.space, which does not have it"]


def test_removing_what_others_depend_on_is_refused() -> None:
    space = OPTIMIZER + "    train.momentum: {low: 0.8, high: 0.99, when: {train.optimizer: sgd}}"
    found = problems(made(space, models="{name: unet, space: {train.optimizer: null}}"))
    assert len(found) == 1
    assert "s.yaml:10:51: train.momentum: when refers to 'train.optimizer'" in found[0]


def test_a_models_own_default_must_lie_in_the_shared_range() -> None:
    found = problems(made(RATE, models="unet, {name: resunet, train: {learning_rate: 0.1}}"))
    assert found[0].startswith("s.yaml:9:26: the space must hold the default train.learning_rate = 0.1")


@pytest.mark.parametrize(
    ("spec", "inside", "outside"),
    [
        (ParameterSpec(low=1, high=9, step=2), [1, 3, 9], [2, 0, 11, 3.0, True, "3", None]),
        (ParameterSpec(low=0.0, high=1.0), [0.0, 0.33, 1, 1.0], [-0.1, 1.1, True, "0"]),
        (ParameterSpec(low=0.0, high=0.3, step=0.1), [0.1, 0.2, 0.3], [0.15]),
        (
            ParameterSpec(choices=(1, "a", None, [8, 16])),
            [1, 1.0, "a", None, [8, 16], (8, 16)],
            [True, "b", [8], 0],
        ),
    ],
)
def test_contains(spec: ParameterSpec, inside: list[object], outside: list[object]) -> None:
    assert all(spec.contains(value) for value in inside)
    assert not any(spec.contains(value) for value in outside)
