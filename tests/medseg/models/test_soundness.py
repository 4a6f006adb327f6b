"""Models whose shapes are right and whose numbers are not."""

import sys

import pytest
import torch
from torch import nn

from medseg.config import Component
from medseg.errors import ModelError
from medseg.models.sizes import fit_component
from medseg.models.soundness import check_numbers

FORMS = {
    "logits": lambda x, training: x,
    "positive logits": lambda x, training: x.relu(),
    "log softmax": lambda x, training: x.log_softmax(1),
    "softmax": lambda x, training: x.softmax(1),
    "sigmoid in evaluation": lambda x, training: x if training else x.sigmoid(),
    "softmax in training": lambda x, training: x.softmax(1) if training else x,
    "levels of sigmoids": lambda x, training: [x.sigmoid(), x[..., ::2, ::2].sigmoid()] if training else x,
    "infinite": lambda x, training: x / 0,
    "detached": lambda x, training: x.detach(),
}


class Net(nn.Module):
    """A convolution and batch norm, and after it one of `FORMS`."""

    def __init__(self, in_channels, out_channels, form="logits", start=None):
        super().__init__()
        self.form = FORMS[form]
        self.conv, self.norm = (
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
            nn.BatchNorm2d(out_channels),
        )
        if start is not None:
            for parameter in self.parameters():
                nn.init.constant_(parameter, start)

    def forward(self, image):
        return self.form(self.norm(self.conv(image)), self.training)


def fit(form, out_channels, size=(16, 16), **options):
    component = Component(name="tests_soundness:Net", options={"form": form, **options})
    return fit_component(component, 1, out_channels, size)


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.setitem(sys.modules, "tests_soundness", sys.modules[__name__])


@pytest.mark.parametrize("out_channels", [1, 4])
@pytest.mark.parametrize("form", ["logits", "positive logits", "log softmax"])
@pytest.mark.parametrize("start", [None, 0.0, 0.5])
def test_logits_pass_whatever_they_start_at(form, out_channels, start):
    if form == "log softmax" and out_channels == 1:
        pytest.skip("the log softmax of one channel is 0 whatever the weights are")
    assert fit(form, out_channels, start=start).levels == ((16, 16),)


@pytest.mark.parametrize("size", [(16, 16), (96, 128)])
@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("softmax", "must return logits, but returns probabilities in evaluation: values from 0 to 1"),
        ("sigmoid in evaluation", "must return logits, but returns probabilities in evaluation"),
        ("softmax in training", "must return logits, but returns probabilities in training"),
        ("levels of sigmoids", "must return logits, but returns probabilities in training"),
        ("infinite", "must return finite logits, got NaN or infinity in evaluation"),
        ("detached", "cannot be trained: no gradient reaches its parameters"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(form, message, size):
    with pytest.raises(ModelError, match=f"^tests_soundness:Net {message}"):
        fit(form, 4, size)


def test_a_model_without_parameters_is_refused():
    with pytest.raises(ModelError, match=r"^nothing has no trainable parameters$"):
        check_numbers(nn.Identity(), 1, (8, 8), "nothing")


def test_the_model_and_the_global_generator_are_left_as_they_were():
    model = Net(1, 4).train()
    model.norm.eval()
    state, before = torch.get_rng_state(), {k: v.clone() for k, v in model.state_dict().items()}
    check_numbers(model, 1, (8, 8), "net")
    assert (model.training, model.norm.training) == (True, False)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)
