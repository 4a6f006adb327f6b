"""Whatever a model returns becomes logits, or levels of logits."""

import copy
from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from medseg.config import Component
from medseg.errors import ModelError
from medseg.losses import build_loss
from medseg.models import build_model
from medseg.models.outputs import normalise_outputs, normalised

FULL, HALF, QUARTER = (torch.full((2, 4, side, side), float(side)) for side in (16, 8, 4))


class Meta(Tensor):
    """A subclass, as MONAI's MetaTensor is one."""


class Supervised(nn.Module):
    """Levels of logits in training, coarsest first, in a dict; in evaluation all the same."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, image):
        logits = self.conv(image)
        return {"out": [nn.functional.avg_pool2d(logits, 2), logits], "features": image}


@pytest.mark.parametrize(
    "output",
    [
        FULL,
        [FULL],
        (FULL, None),
        {"out": FULL, "aux": HALF},
        OrderedDict(loss=torch.tensor(1.0), logits=FULL),
        {"anything": (FULL,)},
        FULL.as_subclass(Meta),
        [FULL.as_subclass(Meta)],
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_logits_are_found(output, training):
    found = normalised(output, training)
    assert type(found) is Tensor
    assert torch.equal(found, FULL)


@pytest.mark.parametrize(
    "output", [[FULL, HALF, QUARTER], (QUARTER, FULL, HALF), {"out": [HALF, QUARTER, FULL]}]
)
def test_levels_are_sorted_and_only_for_training(output):
    found = normalised(output, training=True)
    assert [level.shape[-1] for level in found] == [16, 8, 4]
    assert torch.equal(normalised(output, training=False), FULL)


def test_a_stack_of_levels_keeps_its_order():
    stack = torch.stack([FULL, FULL + 1, FULL + 2], dim=1)
    first, second, third = normalised(stack, training=True)
    assert torch.equal(first, FULL)
    assert torch.equal(second, FULL + 1)
    assert torch.equal(third, FULL + 2)
    assert torch.equal(normalised(stack, training=False), FULL)
    assert torch.equal(normalised(stack[:, :1], training=True), FULL)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ([FULL, FULL], r"one map of each size, got 16 x 16, 16 x 16: .*Turn its deep supervision off"),
        ([FULL, torch.zeros(2, 4)], r"logits alone, got \(2, 4, 16, 16\), \(2, 4\): a function of one's own"),
        ((FULL, [HALF]), r"logits alone, got \(2, 4, 16, 16\), list"),
        ([], r"logits alone, got nothing"),
        ({"mask": FULL, "edge": FULL}, r"a tensor or under 'out' or 'logits', got mask, edge"),
        ("logits", r"a tensor of logits, got str"),
        (None, r"a tensor of logits, got NoneType"),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_what_cannot_be_told_is_refused_with_what_to_do(output, message, training):
    with pytest.raises(ModelError, match=message):
        normalised(output, training)


@pytest.fixture
def supervised(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tests_outputs", sys.modules[__name__])
    torch.manual_seed(0)
    return build_model(Component(name="tests_outputs:Supervised"), 1, 4, (16, 16))


def test_a_model_from_elsewhere_keeps_its_class_and_its_names(supervised):
    assert type(supervised) is Supervised
    assert list(supervised.state_dict()) == ["conv.weight", "conv.bias"]


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # Dynamo looks at it
@pytest.mark.parametrize("how", ["itself", "copy", "functional", "compiled", "moved"])
def test_the_form_survives_what_is_done_to_models(supervised, how):
    images = torch.randn(2, 1, 16, 16)
    weights = dict(supervised.named_parameters())
    model = {
        "itself": lambda: supervised,
        "copy": lambda: copy.deepcopy(supervised),
        "functional": lambda: lambda x: functional_call(supervised, weights, (x,)),
        "compiled": lambda: torch.compile(supervised, backend="aot_eager"),
        "moved": lambda: supervised.to(memory_format=torch.channels_last),
    }[how]()
    levels = model(images)
    assert [tuple(level.shape) for level in levels] == [(2, 4, 16, 16), (2, 4, 8, 8)]
    torch.testing.assert_close(levels[0], supervised.conv(images))
    loss = build_loss(Component(name="ce"), 4)
    loss(levels, torch.zeros(2, 16, 16, dtype=torch.long)).backward()
    owner = model if how == "copy" else supervised
    assert owner.conv.weight.grad.abs().sum() > 0
    owner.eval()
    assert model(images).shape == (2, 4, 16, 16)


def test_a_refusal_at_run_time_names_the_class():
    class Twins(nn.Module):
        def forward(self, image):
            return image, image

    model = Twins()
    normalise_outputs(model)
    with pytest.raises(ModelError, match=r"^Twins must return one map of each size"):
        model(FULL)


def test_our_own_models_are_left_alone():
    model = build_model(Component(name="unet", options={"features": [2, 4]}), 1, 4, (16, 16))
    assert not model._forward_hooks
