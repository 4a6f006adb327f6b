"""Checks that the numbers depend on weights and image alone: not on company, storage, layout or compiler."""

import io
import warnings

import torch
from torch import Tensor, nn

from medseg.errors import ModelError
from medseg.models.soundness import check_numbers
from medseg.training.conformance.subject import Subject, backward, evaluate, gap

TOLERANCE = 1e-4


def logits(subject: Subject) -> str | None:
    """What comes out is finite, depends on parameters, and is no probability, in evaluation and in training."""
    for channels in (1, subject.out_channels):
        try:
            check_numbers(subject.build(channels), subject.in_channels, subject.image_size, "the model")
        except ModelError as error:
            return str(error)
    return None


def evaluation_repeats(subject: Subject) -> str | None:
    """In evaluation the same images give the same logits, bit by bit."""
    model, images = subject.build(), subject.images()
    first, second = evaluate(model, images), evaluate(model, images)
    return None if torch.equal(first, second) else f"differs by {gap(second, first):.1e} from call to call"


def samples_independent(subject: Subject) -> str | None:
    """In evaluation an image's logits don't depend on what else is in the batch."""
    model, images = subject.build(), subject.images()
    alone = evaluate(model, images[:1])
    for other in (images[1:], 10 * images[1:] + 5):
        apart = gap(evaluate(model, torch.cat((images[:1], other)))[:1], alone)
        if not apart <= TOLERANCE:
            return f"an image's logits change by {apart:.1e} of their size with the rest of the batch"
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
    apart = gap(evaluate(other, images), evaluate(model, images))
    return None if apart == 0 else f"logits differ by {apart:.1e} of their size after loading the weights"


def bfloat16(subject: Subject) -> str | None:
    """Under bfloat16 autocast logits are finite and close to those of float32, and so are gradients finite."""
    model, images = subject.build(), subject.images()
    with torch.autocast("cpu", torch.bfloat16):
        low = evaluate(model, images).float()
    if not bool(low.isfinite().all()):
        return "logits are not finite"
    apart = gap(low, evaluate(model, images))
    if not apart < 0.1:
        return f"logits differ by {apart:.1e} of their size from float32"
    with torch.autocast("cpu", torch.bfloat16):
        output = model.train()(images)
    backward(output)
    bad = [n for n, p in model.named_parameters() if p.grad is not None and not bool(p.grad.isfinite().all())]
    return f"gradient of {bad[0]} is not finite" if bad else None


def channels_last(subject: Subject) -> str | None:
    """Memory format channels_last changes no numbers beyond rounding."""
    images = subject.images()
    plain = evaluate(subject.build(), images)
    model: nn.Module = subject.build().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    # In evaluation only: torch's CPU build can crash in the backward pass, see `medseg.training.loop`.
    apart = gap(evaluate(model, images.contiguous(memory_format=torch.channels_last)), plain)
    return None if apart <= TOLERANCE else f"logits differ by {apart:.1e} of their size"


def compiles(subject: Subject) -> str | None:
    """`torch.compile` takes the model: in evaluation with the same logits, in training with a gradient."""
    with warnings.catch_warnings():
        # Torch's compiler warns of torch itself; where warnings are errors no model would pass.
        warnings.simplefilter("ignore")
        try:
            return _compiles(subject, subject.compile_backend)
        except RuntimeError:  # of which torch's compilers' errors are
            if subject.compile_backend != "inductor" or _inductor_works():
                raise
        return _compiles(subject, "aot_eager")


def _compiles(subject: Subject, backend: str) -> str | None:
    model, images = subject.build(), subject.images()
    plain = evaluate(model, images)
    try:
        apart = gap(evaluate(_compiled(model, backend), images), plain)
        if not apart <= TOLERANCE:
            return f"logits differ by {apart:.1e} of their size from those without"
        # What training needs of the model is a graph that can be taken backwards; to make code of it as well
        # would take minutes.
        backward(_compiled(model, "aot_eager").train()(images))
    finally:
        torch.compiler.reset()
    trained = [p for p in model.parameters() if p.requires_grad]
    if trained and not any(p.grad is not None and bool(p.grad.any()) for p in trained):
        return "no gradient reaches any parameter when compiled"
    return None


def _compiled(model: nn.Module, backend: str) -> nn.Module:
    torch.compiler.reset()
    compiled: nn.Module = torch.compile(model, backend=backend)  # type: ignore[assignment]
    return compiled


def _inductor_works() -> bool:
    """Says whether the default compiler can compile anything at all here; it needs a C++ compiler."""

    def double(x: Tensor) -> Tensor:
        return x.sin() * 2

    try:
        torch.compile(double, backend="inductor")(torch.ones(8))
    except RuntimeError:
        return False
    return True
