"""One metric's values as an array of entries x runs x places: what every average over patients is made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.stats.codes import Codes, Combined, combine
from bench.stats.counted import Policy, Worst, counted_values

COLUMNS = ("entry", "fold", "seed", "patient", "case", "label", "value", "status", "diagonal")
KEY = ["entry", "fold", "seed", "case", "label"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """One metric's values. A run is a fold and a seed, a place is a label of a case.

    Args:
        entries: Entries, sorted.
        runs: Pairs of fold and seed, sorted.
        patients: Patients, sorted.
        labels: How many labels there are.
        label: Label of each place, (places,).
        patient: Patient of each place, (places,).
        counted: What each value counts, (entries, runs, places); NaN where it is left out or not there.
        empty: Where both masks are empty, (entries, runs, places).
    """

    entries: pd.Index
    runs: tuple[tuple[int, int], ...]
    patients: pd.Index
    labels: int
    label: Codes
    patient: Codes
    counted: Floats
    empty: NDArray[np.bool_]

    def per_patient(self) -> pd.DataFrame:
        """Averages over runs, then images, then labels; entries x patients."""
        return self._table(self.counted, self.entries)

    def per_run(self) -> Floats:
        """Averages over images, then labels; (entries, runs, patients)."""
        return self._over_images(self.counted)

    def together(self, entries: Sequence[str], agreed: float, alone: pd.DataFrame) -> pd.DataFrame:
        """Averages entries that are compared with each other; see `bench.stats.together`.

        Args:
            entries: Names.
            agreed: What both masks being empty counts; NaN: left out all the same.
            alone: What `per_patient` returns.
        """
        names = list(dict.fromkeys(entries))
        rows = self._rows(names)
        added = self._agreed(rows, agreed)
        if added is None:
            return alone.loc[names]
        return self._table(np.where(added, agreed, self.counted[rows]), self.entries[rows])

    def runs_together(self, entries: Sequence[str], agreed: float) -> Floats:
        """Averages entries that are compared with each other as `together` does, but within each run.

        Args:
            entries: Names.
            agreed: What both masks being empty counts; NaN: left out all the same.

        Returns:
            Floats, these entries in this order x runs x patients.
        """
        rows = self._rows(list(dict.fromkeys(entries)))
        added = self._agreed(rows, agreed)
        counted = self.counted[rows]
        return self._over_images(counted if added is None else np.where(added, agreed, counted))

    def _rows(self, names: list[str]) -> Codes:
        rows = self.entries.get_indexer(pd.Index(names))
        if (rows < 0).any():
            raise KeyError(f"no entry {names[int(rows.argmin())]!r}; there are {', '.join(self.entries)}")
        return rows

    def _agreed(self, rows: Codes, agreed: float) -> NDArray[np.bool_] | None:
        """Says which values of these entries both masks leave empty where any of them counts in any run; or none.

        In any run, not in the same one: else differences would hang on which seeds happened to be alike, and a - b
        and b - c would not add up to a - c.
        """
        if isnan(agreed) or not self.empty[rows].any():
            return None
        absent = np.isnan(self.counted[rows])
        added: NDArray[np.bool_] = self.empty[rows] & absent & (~absent).any(axis=(0, 1))
        return added if added.any() else None

    def _table(self, counted: Floats, entries: pd.Index) -> pd.DataFrame:
        values = self._over_images(_mean(counted, axis=1))
        return pd.DataFrame(
            values, index=entries.rename("entry"), columns=self.patients.rename("patient"), copy=False
        )

    def _over_images(self, counted: Floats) -> Floats:
        """Averages (..., places) over images, then over labels; (..., patients)."""
        outer, size = counted.shape[:-1], self.labels * len(self.patients)
        group = self.label * len(self.patients) + self.patient
        flat = counted.reshape(-1, counted.shape[-1])
        valid = ~np.isnan(flat)
        key = (np.arange(len(flat))[:, None] * size + group)[valid]
        number = np.bincount(key, minlength=len(flat) * size)
        total: Floats = np.bincount(key, weights=flat[valid], minlength=len(flat) * size).astype(float)
        return _mean(_ratio(total, number).reshape(*outer, self.labels, len(self.patients)), axis=-2)


def make_grid(cells: pd.DataFrame, worst: Worst, policy: Policy = "nnunet", agreed: float = nan) -> Grid:
    """Puts one metric's values into an array.

    Args:
        cells: One metric's values with the columns of `COLUMNS`; a row per entry, fold, seed, case and label.
        worst: What a failed or missing value counts; see `counted_values`.
        policy: What empty masks count.
        agreed: What both masks being empty counts, where the policy counts it.

    Raises:
        ValueError: If a column is missing, a cell comes twice, or a case belongs to two patients; and as in
            `counted_values`.
    """
    missing = [name for name in COLUMNS if name not in cells.columns]
    if missing:
        raise ValueError(f"cells need the columns {', '.join(COLUMNS)}; missing: {', '.join(missing)}")
    entry, run, place = (combine(cells, names) for names in (["entry"], ["fold", "seed"], ["label", "case"]))
    patient, patients = _patients(cells, place)
    shape = (entry.number, run.number, place.number)
    key = entry.codes.astype(np.int64)
    for codes, size in ((run.codes, run.number), (place.codes, place.number)):
        key *= size
        key += codes
    there = np.zeros(shape, bool)
    there.reshape(-1)[key] = True
    if np.count_nonzero(there) != len(cells):
        first = cells.loc[cells.duplicated(KEY), KEY].iloc[0].to_dict()
        raise ValueError(f"a cell must come once, one metric at a time; twice: {first}")
    counted, empty = np.full(shape, nan), np.zeros(shape, bool)
    counted.reshape(-1)[key] = counted_values(cells, worst, policy, agreed).to_numpy(float)
    empty.reshape(-1)[key] = (cells["status"] == "both_empty").to_numpy(bool)
    pairs = run.frame().itertuples(index=False, name=None)
    return Grid(
        entries=entry.words["entry"].take(entry.parts["entry"]),
        runs=tuple((int(fold), int(seed)) for fold, seed in pairs),
        patients=patients,
        labels=len(place.words["label"]),
        label=place.parts["label"],
        patient=patient,
        counted=counted,
        empty=empty,
    )


def _patients(cells: pd.DataFrame, place: Combined) -> tuple[Codes, pd.Index]:
    """Returns the patient of each place, and all patients, sorted."""
    found = combine(cells, ["patient"])
    case = place.parts["case"]
    owner = np.full(len(place.words["case"]), -1)
    owner[case[place.codes]] = found.codes
    other = owner[case[place.codes]] != found.codes
    if other.any():
        raise ValueError(
            f"a case must belong to one patient; {cells['case'].array[other.argmax()]} has several"
        )
    return owner[case], found.words["patient"].take(found.parts["patient"])


def _mean(array: Floats, axis: int) -> Floats:
    """Averages what is not NaN; NaN where all is."""
    valid = ~np.isnan(array)
    return _ratio(np.where(valid, array, 0.0).sum(axis=axis), valid.sum(axis=axis))


def _ratio(total: Floats, number: Codes) -> Floats:
    ratio = np.full(total.shape, nan)
    np.divide(total, number, out=ratio, where=number > 0)
    return ratio
