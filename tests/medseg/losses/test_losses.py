"""What every loss must do, over the registry; and errors."""

import sys

import pytest
import torch
from torch import nn

from medseg.config import Component
from medseg.errors import ConfigError, UnknownNameError
from medseg.losses import LOSSES, SegmentationLoss, build_loss, resolve_options

CHANNELS = [1, 2, 4]
SIGMOID = {"bce", "bce_dice"}


def loss(name, channels, frequencies=None, **options):
    return build_loss(Component(name=name, options=options), channels, frequencies)


def batch(channels, size=(2, 4, 5), dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(size[0], channels, *size[1:], generator=generator, dtype=dtype)
    return logits, torch.randint(0, max(channels, 2), size, generator=generator)


@pytest.fixture(params=[(name, channels) for name in LOSSES.names() for channels in CHANNELS], ids=str)
def case(request):
    return request.param


def test_gradient_in_float64(case):
    name, channels = case
    logits, target = batch(channels, dtype=torch.float64)
    function = loss(name, channels)
    assert torch.autograd.gradcheck(lambda z: function(z, target), logits.requires_grad_())
    weighted = loss(name, channels, weights=[1.0 + c for c in range(max(channels, 2))])
    assert torch.autograd.gradcheck(lambda z: weighted(z, target), logits)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("gold", ["mixed", "empty", "full"])
def test_finite_at_extreme_logits(case, dtype, gold):
    name, channels = case
    logits, target = batch(channels)
    if gold != "mixed":
        target = torch.full_like(target, 0 if gold == "empty" else max(channels, 2) - 1)
    for extreme in (100 * logits.sign(), torch.full_like(logits, 100.0), torch.full_like(logits, -100.0)):
        z = extreme.to(dtype).requires_grad_()
        value = loss(name, channels)(z, target)
        value.backward()
        assert value.isfinite()
        assert value >= 0
        assert z.grad.isfinite().all()


def test_computed_in_float32_also_under_autocast(case):
    name, channels = case
    logits, target = batch(channels)
    function = loss(name, channels)
    low = logits.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        value = function(low, target)
    assert value.dtype == torch.float32
    assert value == function(low.float(), target)
    assert value.shape == ()


def test_a_right_answer_costs_nothing_and_a_wrong_one_does(case):
    name, channels = case
    _, target = batch(channels)
    if channels == 1:
        right = 40.0 * (2 * target - 1).unsqueeze(1)
    else:
        right = 40.0 * (2 * nn.functional.one_hot(target, channels).movedim(-1, 1) - 1)
    function = loss(name, channels)
    assert function(right.float(), target) < 1e-4
    assert function(-right.float(), target) > 0.5


def test_descends(case):
    name, channels = case
    logits, target = batch(channels)
    logits.requires_grad_()
    function = loss(name, channels)
    before = function(logits, target)
    (slope,) = torch.autograd.grad(before, logits)
    assert function(logits - 0.1 * slope / slope.norm(), target) < before


def test_order_of_pixels_and_images_does_not_matter(case):
    name, channels = case
    logits, target = batch(channels, dtype=torch.float64)
    function = loss(name, channels)
    expected = function(logits, target)
    torch.testing.assert_close(function(logits.flip(0, 2), target.flip(0, 1)), expected)
    torch.testing.assert_close(
        function(logits.to(memory_format=torch.channels_last), target), expected, rtol=1e-12, atol=1e-12
    )


def test_probabilities(case):
    name, channels = case
    logits, _ = batch(channels)
    result = loss(name, channels).probabilities(logits.bfloat16())
    softmax = channels > 1 and name not in SIGMOID
    expected = logits.bfloat16().float()
    torch.testing.assert_close(result, expected.softmax(1) if softmax else expected.sigmoid())
    assert result.dtype == torch.float32


def test_wrong_inputs_are_named(case):
    name, channels = case
    logits, target = batch(channels)
    function = loss(name, channels)
    with pytest.raises(
        ValueError, match=rf"logits \(B, {channels}, H, W\).*\(2, {channels}, 4, 5\) and \(2, 4, 4\)"
    ):
        function(logits, target[..., :4])
    with pytest.raises(ValueError, match=rf"got \(2, {channels + 1}, 4, 5\)"):
        function(torch.cat((logits, logits[:, :1]), 1), target)
    with pytest.raises(ValueError, match=r"int64 target, got torch\.float32 and torch\.float32"):
        function(logits, target.float())
    classes = max(channels, 2)
    with pytest.raises(ValueError, match=rf"class indices 0\.\.{classes - 1}, got {classes}\.\.{classes}"):
        function(logits, torch.full_like(target, classes))


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
def test_wrong_weights(weights, message):
    with pytest.raises(ConfigError, match=message):
        loss("ce", 3, weights=weights)


def test_balanced_needs_frequencies_when_evaluated():
    logits, target = batch(3)
    with pytest.raises(ConfigError, match=r"loss\.weights: 'balanced' needs the class frequencies"):
        loss("ce_dice", 3, weights="balanced")(logits, target)
    with pytest.raises(ConfigError, match=r"a frequency above 0 for each of 3 classes, got \[5, 0, 1\]"):
        loss("ce_dice", 3, [5, 0, 1], weights="balanced")


def test_a_batch_of_pixels_without_weight_costs_nothing():
    logits, target = batch(2)
    assert loss("ce", 2, weights=[0, 1])(logits, torch.zeros_like(target)) == 0


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("focal", {"gama": 1}, r"^loss\.gama: unknown option 'gama', did you mean 'gamma'\?"),
        ("focal", {"alpha": 1.5}, r"^loss\.alpha: input should be less than or equal to 1, got 1\.5$"),
        ("dice", {"smooth": 0}, r"^loss\.smooth: input should be greater than 0"),
        (
            "ce_dice",
            {"ce_weight": 0, "dice_weight": 0},
            r"^loss: ce_weight and dice_weight must not both be 0$",
        ),
        ("bce_dice", {"bce_weight": 0, "dice_weight": 0}, r"^loss: bce_weight and dice_weight must not"),
    ],
)
def test_wrong_options(name, options, message):
    with pytest.raises(ConfigError, match=message):
        loss(name, 1, **options)


