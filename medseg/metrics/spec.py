"""What a metric is, and what a measured value is."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isnan, nan
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from medseg.metrics.calibration import CaseCalibration
    from medseg.metrics.maps import LabelMaps, MaskPair

Status = Literal["ok", "both_empty", "reference_empty", "prediction_empty", "missing", "failed"]
Quantity = Literal["ratio", "length", "volume"]

ALL_LABELS = "all"
"""Label of the values that belong to a whole label map."""

TOLERANCE = "{tolerance}"
"""Stands in a definition id for the tolerance that a label was measured with."""


@dataclass(frozen=True, kw_only=True)
class EmptyValues:
    """Values where a mask is empty; NaN stands for "not defined", to be left out of averages.

    Args:
        both: Where both masks are empty.
        reference: Where the reference is empty, and something was predicted.
        prediction: Where nothing was predicted of a label that is there.
        agreed: What `both` counts for policies that praise agreeing on nothing; NaN where none does.
    """

    both: float
    reference: float
    prediction: float
    agreed: float = nan


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """One metric. Exactly one of `of_label`, `of_case` and `of_calibration` is given.

    Args:
        name: Registered name.
        title: As in a table's heading.
        definition: Id of the exact definition, with version; it is stored with every value. ``{tolerance}`` in it
            becomes the label's tolerance, and says that the metric needs one.
        higher_is_better: Direction. Of a signed difference that is not ranked: false.
        worst: What a failed or missing case counts in an average: a number, NaN (left out), or the image's diagonal.
        quantity: A ratio without unit, a length in the spacing's unit (mm or px), or a volume in mL.
        ranked: Whether entries may be ranked, chosen or claimed better by it; else it is only reported.
        of_label: Value of one label, where neither mask is empty; of any masks if `empty` is not given.
        of_case: Value of the whole label map.
        of_calibration: Value of one label (index from 1), or of the case (index 0), from probabilities.
        of_whole_case: Says that `of_calibration` is of the case.
        empty: Values of `of_label` where a mask is empty.
        best: The best value that there can be, where the worst one is an end, too; NaN: not known.

    Raises:
        ValueError: If not exactly one of the three functions is given, or `empty` without `of_label`.
    """

    name: str
    title: str
    definition: str
    higher_is_better: bool
    worst: float | Literal["diagonal"]
    quantity: Quantity = "ratio"
    ranked: bool = True
    of_label: "Callable[[MaskPair], float] | None" = None
    of_case: "Callable[[LabelMaps], float] | None" = None
    of_calibration: "Callable[[CaseCalibration, int], float] | None" = None
    of_whole_case: bool = False
    empty: EmptyValues | None = None
    best: float = nan

    def __post_init__(self) -> None:
        functions = (self.of_label, self.of_case, self.of_calibration)
        if sum(function is not None for function in functions) != 1:
            raise ValueError(f"metric {self.name} needs one of of_label, of_case and of_calibration")
        if self.empty is not None and self.of_label is None:
            raise ValueError(f"metric {self.name}: empty belongs to of_label")
        if self.of_whole_case and self.of_calibration is None:
            raise ValueError(f"metric {self.name}: of_whole_case belongs to of_calibration")
        if isinstance(self.worst, str) and self.worst != "diagonal":
            raise ValueError(f"metric {self.name}: worst must be a number or 'diagonal', got {self.worst!r}")
        if self.ranked and self.left_out_if_failed:
            raise ValueError(
                f"metric {self.name}: ranked needs a worst value, else failures would go unpunished"
            )

    @property
    def per_label(self) -> bool:
        """Whether there is a value per label; else there is one per case, with label ``all``."""
        return self.of_case is None and not self.of_whole_case

    @property
    def needs_tolerance(self) -> bool:
        """Whether the metric is measured with a tolerance."""
        return TOLERANCE in self.definition

    @property
    def needs_probabilities(self) -> bool:
        """Whether label maps alone do not suffice."""
        return self.of_calibration is not None

    def unit(self, length: str) -> str:
        """Returns the unit of values, given the unit of lengths, ``mm`` or ``px``."""
        return {"ratio": "", "length": length, "volume": "mL"}[self.quantity]

    def definition_with(self, tolerance: float | None) -> str:
        """Returns the definition id of values measured with a tolerance, in the spacing's unit."""
        return self.definition.replace(TOLERANCE, "none" if tolerance is None else _shortest(tolerance))

    def worst_value(self, diagonal: float) -> float:
        """Returns what a failed or missing case counts, given the image's diagonal; NaN: it is left out."""
        return diagonal if isinstance(self.worst, str) else float(self.worst)

    @property
    def span(self) -> float:
        """The largest difference that there can be between two values; inf: not known."""
        ends = nan if isinstance(self.worst, str) else abs(self.best - self.worst)
        return inf if isnan(ends) else ends

    @property
    def left_out_if_failed(self) -> bool:
        """Whether a failed case has no worst value that could stand for it."""
        return not isinstance(self.worst, str) and isnan(self.worst)


def _shortest(number: float) -> str:
    """Writes a number so that no other one is written alike, 2 rather than 2.0."""
    return repr(float(number)).removesuffix(".0")


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
