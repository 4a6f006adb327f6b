"""Every registered model goes through the conformance suite; every check catches what it is for."""

import shutil
import sys

import pytest
import torch
from torch import nn

from medseg.config import Component
from medseg.errors import ConfigError
from medseg.models import MODELS
from medseg.models.unet import UNet, UNetConfig
from medseg.training.conformance import CHECKS, Subject, learning, numbers, run_check, run_checks
from medseg.training.conformance.phantoms import phantom_slices


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", MODELS.names())
def test_registered_models_conform(name):
    options = getattr(MODELS.load(name), "narrow", {})
    # Inductor takes most of a minute per model; what a model can do wrong shows without it.
    subject = Subject(component=Component(name=name, options=options), compile_backend="aot_eager")
    assert [result for result in run_checks(subject) if result.problem] == []


class Faulty(nn.Module):
    """A network with one fault, or with none of those."""

    # Outputs of foreign models are put in order before they are checked; this one wants none of that.
    __module__ = "medseg.faulty"

    def __init__(self, in_channels, out_channels, fault=""):
        super().__init__()
        self.fault = fault
        self.body = UNet(in_channels, out_channels, UNetConfig(features=(8, 16)))
        if fault not in ("undeclared", "crop", "size", "one size"):
            self.size_divisor = 1 if fault == "declares too little" else 2
        if fault == "unused":
            self.extra = nn.Linear(2, 2)
        self.gate = nn.Parameter(torch.zeros(1))
        self.aside = nn.Conv2d(in_channels, out_channels, 1)
        self.scale = 1.0 if fault == "unsaved" else nn.Parameter(torch.rand(1) + 1)
        if fault == "unsaved":
            self.secret = torch.rand(1) + 1

    def forward(self, image):
        fault = self.fault
        self.refuse(image)
        if fault == "crop":
            image = image[..., : image.shape[-2] // 2 * 2, : image.shape[-1] // 2 * 2]
        x = (self.body(image) + self.gate * self.aside(image)) * self.scale
        if fault == "unsaved":
            x = x * self.secret
        if fault in WRONG_NUMBERS:
            x = WRONG_NUMBERS[fault](x, image)
        if fault in WRONG_SHAPES:
            return WRONG_SHAPES[fault](x, self.training)
        return x

    def refuse(self, image):
        if self.fault == "size" and image.shape[-1] % 2:
            raise RuntimeError("sizes do not match")
        if self.fault == "one size" and image.shape[-2:] != (32, 48):
            raise ValueError(f"takes 32 x 48, not {image.shape[-2]} x {image.shape[-1]}")


def half(x):
    return nn.functional.avg_pool2d(x, 2)


def in_autocast():
    return torch.is_autocast_enabled("cpu")


WRONG_SHAPES = {
    "cropped": lambda x, training: x[..., 1:-1, 1:-1],
    "list": lambda x, training: [x],
    "levels": lambda x, training: [x, half(x)] if training else x,
    "coarse first": lambda x, training: [half(x), x] if training else x,
    "growing": lambda x, training: [x, half(x), x] if training else x,
    "level channels": lambda x, training: [x, half(x)[:, :1].repeat(1, 3, 1, 1)] if training else x,
    "no levels": lambda x, training: [] if training else x,
    "shifted": lambda x, training: x if training else x.roll(9, dims=-1),
    "softmax": lambda x, training: x.softmax(dim=1),
    "sigmoid in evaluation": lambda x, training: x if training else x.sigmoid(),
    "softmax in training": lambda x, training: x.softmax(dim=1) if training else x,
}
WRONG_NUMBERS = {
    "infinite": lambda x, image: x / 0,
    "detached": lambda x, image: x.detach(),
    "nan gradient": lambda x, image: torch.sqrt(x * 0) + x,
    "random": lambda x, image: x + torch.rand(()),
    "batch": lambda x, image: x - x.mean(),
    "overflow": lambda x, image: x / 0 if in_autocast() else x,
    "rounded": lambda x, image: x.round() if in_autocast() else x,
    "low gradient": lambda x, image: torch.sqrt(x * 0) + x if in_autocast() else x,
    "layout": lambda x, image: x + image.is_contiguous(memory_format=torch.channels_last),
    "compiled": lambda x, image: x + 1 if torch.compiler.is_compiling() else x,
    "compiled gradient": lambda x, image: x.detach() if torch.compiler.is_compiling() else x,
    "blind": lambda x, image: x.mean(dim=(2, 3), keepdim=True).expand_as(x),
}
FAULTS = {
    "cropped": (
        "output_shape",
        r"in evaluation must return float \(2, 1, 32, 48\), got torch.float32 \(2, 1, 30",
    ),
    "list": ("output_shape", "in evaluation must return a tensor, got list"),
    "coarse first": (
        "output_shape",
        r"in training at level 1 of 2 must return float \(2, 1, 32, 48\), got .* 24\)",
    ),
    "growing": (
        "output_shape",
        "in training must return levels from fine to coarse, got 32 x 48 after 16 x 24",
    ),
    "level channels": (
        "output_shape",
        r"in training at level 2 of 2 must return float \(2, 1, 16, 24\), got .*3, 16",
    ),
    "no levels": ("output_shape", "in training must return at least one level of logits, got none"),
    "softmax": ("logits", "the model must return logits, but returns probabilities in evaluation"),
    "sigmoid in evaluation": ("logits", "must return logits, but returns probabilities in evaluation"),
    "softmax in training": ("logits", "must return logits, but returns probabilities in training"),
    "infinite": ("logits", "must return finite logits, got NaN or infinity in evaluation"),
    "detached": ("logits", "cannot be trained: no gradient reaches its parameters"),
    "declares too little": (
        "sizes_that_divide",
        "must take 33 x 49, multiples of its size_divisor 1: unet with 1",
    ),
    "one size": ("sizes_that_divide", "takes the multiples of no number"),
    "size": ("other_sizes", "refuses 33 x 49 without naming it: sizes do not match"),
    "crop": ("other_sizes", "maps 33 x 49 to 32 x 48"),
    "unused": ("gradient", r"no gradient reaches extra.weight, extra.bias \(2 in all\)"),
    "nan gradient": ("gradient", "gradient of .* is not finite"),
    "random": ("evaluation_repeats", "differs by .* from call to call"),
    "batch": ("samples_independent", "an image's logits change by"),
    "unsaved": ("state_round_trip", "logits differ by"),
    "overflow": ("bfloat16", "logits are not finite"),
    "rounded": ("bfloat16", "logits differ by .* from float32"),
    "low gradient": ("bfloat16", "gradient of .* is not finite"),
    "layout": ("channels_last", "logits differ by"),
    "compiled": ("compiles", "logits differ by"),
    "compiled gradient": ("compiles", "does not require grad"),
    "blind": (
        "overfits",
        r"Dice of four phantom slices must reach 0.95 .*, got at most 0\.\d\d \(step \d+\)",
    ),
    "shifted": ("overfits", r"got at most 0\.\d\d"),
}


@pytest.fixture
def faulty(monkeypatch):
    monkeypatch.setitem(sys.modules, "tests_faulty", sys.modules[__name__])

    def subject(fault, **more):
        component = Component(name="tests_faulty:Faulty", options={"fault": fault})
        return Subject(component=component, in_channels=2, compile_backend="aot_eager", **more)

    return subject


def test_levels_and_initial_zeros_are_no_fault(faulty):
    assert [result for result in run_checks(faulty("levels")) if result.problem] == []


def test_to_declare_no_divisor_is_no_fault(faulty):
    for check in ("sizes_that_divide", "other_sizes"):
        assert run_check(check, faulty("undeclared")).problem is None


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found(faulty, fault, monkeypatch):
    monkeypatch.setattr(learning, "STEPS", 60)
    check, message = FAULTS[fault]
    result = run_check(check, faulty(fault))
    assert result.problem is not None
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(result.problem)


def test_every_check_is_provoked():
    assert {check for check, _ in FAULTS.values()} == set(CHECKS)


class Pointwise(nn.Conv2d):
    """One 1x1 convolution, and after it what takes a compiled kernel."""

    def __init__(self, in_channels, out_channels):
        super().__init__(in_channels, out_channels, 1)

    def forward(self, image):
        return super().forward(image).sin() * 2


def backends_tried(check_subject, monkeypatch):
    tried, compiles = [], numbers._compiles
    monkeypatch.setattr(
        numbers, "_compiles", lambda subject, name: tried.append(name) or compiles(subject, name)
    )
    problem = run_check("compiles", check_subject).problem
    return tried, problem


@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="no C++ compiler")
def test_the_default_compiler_is_used_where_it_works(faulty, monkeypatch):
    subject = Subject(component=Component(name="tests_faulty:Pointwise"))
    assert backends_tried(subject, monkeypatch) == (["inductor"], None)


