"""Keeps predictions on their cases' own grids, in files that other tools open and that can be measured again.

A prediction looks as its case's label does: the same values and, of a NIfTI file, shape, axes and affine.
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseg.data import Case, DataSet, Prepared, load_label
from medseg.data.raster import NIFTI, extension
from medseg.metrics.reliability import CaseCalibration
from medseg.tasks import TaskSpec
from medseg.training.calibration_file import RELIABILITY, CalibrationFile, read_calibration
from medseg.training.outcome import StorageError
from medseg.training.prediction_file import nifti, nifti_header, png

__all__ = ["PredictionWriter", "file_name", "read_calibration", "read_prediction"]

INDEX = "index.json"
# What no common file system takes in a name, what hides a file, and % itself, so that no two ids share a name.
_UNFIT = re.compile(r'[%/\\<>:"|?*\x00-\x1f\x7f\ud800-\udfff]|^\.')


class PredictionWriter:
    """Fills a folder with predictions; it appears whole, by `commit`, or not at all.

    Until then all lies in a hidden folder beside it. A folder of predictions that is there is replaced; what a
    killed writer left is removed. One writer at a time per folder. Leaving the ``with`` block without `commit`
    throws everything away. Equal predictions give equal files.

    Args:
        folder: Where the predictions go.
        task: Says which value a class has in the files.
        dataset: The data set; its fingerprint is noted.
        prepared: Knows the cases' grids.

    Raises:
        StorageError: If the place cannot be written, or holds something else than predictions.
    """

    def __init__(self, folder: Path, task: TaskSpec, dataset: DataSet, prepared: Prepared):
        self.folder, self.task, self.dataset, self.prepared = Path(folder), task, dataset, prepared
        self._cases: dict[str, dict[str, str]] = {}
        self._table = _table(task)
        with _storing(self.folder):
            if self.folder.exists() and not (self.folder / INDEX).is_file() and any(self.folder.iterdir()):
                raise FileExistsError(f"it holds something else than predictions (no {INDEX})")
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(self.folder)
            self._temporary = _beside(self.folder)
        self._calibrations = CalibrationFile(self._temporary / RELIABILITY, tuple(task.labels))

    def write(
        self,
        case: Case,
        prediction: NDArray[np.uint8],
        part: str,
        calibration: CaseCalibration | None = None,
    ) -> None:
        """Writes one case.

        Args:
            case: The case.
            prediction: Class indices, of the shape of its label, (Z, H, W) or (H, W).
            part: "train", "validation" or "test".
            calibration: What the probabilities said, if that is known.

        Raises:
            ValueError: If the shape or a class index does not fit, or the case was written before.
            DataError: If the label file has another grid than when it was indexed.
            StorageError: If the file cannot be written, or the label's header not be read.
        """
        shape = self.prepared.entries[case.id].shape
        if prediction.shape != shape or prediction.max(initial=0) >= len(self._table):
            raise ValueError(
                f"prediction of '{case.id}' must have shape {shape} and classes below {len(self._table)}, has "
                f"{prediction.shape} and classes up to {prediction.max(initial=0)}"
            )
        if case.id in self._cases:
            raise ValueError(f"prediction of '{case.id}' was written before")
        name = file_name(case, self.task)
        values, spacing_mm = self._table[prediction], self.prepared.spacing_mm(case.id)
        with _storing(self.folder):
            header = nifti_header(case, self.task.unit, spacing_mm) if name.endswith(".nii.gz") else None
            _write(self._temporary / name, png(values) if header is None else nifti(values, header))
            if calibration is not None:
                self._calibrations.add(case, calibration)
        self._cases[case.id] = {"file": name, "part": part, "patient": case.patient}

    def commit(self, trial: Mapping[str, Any] | None = None) -> None:
        """Writes the index and puts the folder in its place.

        Args:
            trial: What made the predictions, as JSON holds it.

        Raises:
            StorageError: If it cannot be written; a folder that was there before is still there.
        """
        content = {
            "format": 1,
            "task": self.task.name,
            "labels": dict(self.task.labels),
            "data": self.dataset.fingerprint,
            "trial": dict(trial or {}),
            "cases": self._cases,
        }
        with _storing(self.folder):
            self._calibrations.close()
            _write(self._temporary / INDEX, (json.dumps(content, indent=1) + "\n").encode())
            _put(self._temporary, self.folder)

    def __enter__(self) -> "PredictionWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._calibrations.abandon()
        shutil.rmtree(self._temporary, ignore_errors=True)


def read_prediction(folder: Path, case: Case, task: TaskSpec) -> NDArray[np.uint8]:
    """Returns a case's class indices, (Z, H, W) or (H, W), read from a committed folder as a reference is.

    Raises:
        DataError: If the file is missing, unreadable, or not a prediction of this case for this task.
    """
    return load_label(replace(case, label=Path(folder) / file_name(case, task)), task)


def file_name(case: Case, task: TaskSpec) -> str:
    """Returns the name of a case's file: its id, with ``%2F`` for a slash and so on.

    NIfTI for volumes and where the label is NIfTI, else PNG, unless a value is beyond its 16 bits.
    """
    volume = len(case.shape) == 3 or extension(case.label) in NIFTI or _table(task).dtype == np.int32
    return _UNFIT.sub(_escaped, case.id) + (".nii.gz" if volume else ".png")


def _escaped(unfit: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in unfit[0].encode(errors="surrogateescape"))


def _table(task: TaskSpec) -> NDArray[Any]:
    """Returns the value in the files of each class index, in the smallest type that holds all."""
    values = [0, *task.labels.values()]
    for dtype in (np.uint8, np.uint16, np.int32):
        if np.iinfo(dtype).min <= min(values) and max(values) <= np.iinfo(dtype).max:
            return np.array(values, dtype=dtype)
    raise ValueError(f"label values must be whole numbers of 32 bits, got {values}")


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _beside(folder: Path) -> Path:
    path = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    path.chmod(0o755)
    return path


def _remove_leftovers(folder: Path) -> None:
    # As mkdtemp names them: the leftovers of a folder `a` are not those of `a-b`.
    leftover = re.compile(rf"\.{re.escape(folder.name)}-[a-z0-9_]{{8}}")
    for path in folder.parent.iterdir():
        if leftover.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def _put(temporary: Path, folder: Path) -> None:
    """Renames a folder; one that is there goes aside first, and comes back if that fails."""
    if not folder.exists():
        temporary.rename(folder)
        return
    earlier = _beside(folder)
    folder.rename(earlier)
    try:
        temporary.rename(folder)
    except OSError:
        earlier.rename(folder)
        raise
    shutil.rmtree(earlier, ignore_errors=True)


@contextmanager
def _storing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        raise StorageError(f"predictions cannot be kept: {where}: {error.strerror or error}") from error
