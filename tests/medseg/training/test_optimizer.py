import copy

import pytest
import torch
from torch import nn

from medseg.training.config import TrainConfig
from medseg.training.optimizer import WeightAverage, make_optimizer


def steps(model, optimizer, count=5):
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        model(torch.randn(4, 3, 8, 8, generator=generator)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize(
    ("values", "reference"),
    [
        (
            {"optimizer": "adam", "learning_rate": 0.01, "weight_decay": 0.1, "beta1": 0.8, "beta2": 0.9},
            lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1, betas=(0.8, 0.9)),
        ),
        (
            {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.1},
            lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
        ),
        (
            {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.99, "weight_decay": 3e-5},
            lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.99, nesterov=True, weight_decay=3e-5),
        ),
        (
            {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.0},
            lambda p: torch.optim.SGD(p, lr=0.1),
        ),
    ],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_fused_optimisers_are_torchs(values, reference, layout):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 2, 1)).to(memory_format=layout)
    other = copy.deepcopy(model)
    ours = make_optimizer(model, TrainConfig(**values))
    assert ours.defaults["fused"]
    expected = steps(other, reference(other.parameters()))
    torch.testing.assert_close(steps(model, ours), expected, rtol=1e-5, atol=1e-6)


def test_a_first_step_that_fp16_skips_leaves_no_garbage_as_momentum():
    # As GradScaler tells a fused optimiser that gradients overflowed.
    model = nn.Linear(3, 1, bias=False)
    before = model.weight.detach().clone()
    optimizer = make_optimizer(model, TrainConfig(optimizer="sgd", momentum=0.9, learning_rate=0.1))
    optimizer.grad_scale, optimizer.found_inf = torch.ones(()), torch.ones(())
    model.weight.grad = torch.full((1, 3), torch.inf)
    optimizer.step()
    assert torch.equal(model.weight, before)
    optimizer.grad_scale, optimizer.found_inf = torch.ones(()), torch.zeros(())
    model.weight.grad = torch.ones(1, 3)
    optimizer.step()
    torch.testing.assert_close(model.weight.detach(), before - 0.1 * 1.9)


def test_frozen_parameters_are_left_out():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    optimizer = make_optimizer(model, TrainConfig())
    assert len(optimizer.param_groups[0]["params"]) == 2


def test_the_average_follows_its_formula():
    average = WeightAverage({"w": torch.tensor([1.0]), "n": torch.tensor(3)}, decay=0.5)
    expected = 1.0
    for step, value in enumerate((2.0, 4.0, 8.0, 16.0)):
        average.update({"w": torch.tensor([value]), "n": torch.tensor(step)}, step)
        keep = min(0.5, (1 + step) / (10 + step))
        expected = keep * expected + (1 - keep) * value
        assert average.weights["w"].item() == pytest.approx(expected)
    assert average.weights["n"].item() == 3


def test_the_average_is_a_copy():
    weight = torch.tensor([1.0])
    average = WeightAverage({"w": weight}, decay=0.9)
    weight.fill_(5.0)
    assert average.weights["w"].item() == 1.0
