"""Batch norm, and losses, over two real processes: what one process with the whole batch gets."""

import os
import subprocess
import sys
import warnings
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from medseg.config import Component
from medseg.losses import LOSSES, build_loss
from medseg.losses.reduce import across_processes
from medseg.training.sync_norm import (
    SynchronisedBatchNorm,
    sum_over_processes,
    synchronise_batch_norm,
    unsynchronised,
)

PROCESSES = 2
NORMS = {
    "1d": (nn.BatchNorm1d, (6, 3), {}),
    "1d and an axis": (nn.BatchNorm1d, (4, 3, 5), {}),
    "2d": (nn.BatchNorm2d, (4, 3, 5, 6), {}),
    "2d float32": (nn.BatchNorm2d, (4, 3, 5, 6), {}),
    "2d channels last": (nn.BatchNorm2d, (4, 3, 5, 6), {}),
    "2d uneven": (nn.BatchNorm2d, (5, 3, 4, 4), {}),
    "2d far from 0": (nn.BatchNorm2d, (4, 3, 5, 6), {}),
    "2d bfloat16": (nn.BatchNorm2d, (4, 3, 5, 6), {}),
    "3d": (nn.BatchNorm3d, (4, 2, 3, 4, 5), {}),
    "no momentum": (nn.BatchNorm2d, (4, 3, 5, 6), {"momentum": None}),
    "not affine": (nn.BatchNorm2d, (4, 3, 5, 6), {"affine": False}),
    "not tracked": (nn.BatchNorm2d, (4, 3, 5, 6), {"track_running_stats": False}),
    "no bias": (nn.BatchNorm2d, (4, 3, 5, 6), {"bias": False}),
}
DTYPES = {"2d bfloat16": torch.bfloat16, "2d far from 0": torch.float32, "2d float32": torch.float32}
LOSS_OPTIONS = {"lovasz": {"per_image": True}, "topk_ce": {"fraction": 1}}
LOSS_CASES = [
    (name, channels, setting, dtype)
    for name in LOSSES.names()
    for channels, setting, dtype in (
        (3, "plain", torch.float64),
        (3, "all", torch.float64),
        (3, "all", torch.float32),
        (1, "all", torch.float32),
    )
]


def rows(size, rank):
    """Of a size that is odd the first process gets one more."""
    first = (size + 1) // PROCESSES
    return slice(0, first) if rank == 0 else slice(first, size)


def norm_and_inputs(case):
    """Returns a batch norm, and inputs and gradients of two steps on the whole batch."""
    kind, size, options = NORMS[case]
    generator = torch.Generator().manual_seed(len(case))
    dtype = DTYPES.get(case, torch.float64)
    norm = kind(size[1], dtype=torch.float32 if dtype == torch.bfloat16 else dtype, **options)
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.copy_(torch.rand(size[1], generator=generator) + 0.5)
    shift = 1e4 if case == "2d far from 0" else 0.5
    steps = [torch.randn(2, *size, generator=generator, dtype=torch.float64) for _ in range(2)]
    steps = [(x + shift, g) for x, g in steps]
    if case == "2d channels last":
        steps = [[each.to(memory_format=torch.channels_last) for each in step] for step in steps]
    return norm, [[each.to(dtype) for each in step] for step in steps]


def run_norm(norm, steps):
    """Trains two steps; returns all that came of it."""
    found = {}
    for number, (x, gradient) in enumerate(steps):
        x = x.detach().clone().requires_grad_()
        y = norm(x)
        y.backward(gradient)
        found[f"output {number}"], found[f"by input {number}"] = y.detach(), x.grad
    found |= {f"by {name}": parameter.grad for name, parameter in norm.named_parameters()}
    return found | dict(norm.named_buffers())


