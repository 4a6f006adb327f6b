"""From a name and options to a network that fits a task."""

import pytest
import torch
from torch import nn

from medseg.config import Component
from medseg.errors import ConfigError, ModelError, UnknownNameError
from medseg.models import MODELS, build_model, check_fit, count_parameters, resolve_options

NARROW = {"features": [2, 4, 8]}


class Sized(nn.Module):
    """A class as anyone may write it: plain keywords, wants the image size."""

    def __init__(self, in_channels, out_channels, image_size, fails=None):
        super().__init__()
        if fails:
            raise RuntimeError(f"no {fails}\nand more")
        self.conv = nn.Conv2d(in_channels, out_channels, 1)
        self.position = nn.Parameter(torch.zeros(image_size))

    def forward(self, image):
        return self.conv(image) + self.position


class Wrong(nn.Module):
    """Breaks the output contract in a chosen way."""

    size_divisor = 4

    def __init__(self, in_channels, out_channels, how):
        super().__init__()
        self.conv, self.how = nn.Conv2d(in_channels, out_channels, 1), how

    def forward(self, image):
        logits = self.conv(image)
        return {
            "pair": lambda: (logits, logits),
            "text": lambda: "logits",
            "coarse": lambda: [logits, logits[..., ::2, ::2]] if self.training else logits[..., ::2, ::2],
            "features": lambda: [logits, image[..., ::2, ::2]] if self.training else logits,
            "training": lambda: logits[..., ::2] if self.training else logits,
            "half": lambda: logits[..., ::2],
            "int": lambda: logits > 0,
            "raise": lambda: logits.reshape(-1, 7, 11, 13),
            "values": lambda: logits if float(logits.detach().sum()) < 1e9 else -logits,
        }[self.how]()


class NotAModule:
    def __init__(self, in_channels, out_channels):
        pass


def here(attribute, **options):
    MODELS._paths[attribute] = f"tests_build:{attribute}"
    return Component(name=attribute, options=options)


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tests_build", sys.modules[__name__])
    monkeypatch.setattr(MODELS, "_paths", dict(MODELS._paths))


def test_foreign_class_gets_channels_size_and_options():
    model = build_model(here("Sized"), 3, 2, (8, 12))
    assert model(torch.zeros(1, 3, 8, 12)).shape == (1, 2, 8, 12)


def test_module_colon_class_works_without_registration():
    component = Component(name="torch.nn:Conv2d", options={"kernel_size": 3, "padding": 1})
    check_fit(build_model(component, 1, 4, (8, 8)), 1, 4, (8, 8))


@pytest.mark.parametrize(
    ("component", "error", "message"),
    [
        (Component(name="unt"), UnknownNameError, r"unknown model 'unt', did you mean 'unet'\?"),
        (
            Component(name="unet", options={"feature": [1, 2]}),
            ConfigError,
            r"^model\.feature: unknown option 'feature', did you mean 'features'\?",
        ),
        (Component(name="unet", options={"features": [8]}), ConfigError, r"^model\.features: .*2 items"),
        (Component(name="resunet", options={"features": [8, 0]}), ConfigError, r"^model\.features\.1: "),
        (Component(name="math:pi"), ModelError, "needs a class or function, got float"),
    ],
)
def test_wrong_components(component, error, message):
    with pytest.raises(error, match=message):
        build_model(component, 1, 4, (32, 32))


def test_constructor_errors_become_one_line():
    with pytest.raises(ModelError, match=r"^model Sized cannot be built: no luck$"):
        build_model(here("Sized", fails="luck"), 1, 4, (8, 8))
    with pytest.raises(ModelError, match=r"needs to make an nn\.Module, got NotAModule"):
        build_model(here("NotAModule"), 1, 4, (8, 8))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("unet", "unet with 4 poolings needs image sides divisible by 16, got 100 x 96"),
        ("resunet", "resunet with 4 strided units needs image sides divisible by 16, got 100 x 96"),
    ],
)
def test_sizes_that_do_not_divide_are_refused(name, message):
    model = build_model(Component(name=name, options={"features": [1, 1, 1, 1, 1]}), 1, 4, (100, 96))
    with pytest.raises(ModelError, match=f"^{message}$"):
        check_fit(model, 1, 4, (100, 96))


