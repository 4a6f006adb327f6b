"""Which image sizes a model takes: for messages that say what would fit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from medseg.config import Component
from medseg.errors import ModelError
from medseg.models import MODELS
from medseg.models.build import build_model, count_parameters
from medseg.models.fit import Sizes, check_fit
from medseg.models.foreign import takes_image_size
from medseg.models.outputs import OutputError
from medseg.models.soundness import check_numbers

Size = tuple[int, int]
SMALL = (64, 64)
# Vision transformers with weights for one size only.
USUAL_SIDES = (224, 256, 384, 512)
# Halvings, of patches and windows of 1, 3 and 7 pixels.
DIVISORS = tuple(sorted({base << power for base in (1, 3, 7) for power in range(8)} - {1}))


@dataclass(frozen=True)
class Fit:
    """What is known of a model that fits a task.

    Args:
        parameters: Number of trainable parameters.
        levels: Rows and columns of each level of logits in training mode, full resolution first.
    """

    parameters: int
    levels: Sizes


def fit_component(
    component: Component, in_channels: int, out_channels: int, image_size: Sequence[int]
) -> Fit:
    """Builds a model for a task and checks that it fits; of models from elsewhere, that their numbers are sound.

    Raises:
        MedsegError: From `build_model`, `check_fit` and `check_numbers`; where other image sizes would do, the
            message names them.
    """
    size = (int(image_size[0]), int(image_size[1]))
    model: nn.Module | None = None
    try:
        model = build_model(component, in_channels, out_channels, size)
        levels = check_fit(model, in_channels, out_channels, size)
    except OutputError:
        raise
    except ModelError as error:
        search = _Search(component, in_channels, out_channels, model)
        raise ModelError(search.explain(size, str(error))) from error
    if not MODELS.path(component.name).startswith("medseg."):
        check_numbers(
            model, in_channels, _cheap(component, model, in_channels, out_channels, size), component.name
        )
    return Fit(count_parameters(model), levels)


def _cheap(component: Component, model: nn.Module, in_channels: int, out_channels: int, size: Size) -> Size:
    """Returns a small image size that the model takes, or the task's."""
    if max(size) <= max(SMALL) or takes_image_size(MODELS.load(component.name), component.options):
        return size
    try:
        check_fit(model, in_channels, out_channels, SMALL)
    except ModelError:
        return size
    return SMALL


class _Search:
    """Tries image sizes; each is tried once."""

    def __init__(self, component: Component, in_channels: int, out_channels: int, model: nn.Module | None):
        self._component, self._channels, self._model = component, (in_channels, out_channels), model
        self._sized = takes_image_size(MODELS.load(component.name), component.options)
        declared = getattr(model, "size_divisor", None)
        self._declared = declared if isinstance(declared, int) and declared > 0 else 1
        self._known: dict[Size, bool] = {}

    def explain(self, size: Size, problem: str) -> str:
        """Returns a problem with the sizes that would fit, if any; says so where a divisor is behind it."""
        if self._model is None and not self._sized:
            return problem
        self._known[size] = False
        problem = problem.rstrip(".")
        divisor = self._divisor(size)
        if divisor is None:
            square = next((side for side in _squares(size) if self._fits(side)), None)
            return f"{problem}; {_shown(square)} would fit" if square else problem
        fitting = " or ".join(map(_shown, dict.fromkeys(_around(size, divisor))))
        if "image sides divisible" not in problem and self._needs(size, divisor):
            problem = (
                f"{self._component.name} needs image sides divisible by {divisor}, got {size[0]} x {size[1]}"
            )
        return f"{problem}; {fitting} would fit"

    def _divisor(self, size: Size) -> int | None:
        """Returns the smallest number all whose multiples about a size fit, if there is one."""
        blamed = any(side % self._declared for side in size)
        for divisor in (self._declared,) if blamed else DIVISORS:
            lower, upper = _around(size, divisor)
            if all(map(self._fits, (lower, upper, (upper[0] + divisor, upper[1])))):
                return divisor
        return None

    def _fits(self, size: Size) -> bool:
        """Says whether the model takes images of a size."""
        if size not in self._known:
            try:
                check_fit(self._built(size), *self._channels, size)
                self._known[size] = True
            except ModelError:
                self._known[size] = False
        return self._known[size]

    def _needs(self, size: Size, divisor: int) -> bool:
        """Says whether sizes between the multiples fail, too: else the size was only too small."""
        upper = _around(size, divisor)[1]
        half = divisor // 2 if divisor % 2 == 0 else 1
        return any(side % divisor for side in size) and not self._fits((upper[0] + half, upper[1] + half))

    def _built(self, size: Size) -> nn.Module:
        """Builds the model anew where it is made for one image size; on the meta device if it can be."""
        if self._model is not None and not self._sized:
            return self._model
        with torch.random.fork_rng(devices=[]):
            try:
                with torch.device("meta"):
                    return build_model(self._component, *self._channels, size)
            except ModelError:
                return build_model(self._component, *self._channels, size)


def _around(size: Size, divisor: int) -> tuple[Size, Size]:
    """Returns the next smaller and the next larger size whose sides are multiples."""
    lower = [max(divisor, side // divisor * divisor) for side in size]
    upper = [-(-side // divisor) * divisor for side in size]
    return (lower[0], lower[1]), (upper[0], upper[1])


def _squares(size: Size) -> Iterator[Size]:
    """Returns squares near a size, those of large divisors first, and then those that networks are made for."""
    near = [side for divisor in reversed(DIVISORS) for pair in _around(size, divisor) for side in pair]
    sides = [side for side in near if side <= 2 * max(size)]
    yield from ((side, side) for side in dict.fromkeys((*sides, *USUAL_SIDES)))


def _shown(size: Size) -> str:
    return f"{size[0]} x {size[1]}"
