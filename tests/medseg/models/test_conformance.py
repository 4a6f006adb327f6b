"""Every registered model goes through the conformance suite; every check catches what it is for."""

import sys

import pytest
import torch
from torch import nn

from medseg.config import Component
from medseg.errors import ConfigError
from medseg.models import MODELS
from medseg.models.conformance import CHECKS, Subject, run_checks

# Options that keep a registered model small; a model without an entry runs with its defaults.
NARROW = {"unet": {"features": [4, 8, 16]}, "resunet": {"features": [4, 8, 16]}}


@pytest.mark.parametrize("name", MODELS.names())
def test_registered_models_conform(name):
    subject = Subject(component=Component(name=name, options=NARROW.get(name, {})))
    assert [result for result in run_checks(subject) if result.problem] == []


class Faulty(nn.Module):
    """A network with one fault."""

    def __init__(self, in_channels, out_channels, fault=""):
        super().__init__()
        self.fault, self.calls = fault, 0
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=0 if fault == "unpadded" else 1)
        if fault == "unused":
            self.extra = nn.Linear(2, 2)
        self.scale = nn.Parameter(torch.rand(1) + 1) if fault != "unsaved" else 1.0
        if fault == "unsaved":
            self.secret = torch.rand(1) + 1

    def forward(self, image):
        fault = self.fault
        if fault == "size" and image.shape[-1] % 2:
            raise RuntimeError("sizes do not match")
        if fault == "crop" and image.shape[-1] % 2:
            image = image[..., :-1]
        x = self.conv(image) * (self.secret if fault == "unsaved" else self.scale)
        if fault == "random":
            x = x + torch.rand(())
        if fault == "batch":
            x = x - x.mean()
        if fault == "overflow" and torch.is_autocast_enabled("cpu"):
            x = x / 0
        if (
            fault == "layout"
            and image.is_contiguous(memory_format=torch.channels_last)
            and image.shape[1] > 1
        ):
            x = x + 1
        if fault == "nan gradient":
            x = torch.sqrt(x * 0) + x
        if fault == "list":
            return [x]
        return x


FAULTS = {
    "unpadded": ("output_shape", r"must return float \(2, 1, 32, 48\), got torch.float32 \(2, 1, 30, 46\)"),
    "list": ("output_shape", "must return a tensor, got list"),
    "size": ("odd_size", "refuses 33 x 49 without naming it: sizes do not match"),
    "crop": ("odd_size", r"maps 33 x 49 to \(33, 48\)"),
    "unused": ("gradient", r"no gradient reaches extra.weight, extra.bias \(2 in all\)"),
    "nan gradient": ("gradient", "gradient of scale is not finite"),
    "random": ("evaluation_repeats", "differs by .* from call to call"),
    "batch": ("samples_independent", "an image's logits change by"),
    "unsaved": ("state_round_trip", "logits differ by"),
    "overflow": ("bfloat16", "logits are not finite"),
    "layout": ("channels_last", "logits differ by"),
}


@pytest.fixture
def faulty(monkeypatch):
    monkeypatch.setitem(sys.modules, "tests_faulty", sys.modules[__name__])

    def subject(fault):
        component = Component(name="tests_faulty:Faulty", options={"fault": fault})
        return Subject(component=component, in_channels=2)

    return subject


def test_the_faultless_passes(faulty):
    assert [result for result in run_checks(faulty("")) if result.problem] == []


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found(faulty, fault):
    check, message = FAULTS[fault]
    problems = {result.name: result.problem for result in run_checks(faulty(fault))}
    assert problems[check] is not None
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(problems[check])


def test_every_check_is_provoked():
    assert {check for check, _ in FAULTS.values()} == {name for name, _ in CHECKS}


def test_random_state_is_left_alone(faulty):
    before = torch.random.get_rng_state()
    run_checks(faulty(""))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_model_that_cannot_be_built_raises():
    with pytest.raises(ConfigError, match=r"model\.wide"):
        run_checks(Subject(component=Component(name="unet", options={"wide": 1})))
