import copy

import pytest
import torch
from torch import nn

from medseg.training import instance_norm
from medseg.training.instance_norm import ChannelsLastInstanceNorm2d, speed_up_instance_norm


def images(shape=(3, 5, 6, 7), dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(shape, generator=generator, dtype=torch.float64) * 3 + 2
    return values.to(dtype).contiguous(memory_format=torch.channels_last)


def results(norm, inputs, gradient):
    inputs = inputs.clone(memory_format=torch.preserve_format).requires_grad_()
    norm.zero_grad()
    output = norm(inputs)
    output.backward(gradient)
    return [output.detach(), inputs.grad, *(parameter.grad for parameter in norm.parameters())]


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(3, 5, 6, 7), (1, 1, 2, 1), (2, 64, 16, 16)])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_values_and_gradients_are_those_of_instance_norm(affine, shape, layout):
    torch.manual_seed(0)
    norm = nn.InstanceNorm2d(shape[1], affine=affine)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    gradient = images(shape, torch.float32, seed=1).contiguous(memory_format=layout)
    exact = results(copy.deepcopy(norm).double(), images(shape), gradient.double())
    ours = results(speed_up_instance_norm(norm), images(shape, torch.float32), gradient)
    for one, other in zip(ours, exact, strict=True):
        torch.testing.assert_close(one, other.float(), rtol=1e-5, atol=2e-5)
    assert ours[0].is_contiguous(memory_format=torch.channels_last)


def test_a_large_mean_does_not_cancel():
    inputs = images(dtype=torch.float32) + 1000
    norm = speed_up_instance_norm(nn.InstanceNorm2d(5))
    expected = nn.InstanceNorm2d(5)(inputs.double()).float()
    torch.testing.assert_close(norm(inputs), expected, rtol=1e-3, atol=1e-3)


def test_weights_names_and_hooks_stay():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.InstanceNorm2d(4, affine=True))
    names, parameters = list(model.state_dict()), list(model.parameters())
    assert speed_up_instance_norm(model) is model
    assert type(model[1]) is ChannelsLastInstanceNorm2d
    assert list(model.state_dict()) == names
    assert all(one is other for one, other in zip(model.parameters(), parameters, strict=True))


def test_other_norms_keep_their_class():
    class Own(nn.InstanceNorm2d):
        pass

    model = nn.Sequential(nn.InstanceNorm2d(4, track_running_stats=True), Own(4), nn.BatchNorm2d(4))
    classes = [type(module) for module in model]
    assert [type(module) for module in speed_up_instance_norm(model)] == classes


@pytest.mark.parametrize(
    "inputs",
    [
        images(dtype=torch.float32).contiguous(),
        images(dtype=torch.bfloat16),
        images(),
        images((1, 5, 1, 1), torch.float32),
    ],
)
def test_everything_else_goes_torchs_way(inputs, monkeypatch):
    def never(*arguments):
        raise AssertionError("not for this")

    monkeypatch.setattr(instance_norm._InstanceNorm, "apply", never)
    norm = nn.InstanceNorm2d(5).to(inputs.dtype)
    if inputs.shape[2:] == (1, 1):
        with pytest.raises(ValueError, match="more than 1 spatial element"):
            speed_up_instance_norm(norm)(inputs)
        return
    expected = norm(inputs)
    assert torch.equal(speed_up_instance_norm(norm)(inputs), expected)
