"""What every model must do. Our tests run it over the registry; anyone can run it on their own model."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from medseg.components import CONSTRUCTION_ERRORS, one_line
from medseg.config import Component
from medseg.errors import MedsegError
from medseg.models.build import build_model


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model under test; small images and narrow options keep it fast.

    Args:
        component: Name and options.
        in_channels: Channels of the images.
        out_channels: Channels of the logits in the checks that don't vary them.
        image_size: Rows and columns, a size that the model takes.
        seed: Of weights and images.
    """

    component: Component
    in_channels: int = 1
    out_channels: int = 4
    image_size: tuple[int, int] = (32, 48)
    seed: int = 0

    def build(self, out_channels: int | None = None, seed: int | None = None) -> nn.Module:
        """Builds the model with weights that depend on the seed only."""
        with _seeded(self.seed if seed is None else seed):
            return build_model(
                self.component, self.in_channels, out_channels or self.out_channels, self.image_size
            )

    def images(self, count: int = 2, size: tuple[int, int] | None = None) -> Tensor:
        """Returns standard normal images (count, in_channels, *size)."""
        generator = torch.Generator().manual_seed(self.seed + 1)
        return torch.randn((count, self.in_channels, *(size or self.image_size)), generator=generator)


@dataclass(frozen=True)
class CheckResult:
    """Outcome of one check; `problem` is none where it passed."""

    name: str
    problem: str | None


def run_checks(subject: Subject) -> list[CheckResult]:
    """Runs all checks on a model; a check that cannot be run to its end has failed.

    Global random state is left as it was.

    Raises:
        MedsegError: If the model cannot be built at all.
    """
    subject.build()
    results = []
    for name, check in CHECKS:
        try:
            with _seeded(subject.seed):
                problem = check(subject)
        except (MedsegError, *CONSTRUCTION_ERRORS) as error:
            problem = f"{type(error).__name__}: {one_line(error)}"
        results.append(CheckResult(name, problem))
    return results


def output_shape(subject: Subject) -> str | None:
    """Logits are float (B, out_channels, H, W), for one channel and for several, in both modes."""
    for channels in (1, subject.out_channels):
        model = subject.build(channels)
        for training in (False, True):
            logits = model.train(training)(subject.images())
            expected = (2, channels, *subject.image_size)
            if not isinstance(logits, Tensor):
                return f"must return a tensor, got {type(logits).__name__}"
            if tuple(logits.shape) != expected or not logits.is_floating_point():
                return f"must return float {expected}, got {logits.dtype} {tuple(logits.shape)}"
    return None


def odd_size(subject: Subject) -> str | None:
    """An image size that does not divide is either handled or refused with a message that names it."""
    height, width = subject.image_size[0] + 1, subject.image_size[1] + 1
    model = subject.build().eval()
    try:
        with torch.no_grad():
            logits = model(subject.images(1, (height, width)))
    except (MedsegError, *CONSTRUCTION_ERRORS) as error:
        if str(height) in str(error) and str(width) in str(error):
            return None
        return f"refuses {height} x {width} without naming it: {one_line(error)}"
    shape = tuple(logits.shape)
    return None if shape[2:] == (height, width) else f"maps {height} x {width} to {shape[2:]}"


def gradient(subject: Subject) -> str | None:
    """A finite gradient reaches every trainable parameter."""
    model = subject.build()
    reached: set[str] = set()
    # In training batch norm cancels the bias before it; in evaluation it does not.
    for training in (True, False):
        model.train(training).zero_grad()
        logits = model(subject.images())
        torch.autograd.backward([logits], [torch.randn_like(logits)])
        for name, parameter in model.named_parameters():
            if parameter.grad is None:
                continue
            if not bool(parameter.grad.isfinite().all()):
                return f"gradient of {name} is not finite"
            if bool(parameter.grad.any()):
                reached.add(name)
    missed = [name for name, p in model.named_parameters() if p.requires_grad and name not in reached]
    return f"no gradient reaches {', '.join(missed[:5])} ({len(missed)} in all)" if missed else None


def evaluation_repeats(subject: Subject) -> str | None:
    """In evaluation the same images give the same logits, bit by bit."""
    model, images = subject.build(), subject.images()
    first, second = _logits(model, images), _logits(model, images)
    return None if torch.equal(first, second) else f"differs by {_gap(second, first):.1e} from call to call"


def samples_independent(subject: Subject) -> str | None:
    """In evaluation an image's logits don't depend on what else is in the batch."""
    model, images = subject.build(), subject.images()
    alone = _logits(model, images[:1])
    for other in (images[1:], 10 * images[1:] + 5):
        gap = _gap(_logits(model, torch.cat((images[:1], other)))[:1], alone)
        if gap > 1e-4:
            return f"an image's logits change by {gap:.1e} of their size with the rest of the batch"
    return None


def state_round_trip(subject: Subject) -> str | None:
    """Saved weights, loaded into a model with other weights, give the same logits."""
    model, images = subject.build(), subject.images()
    model.train()(images)  # moves running statistics away from their start
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = subject.build(seed=subject.seed + 1)
    other.load_state_dict(torch.load(file, weights_only=True))
    gap = _gap(_logits(other, images), _logits(model, images))
    return None if gap == 0 else f"logits differ by {gap:.1e} of their size after loading the weights"


def bfloat16(subject: Subject) -> str | None:
    """Under bfloat16 autocast logits are finite and close to those of float32."""
    model, images = subject.build(), subject.images()
    with torch.autocast("cpu", torch.bfloat16):
        low = _logits(model, images).float()
    if not bool(low.isfinite().all()):
        return "logits are not finite"
    gap = _gap(low, _logits(model, images))
    return None if gap < 0.1 else f"logits differ by {gap:.1e} of their size from float32"


def channels_last(subject: Subject) -> str | None:
    """Memory format channels_last changes no numbers beyond rounding."""
    images = subject.images()
    plain = _logits(subject.build(), images)
    model: nn.Module = subject.build().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    gap = _gap(_logits(model, images.contiguous(memory_format=torch.channels_last)), plain)
    return None if gap < 1e-4 else f"logits differ by {gap:.1e} of their size"


CHECKS: tuple[tuple[str, Callable[[Subject], str | None]], ...] = (
    ("output_shape", output_shape),
    ("odd_size", odd_size),
    ("gradient", gradient),
    ("evaluation_repeats", evaluation_repeats),
    ("samples_independent", samples_independent),
    ("state_round_trip", state_round_trip),
    ("bfloat16", bfloat16),
    ("channels_last", channels_last),
)


def _logits(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model.eval()(images)
    return logits


def _gap(value: Tensor, reference: Tensor) -> float:
    """Returns |value - reference| / |reference|, Euclidean."""
    size = torch.linalg.vector_norm(reference.double())
    return float(torch.linalg.vector_norm(value.double() - reference.double()) / size.clamp_min(1e-12))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
