import torch
from torch import nn

from medseg.training.config import TrainConfig
from medseg.training.placement import COMPILE_PAYS_AFTER, compiles, memory_format, why_compiled

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_channels_last_except_where_torch_would_crash():
    assert memory_format(nn.Conv2d(8, 16, 3, stride=2), CPU) == torch.channels_last
    assert memory_format(nn.Conv2d(64, 64, 1, stride=2), CPU) == torch.channels_last
    risky = nn.Sequential(nn.Conv2d(8, 16, 1, stride=2))
    assert memory_format(risky, CPU) == torch.contiguous_format
    assert memory_format(risky, CUDA) == torch.channels_last


def test_instance_norms_in_half_precision_keep_the_default_layout_on_a_cpu():
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.InstanceNorm2d(8))
    assert memory_format(model, CPU, "fp32") == torch.channels_last
    assert memory_format(model, CPU, "bf16") == torch.contiguous_format
    assert memory_format(model, CUDA, "bf16") == torch.channels_last
    assert memory_format(nn.BatchNorm2d(8), CPU, "bf16") == torch.channels_last


def test_compiling_depends_on_device_and_steps():
    long = TrainConfig(epochs=COMPILE_PAYS_AFTER // 50, steps_per_epoch=50)
    short = TrainConfig(epochs=COMPILE_PAYS_AFTER // 50 - 1, steps_per_epoch=50)
    assert compiles(long, CUDA)
    assert not compiles(short, CUDA)
    assert not compiles(long, CPU)
    assert compiles(short.model_copy(update={"compile": "on"}), CPU)
    assert not compiles(long.model_copy(update={"compile": "off"}), CUDA)


def test_the_reason_is_said():
    short, long = TrainConfig(epochs=1), TrainConfig(epochs=10**4)
    assert why_compiled(short, CUDA) == "not compiled: 50 steps are fewer than the 5000 after which it pays"
    assert why_compiled(long, CUDA) == "compiled: 500000 steps are at least the 5000 after which it pays"
    assert why_compiled(long, CPU) == "not compiled: on a cpu it is off by default"
    assert why_compiled(TrainConfig(compile="on"), CPU) == "compiled: compile is on"
