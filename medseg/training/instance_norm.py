"""Instance norm for channels_last on a CPU, where torch's own copies its input to another layout and back, twice."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class ChannelsLastInstanceNorm2d(nn.InstanceNorm2d):
    """`nn.InstanceNorm2d` without running statistics; the same weights, names and values up to rounding.

    What is not float32 in channels_last on a CPU goes torch's way.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Normalises each channel of each image, (N, C, H, W)."""
        fast = (
            input.ndim == 4
            and input.device.type == "cpu"
            and input.dtype == torch.float32
            and input.is_contiguous(memory_format=torch.channels_last)
            and not torch.is_autocast_enabled("cpu")
            and not torch.compiler.is_compiling()
            and input.shape[2] * input.shape[3] > 1
        )
        if not fast:
            return super().forward(input)
        result: Tensor = _InstanceNorm.apply(input, self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
        return result


def speed_up_instance_norm(model: nn.Module) -> nn.Module:
    """Exchanges the class of the model's instance norms, in place; weights, hooks and names stay.

    Those with running statistics, and subclasses, keep theirs.

    Returns:
        The same model.
    """
    for module in model.modules():
        if type(module) is nn.InstanceNorm2d and not module.track_running_stats:
            module.__class__ = ChannelsLastInstanceNorm2d
    return model


class _InstanceNorm(torch.autograd.Function):
    """An image at a time, which stays in the cache and is (pixels, channels) in memory.

    With x' = (x - mean) / sd over the M pixels of a channel and w its weight, the gradient of x is
    ``w / sd (g - sum(g) / M - x' sum(g x') / M)``.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
        result = torch.empty_like(x)
        means, scales = x.new_empty((2, *x.shape[:2]))
        for mean, scale, xs, out in zip(means, scales, *_images(x, result), strict=True):
            torch.mean(xs, dim=0, out=mean)
            # Of what is centred: E[x^2] - E[x]^2 would cancel.
            centred = torch.sub(xs, mean, out=out)
            torch.rsqrt((centred * centred).mean(dim=0) + eps, out=scale)
            centred *= scale if weight is None else scale * weight
            if bias is not None:
                centred += bias
        ctx.save_for_backward(x, weight, means, scales)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, means, scales = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        result = torch.empty_like(x)
        pixels = x.shape[2] * x.shape[3]
        sums_g, sums_gx = x.new_empty((2, *x.shape[:2]))
        rows = zip(means, scales, sums_g, sums_gx, *_images(x, gradient, result), strict=True)
        for mean, scale, sum_g, sum_gx, xs, gs, out in rows:
            centred = torch.sub(xs, mean, out=out)
            torch.sum(gs, dim=0, out=sum_g)
            torch.sum(gs * centred, dim=0, out=sum_gx)
            sum_gx *= scale
            factor = scale if weight is None else scale * weight
            centred *= -factor * scale * sum_gx / pixels
            centred -= factor * sum_g / pixels
            torch.addcmul(centred, gs, factor, out=out)
        if weight is None:
            return result, None, None, None
        return result, sums_gx.sum(dim=0), sums_g.sum(dim=0), None


def _images(*tensors: Tensor) -> list[Tensor]:
    """Returns views (N, pixels, channels) of tensors (N, C, H, W) in channels_last."""
    return [each.permute(0, 2, 3, 1).flatten(1, 2) for each in tensors]
