"""Strengths and probabilities of the augmentation. Imports no torch."""

from collections.abc import Callable
from typing import Any

from pydantic import Field, model_validator

from medseg.config import Config
from medseg.errors import did_you_mean


def _p(default: float, of: str = "a sample") -> float:
    """Returns the field of a probability."""
    field: float = Field(default, ge=0, le=1, description=f"Probability that {of} gets it.")
    return field


class AugmentConfig(Config):
    """Image and mask always move by the same sampling grid; the mask is never touched otherwise.

    The kinds act in the order of the fields. A strength at its identity (0, or 1 for the factors) or a probability
    of 0 turns a kind off. Intensities are those of the prepared images: about zero mean and unit SD. The defaults
    are a gentler version of nnU-Net's set of 2D transforms, which `nnunet` returns (Isensee et al., Nat Methods
    2021, https://doi.org/10.1038/s41592-020-01008-z).

    `preset: NAME` may stand beside the fields and sets what is not written: "gentle" (the defaults), "nnunet" or
    "off". It is a shorthand, not a field.
    """

    elastic: float = Field(
        0.2,
        ge=0,
        le=0.48,
        description="Largest shift of a control point, in shares of their spacing. Up to 0.48 nothing folds "
        "(Choi and Lee, Graphical Models 2000).",
    )
    elastic_cells: int = Field(5, ge=1, le=32, description="Cells of the control grid along each axis.")
    elastic_p: float = _p(0.0)
    rotation_deg: float = Field(20.0, ge=0, le=180, description="Largest rotation either way, degrees.")
    rotation_p: float = _p(0.3)
    scale_low: float = Field(
        0.8, ge=0.1, le=1, description="Smallest step of the sampling grid, pixels: 0.8 enlarges by 1/0.8."
    )
    scale_high: float = Field(
        1.25, ge=1, le=10, description="Largest step of the sampling grid, pixels: 1.25 shrinks by 1/1.25."
    )
    scale_p: float = _p(0.3)
    flip: bool = Field(True, description="Mirror along the axes that the task allows.")
    flip_p: float = _p(0.5, "each of these axes")
    noise: float = Field(
        0.1, ge=0, le=2, description="Largest SD of Gaussian noise, drawn from 0; in image SDs."
    )
    noise_p: float = _p(0.15)
    blur_px: float = Field(
        1.0, ge=0, le=8, description="Largest SD of a Gaussian blur, drawn from half of it per axis; pixels."
    )
    blur_p: float = _p(0.1)
    blur_channel_p: float = _p(1.0, "a channel of such a sample")
    brightness: float = Field(0.2, ge=0, lt=1, description="Factor of all values, drawn from 1 -/+ this.")
    brightness_p: float = _p(0.15)
    contrast: float = Field(
        0.2, ge=0, lt=1, description="Factor about the mean, drawn from 1 -/+ this; clipped to the old range."
    )
    contrast_p: float = _p(0.15)
    low_resolution: float = Field(
        0.5, gt=0, le=1, description="Smallest share of rows and columns that is kept, drawn up to 1."
    )
    low_resolution_p: float = _p(0.1)
    low_resolution_channel_p: float = _p(1.0, "a channel of such a sample")
    gamma_low: float = Field(
        0.8, gt=0, le=1, description="Smallest exponent; half of the draws lie below 1. Mean and SD are kept."
    )
    gamma_high: float = Field(
        1.25, ge=1, le=10, description="Largest exponent; half of the draws lie above 1."
    )
    gamma_inverted_p: float = _p(0.0, "a sample, turned to its negative meanwhile,")
    gamma_p: float = _p(0.2)

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "preset" not in values:
            return values
        given = dict(values)
        name = given.pop("preset")
        presets: dict[Any, Callable[[], AugmentConfig]] = {
            "gentle": cls,
            "nnunet": cls.nnunet,
            "off": cls.off,
        }
        if name not in presets:
            raise ValueError(f"preset: unknown preset {name!r}{did_you_mean(str(name), presets)}")
        return {**vars(presets[name]()), **given}

    @classmethod
    def nnunet(cls) -> "AugmentConfig":
        """Returns nnU-Net's default 2D set.

        As in batchgeneratorsv2 the 0.1 of the noise is its SD, though the parameter is called a variance there.
        """
        return cls(
            rotation_deg=180,
            rotation_p=0.2,
            scale_low=0.7,
            scale_high=1.4,
            scale_p=0.2,
            noise=0.1,
            noise_p=0.1,
            blur_px=1,
            blur_p=0.2,
            blur_channel_p=0.5,
            brightness=0.25,
            brightness_p=0.15,
            contrast=0.25,
            contrast_p=0.15,
            low_resolution=0.5,
            low_resolution_p=0.25,
            low_resolution_channel_p=0.5,
            gamma_low=0.7,
            gamma_high=1.5,
            gamma_inverted_p=0.1,
            gamma_p=0.3,
        )

    @classmethod
    def off(cls) -> "AugmentConfig":
        """Returns the setting that changes nothing."""
        chances = {name: 0.0 for name in cls.model_fields if name.endswith("_p")}
        return cls().model_copy(update=chances)
