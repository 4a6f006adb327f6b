"""Batch normalisation whose statistics are those of the whole batch, which is spread over processes."""

from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.lazy import LazyModuleMixin

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


class SynchronisedBatchNorm(_BatchNorm):
    """Batch normalisation over all processes, on any device; torch's `nn.SyncBatchNorm` refuses a CPU.

    Takes (B, C, ...). In evaluation, and with one process, it is `nn.BatchNorm2d` to the bit. Processes may have
    batches of different sizes. Gradients of weight and bias are those of this process, for DDP to average.
    Half precision is computed with in float32.
    """

    process_group: "ProcessGroup | None"

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Normalises (B, C, ...); the result has the same shape, type and memory format.

        Raises:
            ValueError: If the input has fewer than two axes.
        """
        self._check_input_dim(input)
        group = self.process_group
        if not self.training or _alone(group):
            return super().forward(input)
        result, mean, variance, count = _Normalise.apply(  # type: ignore[no-untyped-call]
            input, self.weight, self.bias, self.eps, group
        )
        if self.track_running_stats:
            self._track(mean, variance * (count / (count - 1)))
        normalised: Tensor = result
        return normalised

    @torch.no_grad()
    def _track(self, mean: Tensor, unbiased: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = self.momentum
        if share is None:
            share = 1 / float(self.num_batches_tracked)
        self.running_mean.mul_(1 - share).add_(mean.to(self.running_mean.dtype), alpha=share)
        self.running_var.mul_(1 - share).add_(unbiased.to(self.running_var.dtype), alpha=share)

    def _check_input_dim(self, images: Tensor) -> None:
        if images.dim() < 2:
            raise ValueError(f"batch norm needs an input (B, C, ...), got {tuple(images.shape)}")


class _Normalise(torch.autograd.Function):
    """Forward and backward by hand: autograd's would exchange twice on the way back, and keep more."""

    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        eps: float,
        group: "ProcessGroup | None",
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x = images.float() if images.dtype in (torch.float16, torch.bfloat16) else images
        axes = [0, *range(2, x.dim())]
        shape = [1, -1] + [1] * (x.dim() - 2)
        own = x.new_full((1,), x.numel() // x.shape[1])
        sums = _total(torch.cat((x.sum(axes), own)), group)
        mean, count = sums[:-1] / sums[-1], sums[-1]
        centred = x - mean.view(shape)
        # Around the mean over all processes: E[x^2] - E[x]^2 would cancel where the mean is large.
        variance = _total(centred.square().sum(axes), group) / count
        scale = (variance + eps).rsqrt()
        ctx.save_for_backward(centred, scale, count, weight)
        ctx.group, ctx.axes, ctx.shape = group, axes, shape
        result = centred * (scale if weight is None else scale * weight).view(shape)
        if bias is not None:
            result += bias.view(shape)
        ctx.mark_non_differentiable(mean, variance, count)
        return result.to(images.dtype), mean, variance, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        centred, scale, count, weight = ctx.saved_tensors
        g = gradient.to(centred.dtype)
        by_bias = g.sum(ctx.axes)
        by_weight = (g * centred).sum(ctx.axes) * scale
        by_images = None
        if ctx.needs_input_grad[0]:
            shift, slope = (_total(torch.stack((by_bias, by_weight)), ctx.group) / count).unbind()
            slope = slope * scale
            factor = scale if weight is None else scale * weight
            by_images = (g - shift.view(ctx.shape)).addcmul_(centred, slope.view(ctx.shape), value=-1)
            by_images = by_images.mul_(factor.view(ctx.shape)).to(gradient.dtype)
        needs_weight, needs_bias = ctx.needs_input_grad[1:3]
        return by_images, by_weight if needs_weight else None, by_bias if needs_bias else None, None, None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, group: "ProcessGroup | None") -> Tensor:
        ctx.group = group
        return _total(own.clone(memory_format=torch.contiguous_format), group)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _total(gradient.clone(memory_format=torch.contiguous_format), ctx.group), None


def sum_over_processes(own: Tensor, process_group: "ProcessGroup | None" = None) -> Tensor:
    """Returns the sum of a tensor over processes; its gradient is the sum of theirs.

    As `torch.distributed.nn.functional.all_reduce`, which is deprecated. For
    `medseg.losses.reduce.across_processes`.

    Args:
        own: Of the same shape and type in all processes.
        process_group: None: all processes.
    """
    result: Tensor = _Sum.apply(own, process_group)  # type: ignore[no-untyped-call]
    return result


def _total(own: Tensor, group: "ProcessGroup | None") -> Tensor:
    """Sums over the processes, in place."""
    dist.all_reduce(own, group=group)
    return own


def synchronise_batch_norm(model: nn.Module, process_group: "ProcessGroup | None" = None) -> nn.Module:
    """Makes BatchNorm1d, 2d and 3d take their statistics over all processes while training.

    Where the model has parameters or buffers on a GPU it is torch's `nn.SyncBatchNorm` that they become, else
    `SynchronisedBatchNorm`. Parameters, buffers, hooks and the names in the state stay, so an optimizer made
    before remains valid. Call it before DDP. What computes in its own way is left as it is, see `unsynchronised`.

    Args:
        model: Changed in place.
        process_group: Whose statistics; none: all processes.

    Returns:
        The same object.
    """
    tensors = [*model.parameters(), *model.buffers()]
    kind = nn.SyncBatchNorm if any(each.is_cuda for each in tensors) else SynchronisedBatchNorm
    for module in model.modules():
        if _is_plain(module):
            # Not a new module: this one may be held in several places, and by hooks. Torch's lazy ones do so too.
            module.__class__ = kind
            module.process_group = process_group  # type: ignore[assignment]
    return model


def unsynchronised(model: nn.Module) -> list[str]:
    """Returns the names of batch norms that keep to their own process: with a `forward` of their own, or lazy.

    An example is timm's `BatchNormAct2d`, which holds an activation, too.
    """
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) and not isinstance(module, nn.SyncBatchNorm | SynchronisedBatchNorm)
    ]


def _alone(group: "ProcessGroup | None") -> bool:
    return not dist.is_available() or not dist.is_initialized() or dist.get_world_size(group) == 1


def _is_plain(module: nn.Module) -> bool:
    return (
        isinstance(module, _BatchNorm)
        and type(module).forward is _BatchNorm.forward
        and not isinstance(module, LazyModuleMixin)
    )
