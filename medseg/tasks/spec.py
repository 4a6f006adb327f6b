"""What a task is: a data set, its labels, its split protocol and its metric contract. Plain description."""

import re
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, model_validator

from medseg.config import Config

# Class indices are kept in 8 bits.
MOST_LABELS = 255
Pixels = Annotated[int, Field(ge=1, le=2**14)]
Percent = Annotated[float, Field(ge=0, le=100)]
Tolerance = Annotated[float, Field(ge=0, allow_inf_nan=False)]
EmptyPolicy = Literal["nnunet", "brats", "one"]
Format = Literal["acdc", "covid_radiography", "nnunet", "decathlon", "folder"]


class SplitSpec(Config):
    """How patients are divided. Patients, never images or slices, are what is divided."""

    test: Literal["official"] | float | tuple[str, ...] = Field(
        0.2,
        description="'official' for the data set's own test part, the share of patients held out, or their names.",
    )
    folds: int = Field(5, ge=2, description="Folds of the patients that are not in the test part.")
    file: str | None = Field(
        None,
        description="A published split: nnU-Net's splits_final.json, or {test: [...], folds: [[...], ...]} in JSON "
        "or YAML. Relative to the data set's folder, or to the suite.",
    )
    stratify: bool = Field(True, description="Keep the share of each pathology group in every part.")
    seed: int = Field(0, ge=0, le=2**32 - 1)

    @model_validator(mode="after")
    def _share(self) -> "SplitSpec":
        if isinstance(self.test, float) and not 0 < self.test < 1:
            raise ValueError(f"split.test must lie between 0 and 1, got {self.test}")
        if self.test == ():
            raise ValueError("split.test must name at least one patient, got an empty list")
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
    format: Format = Field(description="Reader of the data set's layout on disk.")
    phantom: PhantomSpec | None = Field(None, description="Generate the data set instead of reading a root.")
    labels: dict[str, int] = Field(
        description="Foreground label to its value in the files; others are background."
    )
    background: tuple[int, ...] = Field(
        (), description="Values in the label files that count as background besides 0; any other is an error."
    )
    channels: int = Field(1, ge=1, description="Of the images: files of a case, or colours of a picture.")
    groups: str | None = Field(
        None,
        description="CSV that says which cases are of one patient (columns image, patient, optionally subgroup); "
        "groups.csv in the data set's folder by default.",
    )
    patient_pattern: str | None = Field(
        None, description="Regular expression; its first group in a case's name is the patient."
    )
    file_spacing_mm: tuple[PositiveFloat, ...] | None = Field(
        None,
        description="Spacing of the files where they carry none or a wrong one: (Z, Y, X) of a volume, (Y, X) of a "
        "picture.",
    )
    image_size: tuple[Pixels, Pixels] = Field(description="Rows and columns that the network sees.")
    spacing_mm: tuple[PositiveFloat, PositiveFloat] | None = Field(
        None, description="In-plane spacing to resample to before crop/pad; none: resize to image_size."
    )
    unit: Literal["mm", "px"] = Field(
        "mm", description="Unit of distances; px where the files carry no spacing."
    )
    clip_percentiles: tuple[Percent, Percent] | None = Field(
        None, description="Clip each image to these percentiles of its own values before its z-score."
    )
    window: tuple[float, float] | None = Field(
        None, description="Clip to this range and scale it to -2..2 instead of a z-score, e.g. HU of a CT."
    )
    flips: tuple[Literal["horizontal", "vertical"], ...] = Field(
        (), description="Flips that keep the anatomy plausible; a chest X-ray is never flipped vertically."
    )
    split: SplitSpec = SplitSpec()
    metrics: tuple[str, ...] = ("dice", "iou", "hd", "hd95", "pixel_accuracy")
    selection_metric: str = Field("dice", description="Chooses epochs and settings on validation cases.")
    tolerance_mm: Tolerance | dict[str, Tolerance] | None = Field(
        None,
        description="Distance that counts as no error in nsd, of all labels or by label; in the task's unit.",
    )
    cavities: tuple[str, ...] = Field(
        (),
        description="Labels that are filled with blood: their ejection fraction is told, where volumes are measured "
        "and phases known.",
    )
    empty_policy: EmptyPolicy = Field(
        "nnunet",
        description="What a label counts in averages that is in neither mask: nnunet leaves it out, one and brats "
        "count it as perfect; brats counts 373.13 for a distance that does not exist, the others the diagonal.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "TaskSpec":
        for name, pair in (("clip_percentiles", self.clip_percentiles), ("window", self.window)):
            if pair is not None and not pair[0] < pair[1]:
                raise ValueError(f"{name} must rise, got {pair[0]:g} and {pair[1]:g}")
        if self.clip_percentiles and self.window:
            raise ValueError("clip_percentiles and window exclude each other")
        if self.unit == "px" and (self.spacing_mm or self.file_spacing_mm):
            raise ValueError("unit px leaves no place for spacing_mm or file_spacing_mm")
        if not self.labels:
            raise ValueError("labels must name at least one foreground label")
        values = list(self.labels.values())
        if len(values) > MOST_LABELS:
            raise ValueError(f"labels must be at most {MOST_LABELS}, got {len(values)}")
        if "all" in self.labels:
            raise ValueError("labels: 'all' stands for the whole label map in results; choose another name")
        for value in values:
            if value in self.background or value == 0:
                raise ValueError(f"labels: value {value} is background already")
            if values.count(value) > 1:
                raise ValueError(f"labels: value {value} stands for two labels")
        if self.patient_pattern is not None:
            _check_pattern(self.patient_pattern)
        if isinstance(self.tolerance_mm, dict) and set(self.tolerance_mm) != set(self.labels):
            raise ValueError(
                f"tolerance_mm must be one number, or name each of the labels {', '.join(self.labels)}, "
                f"got {', '.join(self.tolerance_mm) or 'none'}"
            )
        return self

    @property
    def classes(self) -> int:
        """Number of classes with background."""
        return len(self.labels) + 1

    def tolerances(self) -> dict[str, float] | None:
        """Returns the tolerance of each label in the task's unit, or none where the task declares none."""
        if self.tolerance_mm is None or isinstance(self.tolerance_mm, dict):
            return self.tolerance_mm
        return dict.fromkeys(self.labels, self.tolerance_mm)

    @property
    def out_channels(self) -> int:
        """Channels of a model's logits: 1 for one foreground label, else one per class."""
        return 1 if len(self.labels) == 1 else self.classes


def _check_pattern(pattern: str) -> None:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"patient_pattern is no regular expression: {error}") from error
    if groups < 1:
        raise ValueError(f"patient_pattern needs a group in parentheses that is the patient, got {pattern!r}")