def test_unknown_loss_names_the_nearest():
    with pytest.raises(UnknownNameError, match=r"unknown loss 'ce-dice', did you mean 'ce_dice'\?"):
        loss("ce-dice", 1)


def test_resolved_options_hold_the_defaults():
    assert resolve_options(Component(name="focal")) == {"weights": None, "gamma": 2.0, "alpha": None}
    options = resolve_options(Component(name="ce", options={"weights": [1, 2]}))
    assert options == {"weights": [1.0, 2.0]}
    assert resolve_options(Component(name="ce", options=options)) == options


def test_anyones_loss_gets_probabilities_and_checks():
    logits, target = batch(3)
    function = loss("torch.nn:CrossEntropyLoss", 3, label_smoothing=0.1)
    assert isinstance(function, SegmentationLoss)
    expected = nn.functional.cross_entropy(logits, target, label_smoothing=0.1)
    torch.testing.assert_close(function(logits.requires_grad_(), target), expected)
    torch.testing.assert_close(function.probabilities(logits), logits.softmax(1))
    with pytest.raises(ConfigError, match=r"loss\.label_smooth: unknown option"):
        loss("torch.nn:CrossEntropyLoss", 3, label_smooth=0.1)


class Hardened(nn.CrossEntropyLoss):
    """Someone's loss with probabilities of its own."""

    def probabilities(self, logits):
        return (2 * logits).softmax(1)


def test_anyones_probabilities_are_kept(monkeypatch):
    monkeypatch.setitem(sys.modules, "tests_losses", sys.modules[__name__])
    logits, _ = batch(3)
    function = loss("tests_losses:Hardened", 3)
    torch.testing.assert_close(function.probabilities(logits), (2 * logits).softmax(1))


class Product(nn.Module):
    """A loss made of what autocast would lower to bfloat16."""

    def forward(self, logits, target):
        return (logits.flatten()[None] @ logits.flatten()[:, None]).squeeze()


def test_autocast_is_off_inside_a_loss(monkeypatch):
    monkeypatch.setitem(sys.modules, "tests_losses", sys.modules[__name__])
    logits, target = batch(2)
    function = loss("tests_losses:Product", 2)
    with torch.autocast("cpu", torch.bfloat16):
        value = function(logits, target)
    torch.testing.assert_close(value, logits.square().sum())


def test_weights_move_with_the_module_and_stay_out_of_the_state():
    function = loss("ce", 2, weights=[1, 2])
    assert function.to("meta").weights.is_meta
    assert function.state_dict() == {}
