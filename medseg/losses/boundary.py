"""Boundary loss."""

from pydantic import Field, model_validator
from torch import Tensor

from medseg.config import search
from medseg.losses.base import SegmentationLoss
from medseg.losses.compound import require_one
from medseg.losses.dice import GeneralisedDiceConfig, generalised_dice
from medseg.losses.distance import signed_distance
from medseg.losses.reduce import activate, class_masks, mean_of_classes, mean_over_batch, region_sums


class BoundaryConfig(GeneralisedDiceConfig):
    """Options of the boundary loss; those of generalised Dice are for that part only."""

    region_weight: float = Field(1.0, ge=0, allow_inf_nan=False, description="Factor of generalised Dice.")
    boundary_weight: float = Field(
        0.01,
        ge=0,
        allow_inf_nan=False,
        description="Factor of the boundary term, which is in pixels.",
        json_schema_extra=search(0.001, 0.1, log=True),
    )

    @model_validator(mode="after")
    def _something(self) -> "BoundaryConfig":
        require_one(self, "region_weight", "boundary_weight")
        return self


class BoundaryLoss(SegmentationLoss):
    """Boundary loss beside generalised Dice: a wrong pixel costs as much as it lies from the true contour.

    ``L = region_weight * GD + boundary_weight * mean_c mean_i phi_c(i) p_ic`` with `GeneralisedDiceLoss`, the
    mean over foreground classes (weighted by `weights`) and pixels, and phi_c the signed distance to the
    contour of class c in pixels, `signed_distance`: negative inside, 0 where a class is absent or fills the
    image. Up to a constant the second term is half the distance between the contours, integrated; it is
    negative for a right answer. Kervadec et al. 2019, "Boundary loss for highly unbalanced segmentation",
    https://arxiv.org/abs/1812.07032, distances and means as in their code. The factor stays at 0.01, where
    they start; that they then raise it by 0.01 an epoch, at the other's cost, a loss cannot know.
    """

    paper = "Kervadec et al. 2019, Boundary loss, https://arxiv.org/abs/1812.07032"
    Config = BoundaryConfig
    config: BoundaryConfig
    bounded = False
    local = False
    exact_across_processes = True

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        """See `SegmentationLoss.compute`."""
        probabilities = activate(logits)
        masks = class_masks(target, valid, logits.shape[1])
        sums = region_sums(probabilities, masks, valid)
        region = generalised_dice(sums, target, valid, self.weights, self.config)
        boundary = self._boundary(probabilities, target, valid)
        return self.config.region_weight * region + self.config.boundary_weight * boundary

    def _boundary(self, probabilities: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        masks, weights = class_masks(target, None, probabilities.shape[1]), self.weights
        if probabilities.shape[1] == 1:
            weights = None
        else:
            masks, probabilities = masks[:, 1:], probabilities[:, 1:]
            weights = None if weights is None else weights[1:]
        sums = (signed_distance(masks, valid).to(probabilities.dtype) * probabilities).sum(dim=(0, 2, 3))
        means = sums / target.numel() if valid is None else mean_over_batch(sums, valid.sum())
        return mean_of_classes(means, weights)