@pytest.mark.parametrize(
    ("how", "size", "message"),
    [
        (
            "pair",
            (8, 8),
            r"^Wrong must return one map of each size, got 8 x 8, 8 x 8: which are the logits\?",
        ),
        ("text", (8, 8), r"^Wrong must return a tensor of logits, got str$"),
        ("coarse", (8, 8), r"^Wrong must map \(2, 1, 8, 8\) to \(2, 4, 8, 8\), got \(2, 4, 4, 4\)$"),
        ("features", (8, 8), r"to \(2, 4, 4, 4\) in training \(level 2\), got \(2, 1, 4, 4\)$"),
        ("training", (8, 8), r"to \(2, 4, 8, 8\) in training \(level 1\), got \(2, 4, 8, 4\)$"),
        ("half", (8, 8), r"^Wrong must map \(2, 1, 8, 8\) to \(2, 4, 8, 8\), got \(2, 4, 8, 4\)$"),
        ("int", (8, 8), r"^Wrong must return float logits, got torch\.bool$"),
        ("raise", (8, 8), r"^Wrong cannot take 1 x 8 x 8 images: shape"),
        ("raise", (8, 6), r"^Wrong needs image sides divisible by 4, got 8 x 6$"),
    ],
)
def test_models_that_do_not_fit(how, size, message):
    model = build_model(here("Wrong", how=how), 1, 4, size)
    with pytest.raises(ModelError, match=message):
        check_fit(model, 1, 4, size)


def test_wrong_channels_are_refused():
    model = build_model(Component(name="unet", options=NARROW), 1, 4, (16, 16))
    with pytest.raises(ModelError, match=r"UNet cannot take 3 x 16 x 16 images: .*1 channels, but got 3"):
        check_fit(model, 3, 4, (16, 16))
    with pytest.raises(ModelError, match=r"to \(2, 2, 16, 16\), got \(2, 4, 16, 16\)"):
        check_fit(model, 1, 2, (16, 16))


def test_a_forward_that_reads_values_is_run_for_real():
    check_fit(build_model(here("Wrong", how="values"), 1, 4, (8, 8)), 1, 4, (8, 8))


def test_check_fit_leaves_the_model_as_it_was():
    model = build_model(Component(name="unet", options=NARROW), 1, 4, (16, 16)).train()
    model.pool.eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    check_fit(model, 1, 4, (16, 16))
    assert model.training
    assert not model.pool.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(not value.is_meta for value in model.state_dict().values())


def test_resolved_options_hold_every_default_and_build_the_same():
    component = Component(name="resunet", options=NARROW)
    options = resolve_options(component)
    assert options["features"] == [2, 4, 8]
    assert options.keys() == MODELS.load("resunet").Config.model_fields.keys()
    assert resolve_options(Component(name="resunet", options=options)) == options


class Shared(nn.Module):
    """Registers a layer under two names, and ties the weights of two others."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.first = nn.Conv2d(in_channels, out_channels, 1)
        self.path = nn.Sequential(self.first, nn.BatchNorm2d(out_channels))
        self.one, self.two = (nn.Conv2d(out_channels, out_channels, 1) for _ in range(2))
        self.two.weight = self.one.weight

    def forward(self, image):
        return self.two(self.one(self.path(image)))


@pytest.mark.parametrize("real", [False, True])
def test_check_fit_leaves_shared_layers_as_they_were(real, monkeypatch):
    model = build_model(here("Shared"), 1, 4, (8, 8))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    count = count_parameters(model)
    if real:  # reading a value makes the meta device impossible
        monkeypatch.setattr(Shared, "forward", lambda self, image: self.path(image) * float(image.sum() >= 0))
    assert check_fit(model, 1, 4, (8, 8)) == ((8, 8),)
    assert count_parameters(model) == count
    assert model.two.weight is model.one.weight
    assert model.path[0].weight is model.first.weight
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_check_fit_draws_nothing_from_the_global_generator():
    model = build_model(Component(name="unet", options=NARROW | {"dropout": 0.5}), 1, 4, (16, 16))
    state = torch.get_rng_state()
    check_fit(model, 1, 4, (16, 16))
    assert torch.equal(torch.get_rng_state(), state)


def test_what_only_fails_in_training_is_found():
    # One pixel is left: instance norm computes it in evaluation only.
    layers = [nn.Conv2d(1, 4, 2, stride=2), nn.InstanceNorm2d(4), nn.Upsample(scale_factor=2)]
    model = nn.Sequential(*layers)
    assert check_fit(model, 1, 4, (4, 4)) == ((4, 4),)
    with pytest.raises(
        ModelError, match=r"cannot take 1 x 2 x 2 images: Expected more than 1 spatial element"
    ):
        check_fit(model, 1, 4, (2, 2))


def test_networks_for_volumes_are_told_apart():
    with pytest.raises(ModelError, match=r"^Sequential is made for volumes \(it has 3-D convolutions\)"):
        check_fit(nn.Sequential(nn.Conv3d(1, 4, 3, padding=1)), 1, 4, (8, 8))


def test_shared_and_frozen_parameters_are_not_counted_twice():
    layer = nn.Linear(3, 3)
    model = nn.Sequential(layer, layer, nn.Linear(3, 1).requires_grad_(False))
    assert count_parameters(model) == 12