def loss_and_inputs(name, channels, setting, dtype):
    generator = torch.Generator().manual_seed(channels)
    options = dict(LOSS_OPTIONS.get(name, {}))
    size = (4, 8, 6)
    logits = 2 * torch.randn(4, channels, 8, 6, generator=generator, dtype=dtype)
    target = torch.randint(0, max(channels, 2), size, generator=generator)
    levels = [logits]
    if setting == "all":
        options |= {"weights": [1.0, 3.0, 0.5][: max(channels, 2)], "ignore_label": 255}
        target[0], target[1, :3], target[2, 5:] = 255, 255, 255
        levels += [logits[..., ::2, ::2], logits[..., ::4, ::4]]
    return build_loss(Component(name=name, options=options), channels), levels, target


def run_loss(function, levels, target):
    levels = [level.detach().clone().requires_grad_() for level in levels]
    value = function(levels, target)
    value.backward()
    return [value.detach(), *(level.grad for level in levels)]


def network():
    torch.manual_seed(0)
    middle = nn.BatchNorm2d(6)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), middle, nn.ReLU(), nn.Conv2d(6, 6, 1), middle, nn.Conv2d(6, 3, 1)
    ).double()


def train(model, part):
    """Three steps of SGD on a loss whose pixels differ in weight; returns the state and the last loss."""
    function, _, target = loss_and_inputs("ce_dice", 3, "all", torch.float64)
    images = torch.randn(4, 1, 8, 6, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(3):
        value = function(model(images[part]), target[part])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return value.detach()


def child(rank, folder):
    """What one of the processes does."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=(folder / "meet").as_uri(),
        rank=rank,
        world_size=PROCESSES,
        timeout=timedelta(seconds=60),
    )
    found = {}
    for case in NORMS:
        norm, steps = norm_and_inputs(case)
        part = rows(len(steps[0][0]), rank)
        found[case] = run_norm(synchronise_batch_norm(norm), [(x[part], g[part]) for x, g in steps])
    with across_processes(sum_over_processes):
        for case in LOSS_CASES:
            function, levels, target = loss_and_inputs(*case)
            part = rows(len(target), rank)
            found[case] = run_loss(function, [level[part] for level in levels], target[part])
        model = synchronise_batch_norm(network())
        found["value"] = train(nn.parallel.DistributedDataParallel(model), rows(4, rank))
    found["state"] = model.state_dict()
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each process got."""
    folder = tmp_path_factory.mktemp("processes")
    root = Path(__file__).parents[3]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    children = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), str(folder)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(PROCESSES)
    ]
    try:
        said = [child.communicate(timeout=120)[0] for child in children]
    finally:
        for each in children:
            each.kill()
    assert [child.returncode for child in children] == [0] * PROCESSES, "\n".join(said)
    assert not any(said)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(PROCESSES)]


