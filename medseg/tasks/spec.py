"""What a task is: a data set, its labels, its split protocol and its metric contract. Plain description."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, model_validator

from medseg.config import Config

Pixels = Annotated[int, Field(ge=1, le=2**14)]


class SplitSpec(Config):
    """How patients are divided. Patients, never images or slices, are what is divided."""

    test: Literal["official"] | float = Field(
        0.2, description="'official' for the data set's own test part, else the share of patients held out."
    )
    folds: int = Field(5, ge=2, description="Folds of the patients that are not in the test part.")
    stratify: bool = Field(True, description="Keep the share of each pathology group in every part.")
    seed: int = Field(0, ge=0, le=2**32 - 1)

    @model_validator(mode="after")
    def _share(self) -> "SplitSpec":
        if isinstance(self.test, float) and not 0 < self.test < 1:
            raise ValueError(f"split.test must lie between 0 and 1, got {self.test}")
        return self


class PhantomSpec(Config):
    """Size and seed of a generated data set."""

    patients: int = Field(ge=4, description="Patients (cardiac) or images (lung) to generate.")
    seed: int = Field(0, ge=0, le=2**32 - 1)


class TaskSpec(Config):
    """One task.

    Class 0 is background; the foreground classes are ``1..K`` in the order of ``labels``.
    """

    name: str
    title: str = ""
    dataset: str = Field(description="Key of the data set's root in `data:`, --data and MEDSEG_DATA.")
    format: Literal["acdc", "covid_radiography"] = Field(description="Reader of the download layout.")
    phantom: PhantomSpec | None = Field(None, description="Generate the data set instead of reading a root.")
    labels: dict[str, int] = Field(
        description="Foreground label to its value in the files; others are background."
    )
    channels: int = Field(1, ge=1)
    image_size: tuple[Pixels, Pixels] = Field(description="Rows and columns that the network sees.")
    spacing_mm: tuple[PositiveFloat, PositiveFloat] | None = Field(
        None, description="In-plane spacing to resample to before crop/pad; none: resize to image_size."
    )
    unit: Literal["mm", "px"] = Field(
        "mm", description="Unit of distances; px where the files carry no spacing."
    )
    intensity: Literal["zscore_volume", "zscore_image"] = "zscore_volume"
    flips: tuple[Literal["horizontal", "vertical"], ...] = Field(
        (), description="Flips that keep the anatomy plausible; a chest X-ray is never flipped vertically."
    )
    split: SplitSpec = SplitSpec()
    metrics: tuple[str, ...] = ("dice", "iou", "hd", "hd95", "pixel_accuracy")
    selection_metric: str = Field("dice", description="Chooses epochs and settings on validation cases.")

    @property
    def classes(self) -> int:
        """Number of classes with background."""
        return len(self.labels) + 1

    @property
    def out_channels(self) -> int:
        """Channels of a model's logits: 1 for one foreground label, else one per class."""
        return 1 if len(self.labels) == 1 else self.classes