def test_without_a_cpp_compiler_a_model_is_still_compiled(faulty, monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", "/no/compiler")
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, "/no/compiler"))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    subject = Subject(component=Component(name="tests_faulty:Pointwise"))
    assert backends_tried(subject, monkeypatch) == (["inductor", "aot_eager"], None)


def test_strided_1x1_convolutions_do_not_end_the_process(faulty, monkeypatch):
    """In channels_last torch 2.13's CPU build writes past its buffers in their backward pass."""
    monkeypatch.setattr(learning, "STEPS", 10)
    for check in ("channels_last", "gradient", "bfloat16", "overfits"):
        run_check(check, Subject(component=Component(name="tests_faulty:Strided"), image_size=(64, 64)))


class Strided(nn.Sequential):
    """Strided 1x1 convolutions of few channels."""

    def __init__(self, in_channels, out_channels):
        layers = [nn.Conv2d(in_channels, 15, 1), nn.Conv2d(15, 16, 1, stride=2), nn.ReLU()]
        super().__init__(*layers, nn.Conv2d(16, out_channels, 1), nn.Upsample(scale_factor=2))


def test_random_state_is_left_alone(faulty, monkeypatch):
    monkeypatch.setattr(learning, "STEPS", 10)
    before = torch.random.get_rng_state()
    for check in CHECKS:
        run_check(check, faulty("levels"))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_model_that_cannot_be_built_raises():
    with pytest.raises(ConfigError, match=r"model\.wide"):
        list(run_checks(Subject(component=Component(name="unet", options={"wide": 1}))))


