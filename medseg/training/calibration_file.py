"""Calibration of predicted cases beside their predictions, which alone could not tell it: `reliability.parquet`.

A row per case, label, region and bin; see `medseg.metrics.reliability.CaseCalibration.rows`.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medseg.data import Case
from medseg.errors import DataError
from medseg.metrics.reliability import COLUMNS, CaseCalibration

RELIABILITY = "reliability.parquet"
# Rows that are written at a time, and can be passed over at a time.
_GROUP = 1 << 14
_TYPES = {
    **dict.fromkeys(("label", "region"), "string"),
    "bin": "int8",
    **dict.fromkeys(("count", "positives"), "int64"),
    **dict.fromkeys(("probability", "squared_error", "log_loss"), "float64"),
}


class CalibrationFile:
    """Writes a file case by case; without a case there is no file.

    Args:
        path: The file, which must not exist.
        labels: Names of the foreground labels.
    """

    def __init__(self, path: Path, labels: Sequence[str]):
        self._path, self._labels = path, tuple(labels)
        self._rows: list[dict[str, Any]] = []
        self._file: Any = None
        self._writer: Any = None

    def add(self, case: Case, calibration: CaseCalibration) -> None:
        """Adds a case.

        Raises:
            ValueError: If it is not of as many labels.
            OSError: If the disk is full or read-only.
        """
        self._rows += [{"case": case.id, **row} for row in calibration.rows(self._labels)]
        if len(self._rows) >= _GROUP:
            self._write()

    def close(self) -> None:
        """Writes what is left, and flushes the file to the disk.

        Raises:
            OSError: If the disk is full or read-only.
        """
        self._write()
        if self._file is not None:
            self._writer.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self.abandon()

    def abandon(self) -> None:
        """Lets go of the file, which is about to be removed."""
        if self._file is not None:
            self._file.close()
            self._file = self._writer = None

    def _write(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._rows:
            return
        schema = pa.schema(
            {"case": pa.string(), **{name: pa.type_for_alias(_TYPES[name]) for name in COLUMNS}}
        )
        if self._file is None:
            self._file = self._path.open("xb")
            self._writer = pq.ParquetWriter(self._file, schema, compression="zstd")
        self._writer.write_table(pa.Table.from_pylist(self._rows, schema))
        self._rows.clear()


def read_calibration(folder: Path, case: Case) -> CaseCalibration | None:
    """Returns what the probabilities of a case said, from a committed folder of predictions.

    Returns:
        The histograms, labels in the order of the trial's task; none where none were kept.

    Raises:
        DataError: If the file is damaged.
    """
    import pyarrow.parquet as pq

    path = Path(folder) / RELIABILITY
    if not path.is_file():
        return None
    try:
        table = pq.read_table(path, filters=[("case", "==", case.id)], partitioning=None)
        rows: list[dict[str, Any]] = table.to_pylist()
        return CaseCalibration.from_rows(rows) if rows else None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error
