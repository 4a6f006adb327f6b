"""The kept predictions of one trial, measured again."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.run.rescore_case import KeptCase, KeptTrial
from bench.run.rescore_metrics import is_of_maps
from medseg.data import DataSet
from medseg.errors import DataError
from medseg.metrics import METRICS
from medseg.scoring.pool import map_cases
from medseg.training.calibration_file import CalibrationPlace, find_calibrations
from medseg.training.predictions import INDEX

_COMMON = ("part", "case", "patient", "subgroup", "phase", "diagonal")


@dataclass(frozen=True)
class Measured:
    """What a trial's predictions give.

    Args:
        rows: Of the cases table, without the trial's key.
        failures: Cases that have a prediction and ``failed`` values, and why.
    """

    rows: list[dict[str, Any]]
    failures: tuple[str, ...]


def measure_trial(
    stored: pd.DataFrame,
    kept: KeptTrial,
    dataset: DataSet,
    processes: int | None,
    advance: Callable[[int, int], None],
) -> Measured:
    """Measures every case that has rows.

    Args:
        stored: The trial's case rows; patients and phases are theirs.
        kept: Its predictions, and what is measured.
        dataset: Its data.
        processes: At most; all cores by default.
        advance: Told how many cases of how many are done.

    Raises:
        DataError: If a file is missing or damaged, or the predictions are of other data.
    """
    index = _read_index(kept.folder)
    if index["data"] != dataset.fingerprint:
        raise DataError(
            f"{kept.folder}: the predictions are of other data (fingerprint {index['data'][:12]})"
        )
    commons = [
        dict(zip(_COMMON, cells, strict=True))
        for cells in stored.drop_duplicates(["part", "case"])[list(_COMMON)].itertuples(index=False)
    ]
    for common in commons:
        # Results of before there were phases do not know them.
        common["phase"] = common["phase"] or dataset.case(common["case"]).phase
    failed, places = _failed(stored), _places(kept)
    items = [
        KeptCase(
            dataset.case(common["case"]),
            # What was predicted as NaN is no prediction, whether or not a file says what it was decided as.
            failed=common["case"] not in index["cases"] or (common["part"], common["case"]) in failed,
            place=places.get(common["case"]),
        )
        for common in commons
    ]
    units = {name: METRICS.load(name).unit(kept.task.unit) for name in kept.metrics}
    rows: list[dict[str, Any]] = []
    failures = []
    for done, (values, problem) in enumerate(map_cases(kept.measure, items, processes), start=1):
        common = commons[done - 1]
        rows += [{**common, **vars(value), "unit": units[value.metric]} for value in values]
        if problem:
            failures.append(f"{common['case']}: {problem}")
        advance(done, len(items))
    return Measured(rows, tuple(failures))


def _failed(stored: pd.DataFrame) -> set[tuple[str, str]]:
    """Returns part and case of predictions of which no label map was measured; of calibration alone, it may be."""
    names = {name: is_of_maps(name) for name in stored["metric"].unique()}
    of_maps = stored[stored["metric"].map(names).astype(bool)]
    failed = (of_maps["status"] == "failed").groupby([of_maps["part"], of_maps["case"]]).all()
    return {(str(part), str(case)) for part, case in failed[failed].index}


def _places(kept: KeptTrial) -> dict[str, CalibrationPlace]:
    asked = any(METRICS.load(name).needs_probabilities for name in kept.metrics)
    return find_calibrations(kept.folder) if asked else {}


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        return {"data": str(index["data"]), "cases": dict(index["cases"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