@pytest.mark.parametrize(("channels", "highest"), [(1, 1), (2, 1), (3, 2), (4, 3), (7, 3)])
def test_phantom_slices_show_every_label_that_the_logits_have(channels, highest):
    images, labels = phantom_slices(2, channels, (40, 56))
    assert images.shape == (4, 2, 40, 56)
    assert labels.shape == (4, 40, 56)
    assert labels.dtype == torch.int64
    for label in labels:
        assert label.unique().tolist() == list(range(highest + 1))
    torch.testing.assert_close(images.mean(dim=(2, 3)), torch.zeros(4, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(images.std(dim=(2, 3)), torch.ones(4, 2))
    assert not torch.equal(labels[0], labels[1])


def test_phantom_slices_follow_their_seed():
    first, again, other = (phantom_slices(1, 4, (32, 32), seed)[0] for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("channels", [1, 4])
def test_dice_is_that_of_the_metrics(channels):
    from medseg.metrics import evaluate_case

    labels = torch.randint(max(2, channels), (4, 8, 9), generator=torch.Generator().manual_seed(0))
    logits = torch.randn(4, channels, 8, 9, generator=torch.Generator().manual_seed(1))
    predicted = (logits[:, 0] > 0).long() if channels == 1 else logits.argmax(1)
    names = tuple("abc"[: max(1, channels - 1)])
    values = evaluate_case(
        labels.numpy().astype("uint8"), predicted.numpy().astype("uint8"), (1.0, 1.0, 1.0), names, ("dice",)
    )
    assert learning._dice(logits, labels) == pytest.approx(sum(v.value for v in values) / len(values))


def test_models_of_others_go_through_the_same_checks():
    """MONAI's attention U-Net does not say which sizes it cannot take."""
    options = {"channels": [8, 16, 32], "strides": [2, 2]}
    subject = Subject(component=Component(name="monai:AttentionUnet", options=options), in_channels=3)
    for check in set(CHECKS) - {"compiles", "overfits", "other_sizes"}:
        assert run_check(check, subject).problem is None, check
    problem = run_check("other_sizes", subject).problem
    assert problem.startswith("refuses 33 x 49 without naming it: The size of tensor a")
