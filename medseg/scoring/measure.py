"""One case: reads its two files and measures them. What is wrong with it becomes failed values and a reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medseg.data.label_map import LabelMap, read_label_map
from medseg.data.raster import PICTURES, Header, extension
from medseg.errors import DataError
from medseg.metrics import MetricValue, diagonal_mm, evaluate_case, unmeasured_case
from medseg.scoring.pairs import Pair

Unit = Literal["mm", "px"]
SPACING_TOLERANCE = 1e-3
"""Relative difference from which on two spacings are not the same."""


@dataclass(frozen=True)
class Protocol:
    """What is measured, and how.

    Args:
        labels: Foreground label to its value in the files, in order.
        metrics: Names of metrics.
        unit: Of lengths; in ``px`` every spacing is one.
        tolerance_mm: What counts as no error, of all labels or by label, in the unit.
        spacing_mm: One for all axes or one per axis, slowest first; wins over the headers.
        soft: The files are masks in black and white; see `read_label_map`.
    """

    labels: Mapping[str, int]
    metrics: tuple[str, ...]
    unit: Unit = "mm"
    tolerance_mm: float | Mapping[str, float] | None = None
    spacing_mm: tuple[float, ...] | None = None
    soft: bool = False

    def unmeasured(self, status: Literal["missing", "failed"]) -> list[MetricValue]:
        """Returns the values of a case that has none; errors as in `unmeasured_case`."""
        return unmeasured_case(tuple(self.labels), self.metrics, status, tolerance_mm=self.tolerance_mm)


@dataclass(frozen=True)
class Measured:
    """A case that was measured, or the reason why it was not.

    Args:
        values: One per label and metric.
        diagonal: Of the reference, in the protocol's unit; NaN where it cannot be read.
        problem: Why the values are failed or missing; empty where they are not.
        warning: What a reader should know all the same.
        reference_values: That occur in the reference.
        prediction_values: That occur in the prediction.
    """

    values: list[MetricValue]
    diagonal: float = float("nan")
    problem: str = ""
    warning: str = ""
    reference_values: frozenset[int] = field(default_factory=frozenset)
    prediction_values: frozenset[int] = field(default_factory=frozenset)


def measure(protocol: Protocol, pair: Pair) -> Measured:
    """Reads and measures one case.

    Args:
        protocol: What is measured. Values in the files that are none of its labels count as background; whoever
            sees all cases decides which of them nobody knows.
        pair: The case.
    """
    try:
        reference = read_label_map(pair.reference, protocol.soft)
        known = _whole_numbers(reference, pair.reference)
        spacing = spacing_of(protocol, reference.header)
    except DataError as error:
        return Measured(protocol.unmeasured("failed"), problem=str(error))
    diagonal = diagonal_mm(reference.header.shape, spacing)
    if pair.prediction is None:
        missing = protocol.unmeasured("missing")
        return Measured(missing, diagonal, "no prediction", reference_values=known)
    try:
        prediction = read_label_map(pair.prediction, protocol.soft)
        claimed = _whole_numbers(prediction, pair.prediction)
        values = list(protocol.labels.values())
        found = evaluate_case(
            reference.classes(values),
            _as_deep(prediction.classes(values), reference.values.shape),
            spacing,
            tuple(protocol.labels),
            protocol.metrics,
            tolerance_mm=protocol.tolerance_mm,
        )
    except (DataError, ValueError) as error:
        problem = str(error)
        return Measured(protocol.unmeasured("failed"), diagonal, problem, reference_values=known)
    # A picture states nothing that could disagree.
    silent = extension(pair.prediction) in PICTURES
    warning = "" if silent else _disagreement(protocol, reference.header, prediction.header)
    return Measured(found, diagonal, "", warning, known, claimed)


def spacing_of(protocol: Protocol, header: Header) -> tuple[float, ...]:
    """Returns the spacing to measure with, in the protocol's unit, slowest axis first.

    Raises:
        DataError: If the header states none that can be used, or the one given is of another number of axes.
    """
    axes, given = len(header.shape), protocol.spacing_mm
    if protocol.unit == "px":
        return (1.0,) * axes
    if given is None:
        if not all(header.spacing_mm):
            raise DataError(
                f"the reference states a spacing of {_lengths(header.spacing_mm)}; give it by --spacing-mm"
            )
        return header.spacing_mm
    if len(given) not in (1, axes):
        raise DataError(f"spacing must be 1 or {axes} numbers for shape {header.shape}, got {len(given)}")
    return given * axes if len(given) == 1 else given


def _whole_numbers(label: LabelMap, path: Path) -> frozenset[int]:
    present = label.present()
    odd = [value for value in present if not value.is_integer()]
    if odd:
        shown = ", ".join(f"{value:g}" for value in odd[:3])
        raise DataError(f"{path}: holds {shown}; expected labels, which are whole numbers")
    return frozenset(int(value) for value in present)


def _as_deep(prediction: NDArray[np.uint8], shape: Sequence[int]) -> NDArray[np.uint8]:
    """Takes a picture for a volume of one slice and the other way round."""
    flat = (1, *prediction.shape) == tuple(shape) or prediction.shape == (1, *shape)
    return prediction.reshape(shape) if flat else prediction


def _disagreement(protocol: Protocol, reference: Header, prediction: Header) -> str:
    """Says how a prediction's header differs from its reference's, which counts."""
    if protocol.unit == "px" or protocol.spacing_mm is not None:
        return ""  # no header counts
    ours, theirs = reference.spacing_mm, prediction.spacing_mm
    if len(ours) == len(theirs) and any(
        abs(a - b) > SPACING_TOLERANCE * a for a, b in zip(ours, theirs, strict=True)
    ):
        return (
            f"the prediction's header says {_lengths(theirs)}, the reference's {_lengths(ours)}, which counts"
        )
    axes = reference.orientation, prediction.orientation
    if all(axes) and axes[0] != axes[1]:
        return f"the prediction's axes point along {axes[1]}, the reference's along {axes[0]}: is it flipped?"
    return ""


def _lengths(spacing: Sequence[float]) -> str:
    return f"{' x '.join(f'{length:g}' for length in spacing)} mm"
