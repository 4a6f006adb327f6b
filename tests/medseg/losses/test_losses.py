"""What every loss must do, over the registry."""

from itertools import product

import pytest
import torch
from torch import nn

from medseg.config import Config, search_space
from medseg.losses import LOSSES

CHANNELS = [1, 2, 4]
IGNORED = 200
# What is not the default and takes another way through the code.
OPTIONS = {
    "boundary": [{"region_weight": 0}],
    "ce_dice": [{"batch": False, "squared": True}],
    "dice": [{"batch": False, "include_background": True}, {"squared": True}],
    "dice_focal": [{"alpha": 0.25, "gamma": 0.5}],
    "focal": [{"alpha": 0.25, "gamma": 0.5}],
    "focal_tversky": [{"batch": False, "gamma": 0.75}],
    "generalised_dice": [{"batch": True, "include_background": False, "weighting": "simple"}],
    "lovasz": [{"per_image": True}],
    "topk_ce": [{"fraction": 0.6}],
}
CASES = [
    (name, channels, options)
    for name in LOSSES.names()
    for channels in CHANNELS
    for options in ({}, *OPTIONS.get(name, ()))
]


def some_weights(channels):
    return [1.0 + c for c in range(max(channels, 2))]


def smaller(logits):
    return [logits, logits[..., ::2, ::2], logits[..., ::4, ::4]]


@pytest.fixture(params=CASES, ids=str)
def case(request):
    return request.param


@pytest.mark.parametrize("setting", ["plain", "weights", "ignored", "levels"])
def test_gradient_in_float64(case, setting, loss, batch):
    name, channels, options = case
    logits, target = batch(channels, size=(2, 3, 4), dtype=torch.float64)
    if setting == "weights":
        options = options | {"weights": some_weights(channels)}
    if setting == "ignored":
        target[:, 1, :2] = IGNORED
        options = options | {"ignore_label": IGNORED}
    function = loss(name, channels, **options)
    levels = smaller if setting == "levels" else lambda z: z
    # All entries of the plain gradient, of the others a random direction.
    assert torch.autograd.gradcheck(
        lambda z: function(levels(z), target), logits.requires_grad_(), fast_mode=setting != "plain"
    )


@pytest.mark.parametrize("gold", ["mixed", "empty", "full", "ignored"])
def test_finite_at_extreme_logits(case, gold, loss, batch):
    name, channels, options = case
    logits, target = batch(channels)
    if gold != "mixed":
        only = {"empty": 0, "full": max(channels, 2) - 1, "ignored": IGNORED}
        target = torch.full_like(target, only[gold])
    function = loss(name, channels, ignore_label=IGNORED if gold == "ignored" else None, **options)
    extremes = (100 * logits.sign(), torch.full_like(logits, 100.0), torch.full_like(logits, -100.0))
    for extreme, dtype in product(extremes, (torch.float32, torch.bfloat16, torch.float16)):
        z = extreme.to(dtype, copy=True).requires_grad_()
        value = function(z, target)
        value.backward()
        assert value.isfinite()
        assert value >= 0 or not function.bounded
        assert z.grad.isfinite().all()


def test_computed_in_float32_also_under_autocast(case, loss, batch):
    name, channels, options = case
    logits, target = batch(channels)
    function = loss(name, channels, **options)
    low = logits.bfloat16()
    for levels in (lambda z: z, smaller):
        with torch.autocast("cpu", torch.bfloat16):
            value = function(levels(low), target)
        assert value.dtype == torch.float32
        assert value == function(levels(low.float()), target)
        assert value.shape == ()


def test_a_right_answer_costs_nothing_and_a_wrong_one_does(case, loss, batch):
    name, channels, options = case
    logits, target = batch(channels)
    if channels == 1:
        right = 40.0 * (2 * target - 1).unsqueeze(1)
    else:
        right = 40.0 * (2 * nn.functional.one_hot(target, channels).movedim(-1, 1) - 1)
    function = loss(name, channels, **options)
    least, most = function(right.float(), target), function(-right.float(), target)
    assert least < function(logits, target) < most
    if function.bounded:
        assert 0 <= least < 1e-4
        assert most > (0.1 if options.get("alpha") else 0.5)


def test_descends(case, loss, batch):
    name, channels, options = case
    logits, target = batch(channels)
    logits.requires_grad_()
    function = loss(name, channels, **options)
    before = function(logits, target)
    (slope,) = torch.autograd.grad(before, logits)
    assert function(logits - 0.1 * slope / slope.norm(), target) < before


def test_turned_images_cost_the_same(case, loss, batch):
    name, channels, options = case
    logits, target = batch(channels, dtype=torch.float64)
    function = loss(name, channels, **options)
    expected = function(logits, target)
    torch.testing.assert_close(function(logits.flip(0, 2), target.flip(0, 1)), expected)
    torch.testing.assert_close(function(logits.transpose(2, 3), target.transpose(1, 2)), expected)
    last = logits.to(memory_format=torch.channels_last)
    torch.testing.assert_close(function(last, target), expected, rtol=1e-12, atol=1e-12)


def test_the_place_of_pixels_matters_only_where_it_is_said(case, loss, batch):
    name, channels, options = case
    logits, target = batch(channels, size=(2, 6, 5), dtype=torch.float64)
    function = loss(name, channels, **options)
    expected = function(logits, target)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    moved = (logits.flatten(2)[..., order].view_as(logits), target.flatten(1)[:, order].view_as(target))
    same = torch.isclose(function(*moved), expected, rtol=1e-9)
    assert bool(same) == function.local


def test_probabilities(case, loss, batch):
    name, channels, options = case
    logits, _ = batch(channels)
    function = loss(name, channels, **options)
    result = function.probabilities(logits.bfloat16())
    softmax = channels > 1 and function.activation == "softmax"
    expected = logits.bfloat16().float()
    torch.testing.assert_close(result, expected.softmax(1) if softmax else expected.sigmoid())
    assert result.dtype == torch.float32


@pytest.mark.parametrize("name", LOSSES.names())
def test_what_a_class_says_of_itself(name):
    target = LOSSES.load(name)
    assert "https://" in target.paper
    assert target.__doc__
    assert issubclass(target.Config, Config)
    for option, field in target.Config.model_fields.items():
        assert field.description, option
    defaults = target.Config().model_dump(mode="json")
    spaces = search_space(target.Config)
    assert spaces
    for option, space in spaces.items():
        choices = space.get("choices")
        inside = defaults[option] in choices if choices else space["low"] <= defaults[option] <= space["high"]
        assert inside, option


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("name", LOSSES.names())
def test_wrong_inputs_are_named(name, channels, loss, batch):
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
    ignoring = loss(name, channels, ignore_label=IGNORED)
    with pytest.raises(ValueError, match=rf"0\.\.{classes - 1}, or {IGNORED} where ignored, got 0\.\.201"):
        ignoring(logits, torch.where(target == 0, IGNORED, IGNORED + 1))
