"""How classes that know nothing of this project are called."""

import pytest

from medseg.config import Config
from medseg.errors import ConfigError, ModelError
from medseg.models.foreign import argument_names, model_keywords, model_options, takes_image_size


class Ours:
    class Config(Config):
        width: int = 3

    def __init__(self, in_channels, out_channels, config, image_size):
        pass


def smp_like(encoder_name="resnet34", encoder_weights="imagenet", in_channels=3, classes=1, **more):
    pass


def monai_like(spatial_dims, in_channels, out_channels, img_size, dropout=0.5):
    pass


def torchvision_like(*, weights=None, weights_backbone="IMAGENET1K_V1", num_classes=21, in_channels=3):
    pass


def timm_like(img_size=224, in_chans=3, num_classes=1000, patch_size=4):
    pass


def milesial(n_channels, n_classes, bilinear=False):
    pass


def open_ended(**options):
    pass


def both_words(in_channels, out_channels, num_classes=1000):
    pass


def one_word(num_classes):
    pass


def called(target, size=(64, 96), **options):
    return model_keywords(target, options, 1, 4, size)


@pytest.mark.parametrize(
    ("target", "keywords"),
    [
        (smp_like, {"in_channels": 1, "classes": 4, "encoder_weights": None}),
        (monai_like, {"in_channels": 1, "out_channels": 4, "spatial_dims": 2, "img_size": (64, 96)}),
        (torchvision_like, {"in_channels": 1, "num_classes": 4, "weights_backbone": None}),
        (timm_like, {"in_chans": 1, "num_classes": 4, "img_size": (64, 96)}),
        (milesial, {"n_channels": 1, "n_classes": 4}),
        (open_ended, {"in_channels": 1, "out_channels": 4}),
        (both_words, {"in_channels": 1, "out_channels": 4}),
        (Ours, {"in_channels": 1, "out_channels": 4, "config": Ours.Config(), "image_size": (64, 96)}),
    ],
)
def test_the_task_reaches_arguments_of_any_name(target, keywords):
    assert called(target) == keywords


def test_one_number_is_the_size_of_a_square_where_the_default_is_one():
    assert called(timm_like, (96, 96))["img_size"] == 96
    assert called(monai_like, (96, 96))["img_size"] == (96, 96)


def test_what_the_user_writes_wins_over_presets_and_size():
    assert called(monai_like, img_size=[32, 32])["img_size"] == [32, 32]
    assert called(smp_like, encoder_weights="advprop")["encoder_weights"] == "advprop"
    assert called(both_words, num_classes=7)["num_classes"] == 7
    assert takes_image_size(monai_like, {})
    assert not takes_image_size(monai_like, {"img_size": [32, 32]})
    assert not takes_image_size(smp_like, {})
    assert takes_image_size(Ours, {})


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        (smp_like, {"classes": 2}, r"^model\.classes: is set by the task"),
        (monai_like, {"in_channels": 2}, r"^model\.in_channels: is set by the task"),
        (monai_like, {"num_classes": 2}, r"^model\.num_classes: is set by the task"),
        (monai_like, {"spatial_dims": 3}, r"^model\.spatial_dims: must be 2, since images are 2-D, got 3$"),
        (
            milesial,
            {"bilinaer": True},
            r"^model\.bilinaer: unknown option 'bilinaer', did you mean 'bilinear'",
        ),
    ],
)
def test_options_that_are_not_the_users(target, options, message):
    with pytest.raises(ConfigError, match=message):
        called(target, **options)


@pytest.mark.parametrize(
    ("target", "what"), [(one_word, "channels of the images"), (lambda in_chans: 0, "channels of the logits")]
)
def test_a_class_that_takes_no_channels_is_told_the_names_that_would_do(target, what):
    with pytest.raises(
        ModelError, match=rf"needs an argument for the {what}, one of .*n_c\w+.*it takes \w+\."
    ):
        called(target)
    with pytest.raises(ModelError, match=what):
        argument_names(target)


def test_a_width_is_not_taken_for_the_channels():
    def wide(num_channels=64, num_classes=2):
        pass

    def quicknat_like(num_classes=33, num_channels=1):
        pass

    with pytest.raises(ModelError, match="wide needs an argument for the channels of the images"):
        called(wide)
    assert called(quicknat_like) == {"num_channels": 1, "num_classes": 4}


def test_resolved_options_hold_the_presets_and_leave_the_task_out():
    assert model_options(smp_like, {}) == {"encoder_name": "resnet34", "encoder_weights": None}
    assert model_options(monai_like, {}) == {"dropout": 0.5, "spatial_dims": 2}
    assert model_options(timm_like, {}) == {"patch_size": 4}
    assert model_options(timm_like, {"img_size": 96}) == {"patch_size": 4, "img_size": 96}
    assert model_options(Ours, {}) == {"width": 3}


@pytest.mark.parametrize("target", [smp_like, monai_like, torchvision_like, timm_like, milesial])
def test_resolved_options_make_the_same_call(target):
    options = model_options(target, {})
    assert called(target, **options) == called(target)
    assert model_options(target, options) == options
