"""What is asked for, and what it comes to once the references are known: labels and unit."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from medseg.data.label_map import MOST_CLASSES, read_label_map
from medseg.data.raster import PICTURES, extension, read_header
from medseg.errors import DataError
from medseg.scoring.measure import Protocol, Unit
from medseg.scoring.pool import map_cases

Advance = Callable[[int, int], None]

MOST_UNNAMED = 128
"""Labels that are measured without being asked for by name: an image taken for a label map has more values."""


@dataclass(frozen=True)
class Request:
    """What is to be scored, and how.

    Args:
        metrics: Names of metrics.
        labels: Foreground label to its value in the files; none takes the values of the references, ``"1"`` for 1.
        background: Other values that the files may hold.
        unit: Of lengths; none takes mm of volumes, and of pictures if `spacing_mm` is given, else px.
        spacing_mm: One for all axes or one per axis, slowest first; wins over the headers.
        tolerance_mm: What counts as no error, of all labels or by label, in the unit.
        soft: The files are masks in black and white; see `read_label_map`.
        groups: CSV that says which cases are of one patient.
        patient_pattern: Regular expression whose first group in a case's id is the patient.
        ignore_extra: Leave predictions without a reference out, instead of refusing them.
        processes: At most; all cores by default.
    """

    metrics: tuple[str, ...]
    labels: Mapping[str, int] | None = None
    background: tuple[int, ...] = ()
    unit: Unit | None = None
    spacing_mm: tuple[float, ...] | None = None
    tolerance_mm: float | Mapping[str, float] | None = None
    soft: bool = False
    groups: Path | None = None
    patient_pattern: str | None = None
    ignore_extra: bool = False
    processes: int | None = None


def make_protocol(
    references: Sequence[Path], request: Request, advance: Advance = lambda done, total: None
) -> Protocol:
    """Returns how cases are measured. Where no labels are named, it reads every reference.

    Args:
        references: Their files.
        request: What is wanted.
        advance: Told how many files of how many were read.

    Raises:
        DataError: If pictures, which carry no spacing, and volumes are mixed; or if the references hold no label,
            or more than can be measured.
    """
    return Protocol(
        labels=request.labels or _labels_of(references, request, advance),
        metrics=request.metrics,
        unit=_unit_of(references, request),
        tolerance_mm=request.tolerance_mm,
        spacing_mm=request.spacing_mm,
        soft=request.soft,
    )


def _unit_of(references: Sequence[Path], request: Request) -> Unit:
    if request.unit == "px" or request.spacing_mm is not None:
        return request.unit or "mm"
    pictures = [path for path in references if extension(path) in PICTURES]
    if not pictures:
        return "mm"
    if request.unit == "mm" or len(pictures) < len(references):
        raise DataError(f"{pictures[0]} carries no spacing: give it by --spacing-mm")
    return "px"


def _labels_of(references: Sequence[Path], request: Request, advance: Advance) -> dict[str, int]:
    found: set[int] = set()
    with closing(map_cases(values_of, references, request.processes)) as every:
        for done, values in enumerate(every, start=1):
            if len(values) > MOST_UNNAMED:
                raise DataError(
                    f"{references[done - 1]} holds {len(values)} values and looks like an image; --labels names them "
                    f"if it is none"
                )
            found |= values
            advance(done, len(references))
    if not found:
        raise DataError(
            f"{references[0].parent}: none of the references can be read, see {references[0].name}"
        )
    found -= {0, *request.background}
    if not found:
        raise DataError(
            f"{references[0].parent}: the references hold no label, only background: --labels names them"
        )
    if len(found) > MOST_CLASSES:
        raise DataError(
            f"{references[0].parent}: the references hold {len(found)} values together, of which at most "
            f"{MOST_CLASSES} can be labels; --labels names them"
        )
    return {str(value): value for value in sorted(found)}


def flat_reference(references: Sequence[Path]) -> Path | None:
    """Returns the first reference of two axes, which has no volume; those that cannot be read are passed over."""
    return next((path for path in references if _axes(path) == 2), None)


def unspaced_reference(references: Sequence[Path], spacing_mm: Sequence[float]) -> tuple[Path, int] | None:
    """Returns the first reference that a spacing has too few or too many numbers for, and the number of its axes."""
    if len(spacing_mm) == 1:
        return None
    every = ((path, _axes(path)) for path in references)
    return next(((path, axes) for path, axes in every if axes not in (0, len(spacing_mm))), None)


def _axes(path: Path) -> int:
    try:
        return len(read_header(path).shape)
    except (DataError, OSError):
        return 0


def values_of(path: Path) -> frozenset[int]:
    """Returns the whole numbers in a label file; none where it cannot be read, for which its case will fail."""
    try:
        return frozenset(int(value) for value in read_label_map(path).present() if value.is_integer())
    except DataError:
        return frozenset()
