"""Checks of `train:`, of the suite and of its models: values, recipes, precision, patches."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from bench.suite import resolve
from bench.suite.document import YamlPath
from bench.suite.findings import Finding, dotted, invalid, shown
from bench.suite.schema import ModelEntry, Suite
from bench.suite.search import same
from medseg.errors import did_you_mean
from medseg.training.config import TrainConfig
from medseg.training.recipes import DEFAULT_RECIPE, RECIPES

# How long all train: the suite's, whatever the recipe of one of its models.
BUDGET = ("epochs", "steps_per_epoch")
NEEDS_GPU = "precision fp16 needs a GPU, but the trials have none (resources.gpus is 0): use bf16 or fp32"


def check_train(suite: Suite) -> Iterator[Finding]:
    """Yields what is wrong with the base training settings."""
    own = list(_layer(suite.train, suite.train, ("train",)))
    yield from own
    said = {_message(finding, ("train",)) for finding in own}
    for index, model in enumerate(suite.models):
        prefix: YamlPath = ("models", index, "train")
        for finding in _layer(resolve.merged(suite.train, model.train), model.train, prefix):
            if finding.path != prefix or _message(finding, prefix) not in said:
                yield finding
        yield from _hidden(suite, index, model)
        try:
            config = resolve.train_config(suite, model)
            resources = resolve.resources(suite, model)
        except ValidationError:
            continue
        if config.precision == "fp16" and not resources.gpus:
            yield Finding(_place(suite, index, model), f"train.{NEEDS_GPU}")
        yield from _patch(suite, index, model, config)


def _layer(tree: Mapping[str, Any], over: Mapping[str, Any], prefix: YamlPath) -> Iterator[Finding]:
    name = tree.get("recipe", DEFAULT_RECIPE)
    if not isinstance(name, str) or name not in RECIPES:
        tree = {key: value for key, value in tree.items() if key != "recipe"}
        if "recipe" in over:
            hint = did_you_mean(str(name), RECIPES)
            yield Finding((*prefix, "recipe"), f"unknown recipe {shown(name)}{hint}")
    for finding in invalid(TrainConfig, tree, over, prefix):
        # Rules between keys are reported for the whole: point to the key that the rule is about.
        message = _message(finding, prefix)
        key = message.partition(" ")[0]
        if finding.path == prefix and key in over:
            finding = Finding((*prefix, key), f"{dotted(prefix)}.{message}")
        yield finding


def _message(finding: Finding, prefix: YamlPath) -> str:
    return finding.text.removeprefix(dotted(prefix)).lstrip(":. ")


def _hidden(suite: Suite, index: int, model: ModelEntry) -> Iterator[Finding]:
    """Yields where what the suite wrote for all would spoil a model's own recipe, which sets what nobody wrote."""
    name = model.train.get("recipe")
    if not isinstance(name, str) or name not in RECIPES:
        return
    written, own = dict(_leaves(suite.train)), dict(_leaves(model.train))
    pure = dict(_leaves(TrainConfig.model_validate({"recipe": name}).model_dump(mode="json")))
    preset = _hidden_preset(written, own, name)
    if preset:
        yield Finding(("models", index, "train", "recipe"), f"{model.title}: {preset}")
    for key in dict.fromkeys(key for recipe in RECIPES.values() for key, _ in _leaves(recipe.values)):
        if key not in BUDGET and key in written and key not in own and not same(pure[key], written[key]):
            yield Finding(
                ("models", index, "train", "recipe"),
                f"{model.title}: recipe {name} sets {key} to {shown(pure[key])}, but the suite's train: says "
                f"{shown(written[key])} for all models: write {key} here, too",
            )


def _hidden_preset(written: Mapping[str, Any], own: Mapping[str, Any], name: str) -> str:
    preset = written.get("augment.preset")
    if preset is None or "augment.preset" in own or "augment" not in RECIPES[name].values:
        return ""
    return (
        f"recipe {name} sets augment, but the suite's train: says preset {shown(preset)} for all models: write "
        "augment.preset here, too"
    )


def _leaves(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _place(suite: Suite, index: int, model: ModelEntry) -> YamlPath:
    if "precision" not in model.train and "gpus" in model.resources:
        return ("models", index, "resources", "gpus")
    return _of_key("precision", index, model)


def _of_key(key: str, index: int, model: ModelEntry) -> YamlPath:
    return ("models", index, "train", key) if key in model.train else ("train", key)


def _patch(suite: Suite, index: int, model: ModelEntry, config: TrainConfig) -> Iterator[Finding]:
    if config.patch_size is None:
        return
    rows, columns = config.patch_size
    for task in resolve.known_tasks(suite).values():
        if rows > task.image_size[0] or columns > task.image_size[1]:
            yield Finding(
                _of_key("patch_size", index, model),
                f"train.patch_size must not be larger than the image_size of {task.name}, "
                f"{task.image_size[0]} x {task.image_size[1]}, got {rows} x {columns}",
            )