def assert_near(result, expected, exact=1e-10):
    tolerance = {torch.float64: exact, torch.float32: 1e-6, torch.bfloat16: 1e-2}[expected.dtype]
    torch.testing.assert_close(result, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", NORMS)
def test_norm_of_processes_is_that_of_the_whole_batch(case, found):
    expected = run_norm(*norm_and_inputs(case))
    for name, value in expected.items():
        parts = [each[case][name] for each in found]
        if name.startswith(("output", "by input")):
            result = torch.cat(parts)
        elif name.startswith("by"):
            result = sum(parts)
        else:
            assert torch.equal(*parts)
            result = parts[0]
        if case == "2d far from 0":
            # A difference of 1e4 in float32 has 1e-3 left; sums of squares would have nothing.
            torch.testing.assert_close(result, value, rtol=2e-3, atol=2e-3)
        elif value.dtype == torch.int64:
            assert result == value
        else:
            assert_near(result, value)


def test_norm_keeps_the_memory_format(found):
    for each in found:
        for name in ("output 0", "by input 0"):
            assert each["2d channels last"][name].is_contiguous(memory_format=torch.channels_last)
            assert each["2d"][name].is_contiguous()


@pytest.mark.parametrize("case", LOSS_CASES, ids=str)
def test_loss_of_processes_is_that_of_the_whole_batch(case, found):
    function, levels, target = loss_and_inputs(*case)
    assert function.exact_across_processes
    value, *gradients = run_loss(function, levels, target)
    first, second = (each[case] for each in found)
    assert_near((first[0] + second[0]) / PROCESSES, value)
    for a, b, gradient in zip(first[1:], second[1:], gradients, strict=True):
        # DDP takes the mean over processes of what parameters get; those of an image come from one.
        assert_near(torch.cat((a, b)) / PROCESSES, gradient)


def test_training_is_that_of_one_process(found):
    """With DDP, and a norm that is used twice."""
    model = network()
    value = train(model, slice(None))
    assert_near(sum(each["value"] for each in found) / PROCESSES, value)
    for each in found:
        assert each["state"].keys() == model.state_dict().keys()
        for name, expected in model.state_dict().items():
            assert_near(each["state"][name].double(), expected.double())


@pytest.fixture
def before_and_after():
    before = network()
    before(torch.randn(2, 1, 8, 6, dtype=torch.float64))
    after = network()
    after.load_state_dict(before.state_dict())
    return before, after


def test_it_changes_in_place_and_keeps_what_others_hold(before_and_after):
    before, after = before_and_after
    parameters, norm = list(after.parameters()), after[1]
    seen = []
    norm.register_forward_hook(lambda *_: seen.append(1))
    assert synchronise_batch_norm(after) is after
    assert synchronise_batch_norm(norm) is norm is after[1] is after[4]
    assert isinstance(norm, SynchronisedBatchNorm)
    assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
    assert all(a is b for a, b in zip(after.parameters(), parameters, strict=True))
    expected = before.state_dict()
    assert after.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in after.state_dict().items())
    after(torch.randn(2, 1, 8, 6, dtype=torch.float64))
    assert len(seen) == 2


def test_evaluation_and_one_process_are_as_before_to_the_bit(before_and_after):
    before, after = before_and_after
    synchronise_batch_norm(after)
    images = torch.randn(2, 1, 8, 6, dtype=torch.float64)
    for training in (False, True):
        assert torch.equal(before.train(training)(images), after.train(training)(images))
    assert all(map(torch.equal, before.state_dict().values(), after.state_dict().values()))


class WithActivation(nn.BatchNorm2d):
    """As timm's."""

    def forward(self, input):  # noqa: A002
        return super().forward(input).relu()


class Renamed(nn.BatchNorm2d):
    """One that computes as its parent."""


def test_what_computes_in_its_own_way_is_left_and_named():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lazy modules are a feature under development.
        lazy = nn.LazyBatchNorm2d()
    parts = {"own": WithActivation(3), "lazy": lazy, "child": Renamed(3), "instance": nn.InstanceNorm2d(3)}
    model = synchronise_batch_norm(nn.ModuleDict(parts))
    assert {name: type(part) for name, part in model.items()} == {
        "own": WithActivation,
        "lazy": nn.LazyBatchNorm2d,
        "child": SynchronisedBatchNorm,
        "instance": nn.InstanceNorm2d,
    }
    assert unsynchronised(model) == ["own", "lazy"]


def test_wrong_input_is_named():
    norm = synchronise_batch_norm(nn.BatchNorm2d(3))
    with pytest.raises(ValueError, match=r"needs an input \(B, C, \.\.\.\), got \(3,\)"):
        norm(torch.zeros(3))


@pytest.mark.gpu
def test_on_a_gpu_it_is_torchs():
    model = synchronise_batch_norm(nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, affine=False)).cuda())
    assert type(model[1]) is nn.SyncBatchNorm
    assert not unsynchronised(model)
    assert model(torch.zeros(2, 1, 4, 4, device="cuda")).shape == (2, 2, 4, 4)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        child(int(sys.argv[1]), Path(sys.argv[2]))
