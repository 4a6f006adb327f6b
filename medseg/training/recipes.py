"""Base settings of a training run that a suite picks by name and overrides. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medseg.data.augment.config import AugmentConfig
from medseg.errors import did_you_mean

DEFAULT_RECIPE = "adam"


@dataclass(frozen=True)
class Recipe:
    """Values of `TrainConfig` that belong together.

    Args:
        name: As in `train: {recipe: NAME}`.
        description: One line.
        source: Where the values come from.
        values: Fields that differ from the defaults of `TrainConfig`; nested as in a suite.
    """

    name: str
    description: str
    source: str
    values: Mapping[str, Any]


_ALL = (
    Recipe(
        "adam",
        "Adam at 1e-3 with cosine decay and gentle augmentation; a plain start that suits small budgets.",
        "Kingma and Ba, ICLR 2015, https://arxiv.org/abs/1412.6980; Loshchilov and Hutter, ICLR 2017, "
        "https://arxiv.org/abs/1608.03983",
        {},
    ),
    Recipe(
        "nnunet",
        "nnU-Net's training: SGD with Nesterov momentum, polynomial decay, strong augmentation, mirrored prediction. "
        "Its loss is `ce_dice`; models with deep supervision use it.",
        "Isensee et al., Nat Methods 2021, https://doi.org/10.1038/s41592-020-01008-z, and nnU-Net v2's trainer",
        {
            "optimizer": "sgd",
            "learning_rate": 1e-2,
            "momentum": 0.99,
            "weight_decay": 3e-5,
            "schedule": "polynomial",
            "polynomial_power": 0.9,
            "foreground_share": 0.33,
            "clip_norm": 12.0,
            "epochs": 1000,
            "steps_per_epoch": 250,
            "mirror_tta": True,
            "augment": AugmentConfig.nnunet().model_dump(mode="json"),
        },
    ),
    Recipe(
        "adamw",
        "AdamW with linear warm-up, cosine decay and averaged weights; the usual choice for transformers.",
        "Loshchilov and Hutter, ICLR 2019, https://arxiv.org/abs/1711.05101; warm-up: Goyal et al. 2017, "
        "https://arxiv.org/abs/1706.02677; averaged weights: Polyak and Juditsky, SIAM J. Control Optim. 1992",
        {
            "optimizer": "adamw",
            "learning_rate": 1e-3,
            "weight_decay": 1e-2,
            "schedule": "cosine",
            "warmup": 0.05,
            "clip_norm": 1.0,
            "ema_decay": 0.999,
        },
    ),
)
RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in _ALL}


def with_recipe(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a user wrote, without `recipe`, completed by what the named recipe sets.

    Raises:
        ValueError: If there is no such recipe.
    """
    given = dict(values)
    name = given.pop("recipe", DEFAULT_RECIPE)
    if not isinstance(name, str) or name not in RECIPES:
        raise ValueError(f"recipe: unknown recipe {name!r}{did_you_mean(str(name), RECIPES)}")
    base = dict(RECIPES[name].values)
    augment = given.get("augment")
    if isinstance(augment, Mapping) and "preset" in augment:
        # Another preset replaces the recipe's whole set.
        base.pop("augment", None)
    return _over(base, given)


def _over(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in given.items():
        below = result.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[key] = _over(below, value) if both else value  # type: ignore[arg-type]
    return result
