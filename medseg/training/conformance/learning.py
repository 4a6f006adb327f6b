"""Checks that a model can be trained."""

import torch
from torch import Tensor, nn

from medseg.config import Component
from medseg.losses import build_loss
from medseg.training.conformance.phantoms import phantom_slices
from medseg.training.conformance.subject import Subject, backward, evaluate
from medseg.training.placement import memory_format

ENOUGH_DICE = 0.95
RATES = (1e-2, 1e-3)
STEPS, EVALUATE_EVERY = 500, 10
LARGEST_NORM = 12.0


def gradient(subject: Subject) -> str | None:
    """A finite gradient reaches every trainable parameter."""
    model, images = subject.build(), subject.images()
    _shake(model)
    reached: set[str] = set()
    # In training batch norm cancels the bias before it; in evaluation it does not. Heads of deep supervision have
    # a gradient in training only.
    for training in (True, False):
        model.train(training).zero_grad()
        backward(model(images))
        for name, parameter in model.named_parameters():
            if parameter.grad is None:
                continue
            if not bool(parameter.grad.isfinite().all()):
                return f"gradient of {name} is not finite"
            if bool(parameter.grad.any()):
                reached.add(name)
    missed = [name for name, p in model.named_parameters() if p.requires_grad and name not in reached]
    return f"no gradient reaches {', '.join(missed[:5])} ({len(missed)} in all)" if missed else None


def overfits(subject: Subject) -> str | None:
    """Trained on four slices of generated hearts with Dice plus cross-entropy, it reproduces their labels.

    Adam, at a rate of 0.01 and if that fails 0.001, has 500 steps to reach a mean Dice of 0.95 over the foreground
    labels, in evaluation.
    """
    images, labels = phantom_slices(
        subject.in_channels, subject.out_channels, subject.image_size, subject.seed
    )
    best, at = 0.0, 0
    for rate in RATES:
        reached, step = _train(subject, images, labels, rate)
        if reached >= ENOUGH_DICE:
            return None
        if reached > best:
            best, at = reached, step
    rates = " or ".join(f"{rate:g}" for rate in RATES)
    return (
        f"Dice of four phantom slices must reach {ENOUGH_DICE} within {STEPS} steps of Adam at {rates}, "
        f"got at most {best:.2f} (step {at})"
    )


def _train(subject: Subject, images: Tensor, labels: Tensor, rate: float) -> tuple[float, int]:
    """Returns the best Dice in evaluation, and after how many steps it was reached."""
    model = subject.build()
    layout = memory_format(model, images.device)
    model = model.to(memory_format=layout)  # type: ignore[call-overload]
    images = images.contiguous(memory_format=layout)
    loss = build_loss(Component(name="ce_dice"), subject.out_channels)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    best, at = 0.0, 0
    for step in range(1, STEPS + 1):
        optimizer.zero_grad(set_to_none=True)
        loss(model.train()(images), labels).backward()
        nn.utils.clip_grad_norm_(model.parameters(), LARGEST_NORM)
        optimizer.step()
        if step % EVALUATE_EVERY == 0:
            dice = _dice(evaluate(model, images), labels)
            if dice > best:
                best, at = dice, step
            if best >= ENOUGH_DICE:
                break
    return best, at


def _dice(logits: Tensor, labels: Tensor) -> float:
    """Returns Dice over all pixels, averaged over the foreground labels that occur."""
    predicted = (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(dim=1)
    values = []
    for label in range(1, int(labels.max()) + 1):
        ours, theirs = predicted == label, labels == label
        values.append(2 * int((ours & theirs).sum()) / int(ours.sum() + theirs.sum()))
    return sum(values) / len(values)


def _shake(model: nn.Module) -> None:
    """Moves all weights a little: behind an initial zero, as of a residual branch, no gradient arrives."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
