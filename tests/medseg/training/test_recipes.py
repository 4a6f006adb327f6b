import json

import pytest
from pydantic import ValidationError

from medseg.config import search_space
from medseg.data.augment.config import AugmentConfig
from medseg.training.config import TrainConfig
from medseg.training.recipes import RECIPES


def test_nnunet_is_what_its_paper_and_trainer_say():
    config = TrainConfig(recipe="nnunet")
    assert (config.optimizer, config.learning_rate, config.momentum) == ("sgd", 1e-2, 0.99)
    assert (config.weight_decay, config.schedule, config.polynomial_power) == (3e-5, "polynomial", 0.9)
    assert (config.foreground_share, config.clip_norm, config.mirror_tta) == (0.33, 12.0, True)
    assert (config.epochs, config.steps_per_epoch) == (1000, 250)
    assert config.augment == AugmentConfig.nnunet()


def test_adamw_warms_up_and_averages():
    config = TrainConfig(recipe="adamw")
    assert (config.optimizer, config.schedule, config.warmup) == ("adamw", "cosine", 0.05)
    assert config.ema_decay == 0.999


def test_adam_is_the_default():
    assert TrainConfig(recipe="adam") == TrainConfig()


def test_what_is_written_wins_also_within_augment():
    config = TrainConfig(recipe="nnunet", learning_rate=0.1, augment={"rotation_deg": 30})
    assert config.learning_rate == 0.1
    assert config.augment == AugmentConfig.nnunet().model_copy(update={"rotation_deg": 30.0})
    assert config.momentum == 0.99


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_preset_replaces_the_augmentation_of_any_recipe(recipe):
    written = {"recipe": recipe, "augment": {"preset": "nnunet", "rotation_deg": 15}}
    wanted = AugmentConfig.nnunet().model_copy(update={"rotation_deg": 15.0})
    assert TrainConfig.model_validate_json(json.dumps(written), strict=True).augment == wanted
    assert TrainConfig(recipe=recipe, augment={"preset": "off"}).augment == AugmentConfig.off()
    assert TrainConfig(recipe=recipe, augment={"preset": "gentle"}).augment == AugmentConfig()


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_its_values_and_survives_json(name):
    written = json.dumps({"recipe": name, "patch_size": [64, 48]})
    config = TrainConfig.model_validate_json(written, strict=True)
    assert "recipe" not in config.model_dump()
    assert TrainConfig.model_validate(config.model_dump()) == config
    assert TrainConfig.model_validate_json(config.model_dump_json(), strict=True) == config
    assert RECIPES[name].source
    assert RECIPES[name].description


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"recipe": "nnunt"}, "unknown recipe 'nnunt', did you mean 'nnunet'"),
        ({"augment": {"preset": "nnunt"}}, "unknown preset 'nnunt', did you mean 'nnunet'"),
        ({"recipe": 3}, "unknown recipe 3"),
        ({"batch_size": 4, "micro_batch": 8}, "micro_batch must be at most batch_size, got 8 and 4"),
    ],
)
def test_nonsense_is_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        TrainConfig(**values)


def test_ranges_hold_the_values_of_every_recipe():
    # A search whose first trial is the recipe's own setting must be able to hold it.
    spaces = search_space(TrainConfig)
    assert {"learning_rate", "optimizer", "schedule", "ema_decay", "clip_norm"} <= spaces.keys()
    for name in RECIPES:
        values = TrainConfig(recipe=name).model_dump()
        for option, space in spaces.items():
            if "choices" in space:
                assert values[option] in space["choices"], (name, option)
            else:
                assert space["low"] <= values[option] <= space["high"], (name, option)
