"""What a metric is, and what a measured value is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from medseg.metrics.pair import LabelMaps, MaskPair

Status = Literal["ok", "both_empty", "reference_empty", "prediction_empty", "missing", "failed"]

ALL_LABELS = "all"
"""Label of the values that belong to a whole label map."""


@dataclass(frozen=True, kw_only=True)
class EmptyValues:
    """Values where a mask is empty; NaN stands for "not defined", to be left out of averages."""

    both: float
    reference: float
    prediction: float


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """One metric. Exactly one of `of_label` and `of_case` is given.

    Args:
        name: Registered name.
        title: As in a table's heading.
        definition: Id of the exact definition, with version; it is stored with every value.
        higher_is_better: Direction.
        worst: What a failed or missing case counts in an average: 0, or the image's diagonal.
        distance: Whether the value is a length, in the spacing's unit (mm or px).
        of_label: Value of one label, where neither mask is empty.
        of_case: Value of the whole label map.
        empty: Values of `of_label` where a mask is empty.

    Raises:
        ValueError: If not exactly one of `of_label`, with `empty`, and `of_case` is given.
    """

    name: str
    title: str
    definition: str
    higher_is_better: bool
    worst: Literal["zero", "diagonal"]
    distance: bool = False
    of_label: "Callable[[MaskPair], float] | None" = None
    of_case: "Callable[[LabelMaps], float] | None" = None
    empty: EmptyValues | None = None

    def __post_init__(self) -> None:
        if (self.of_label is None) == (self.of_case is None):
            raise ValueError(f"metric {self.name} needs either of_label or of_case")
        if (self.of_label is None) != (self.empty is None):
            raise ValueError(f"metric {self.name}: empty belongs to of_label")

    @property
    def per_label(self) -> bool:
        """Whether there is a value per label; else there is one per case, with label ``all``."""
        return self.of_label is not None

    def worst_value(self, diagonal: float) -> float:
        """Returns what a failed or missing case counts, given the image's diagonal."""
        return diagonal if self.worst == "diagonal" else 0.0


@dataclass(frozen=True)
class MetricValue:
    """One measured value.

    Args:
        label: Foreground label, or ``all``.
        metric: The name by which it was asked for.
        definition: Id of the definition.
        value: The value; NaN or inf where `status` says why.
        status: ``ok``, or what was empty, missing or failed.
    """

    label: str
    metric: str
    definition: str
    value: float
    status: Status
