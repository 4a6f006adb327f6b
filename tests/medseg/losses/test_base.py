"""Options that every loss has, and their errors."""

import pytest
import torch

from medseg.config import Component
from medseg.errors import ConfigError, UnknownNameError
from medseg.losses import resolve_options


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], r"^loss\.weights: needs 3 numbers, one per class with background, got 1$"),
        ([1, -1, 1], r"^loss\.weights: weights must be numbers >= 0"),
        ([0, 0, 0], r"^loss\.weights: weights must be numbers >= 0, one per class and not all 0"),
        ("equal", r"^loss\.weights: .*'balanced', or none, got 'equal'$"),
        ([1, float("inf"), 1], r"^loss\.weights: weights must be numbers"),
    ],
)
def test_wrong_weights(weights, message, loss):
    with pytest.raises(ConfigError, match=message):
        loss("ce", 3, weights=weights)


def test_balanced_needs_frequencies_when_evaluated(loss, batch):
    logits, target = batch(3)
    with pytest.raises(ConfigError, match=r"loss\.weights: 'balanced' needs the class frequencies"):
        loss("ce_dice", 3, weights="balanced")(logits, target)
    with pytest.raises(ConfigError, match=r"a frequency above 0 for each of 3 classes, got \[5, 0, 1\]"):
        loss("ce_dice", 3, [5, 0, 1], weights="balanced")


def test_balanced_weights_are_inverse_to_the_frequencies(loss, batch):
    logits, target = batch(3)
    balanced = loss("ce", 3, frequencies=[80, 15, 5], weights="balanced")
    explicit = loss("ce", 3, weights=[100 / 240, 100 / 45, 100 / 15])
    torch.testing.assert_close(balanced(logits, target), explicit(logits, target))
    torch.testing.assert_close(balanced.weights, explicit.weights)


def test_a_batch_of_pixels_without_weight_costs_nothing(loss, batch):
    logits, target = batch(2)
    for name in ("ce", "focal", "topk_ce", "lovasz"):
        assert loss(name, 2, weights=[0, 1])(logits, torch.zeros_like(target)) == 0


def test_weights_move_with_the_module_and_stay_out_of_the_state(loss):
    function = loss("ce", 2, weights=[1, 2])
    assert function.to("meta").weights.is_meta
    assert function.state_dict() == {}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("focal", {"gama": 1}, r"^loss\.gama: unknown option 'gama', did you mean 'gamma'\?"),
        ("focal", {"alpha": 1.5}, r"^loss\.alpha: input should be less than or equal to 1, got 1\.5$"),
        ("dice", {"smooth": 0}, r"^loss\.smooth: input should be greater than 0"),
        ("ce", {"ignore_label": 256}, r"^loss\.ignore_label: input should be less than or equal to 255"),
        ("ce", {"ignore_label": -1}, r"^loss\.ignore_label: input should be greater than or equal to 0"),
        ("topk_ce", {"fraction": 0}, r"^loss\.fraction: input should be greater than 0"),
        ("topk_ce", {"fraction": 10}, r"^loss\.fraction: input should be less than or equal to 1, got 10$"),
        ("generalised_dice", {"weighting": "cube"}, r"^loss\.weighting: input should be 'square', 'simple'"),
        ("tversky", {"alpha": 0, "beta": 0}, r"^loss: alpha and beta must not both be 0$"),
        ("focal_tversky", {"alpha": 0, "beta": 0}, r"^loss: alpha and beta must not both be 0$"),
        ("focal_tversky", {"gamma": 0}, r"^loss\.gamma: input should be greater than 0"),
        (
            "ce_dice",
            {"ce_weight": 0, "dice_weight": 0},
            r"^loss: ce_weight and dice_weight must not both be 0$",
        ),
        ("bce_dice", {"bce_weight": 0, "dice_weight": 0}, r"^loss: bce_weight and dice_weight must not"),
        (
            "dice_focal",
            {"dice_weight": 0, "focal_weight": 0},
            r"^loss: dice_weight and focal_weight must not",
        ),
        ("boundary", {"region_weight": 0, "boundary_weight": 0}, r"^loss: region_weight and boundary_weight"),
    ],
)
def test_wrong_options(name, options, message, loss):
    with pytest.raises(ConfigError, match=message):
        loss(name, 1, **options)


def test_unknown_loss_names_the_nearest(loss):
    with pytest.raises(UnknownNameError, match=r"unknown loss 'ce-dice', did you mean 'ce_dice'\?"):
        loss("ce-dice", 1)


def test_resolved_options_hold_the_defaults():
    common = {"weights": None, "ignore_label": None}
    assert resolve_options(Component(name="focal")) == common | {"gamma": 2.0, "alpha": None}
    options = resolve_options(Component(name="ce", options={"weights": [1, 2]}))
    assert options == common | {"weights": [1.0, 2.0]}
    assert resolve_options(Component(name="ce", options=options)) == options
