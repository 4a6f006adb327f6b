"""Calibration of predicted cases beside their predictions, which alone could not tell it: `reliability.parquet`.

A row per case, label, region and bin; see `medseg.metrics.reliability.CaseCalibration.rows`. The rows of a case lie
together in one row group, which many cases share: one is read without all others, and there are few groups.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from medseg.data import Case
from medseg.errors import DataError
from medseg.metrics.reliability import COLUMNS, CaseCalibration

RELIABILITY = "reliability.parquet"
# Rows that are written at a time, and read at a time.
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


class CalibrationPlace(NamedTuple):
    """Where a case's rows lie: in which row group, from which row of it on, and how many."""

    group: int
    first: int
    rows: int


def find_calibrations(folder: Path) -> dict[str, CalibrationPlace]:
    """Returns where each case's calibration lies in a committed folder of predictions; empty where none was kept.

    Raises:
        DataError: If the file is damaged, or the rows of a case do not lie together.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    path = Path(folder) / RELIABILITY
    places: dict[str, CalibrationPlace] = {}
    if not path.is_file():
        return places
    with _reading(path), pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            names = file.read_row_group(group, columns=["case"]).column("case").combine_chunks()
            runs = pc.run_end_encode(names)
            start = 0
            for case, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
                if case in places:
                    raise ValueError(f"the rows of {case} do not lie together")
                places[case] = CalibrationPlace(group, start, end - start)
                start = end
    return places


def read_calibration_at(folder: Path, place: CalibrationPlace) -> CaseCalibration:
    """Returns what lies at a place; fast for cases in the order of the file, since the last group is remembered.

    Returns:
        The histograms, labels in the order of the trial's task.

    Raises:
        DataError: If the file is missing or damaged.
    """
    path = Path(folder) / RELIABILITY
    with _reading(path):
        found = path.stat()
        table = _group(path, place.group, (found.st_ino, found.st_size, found.st_mtime_ns))
        return CaseCalibration.from_rows(table.slice(place.first, place.rows).to_pylist())


def read_calibration(folder: Path, case: Case) -> CaseCalibration | None:
    """Returns what the probabilities of one case said, from a committed folder of predictions.

    Of many cases, `find_calibrations` once and `read_calibration_at` are faster.

    Returns:
        The histograms, labels in the order of the trial's task; none where none were kept.

    Raises:
        DataError: If the file is damaged.
    """
    place = find_calibrations(folder).get(case.id)
    return None if place is None else read_calibration_at(folder, place)


@lru_cache(maxsize=1)
def _group(path: Path, group: int, version: tuple[int, ...]) -> Any:
    """Returns the rows of a group; `version` tells a file from one that took its place."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return file.read_row_group(group, use_threads=False)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: cannot be read: {reason}") from error
