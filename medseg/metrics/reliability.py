"""What the probabilities of a case said, as histograms small enough to be kept, from which calibration is read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from medseg.metrics.spec import ALL_LABELS

Region = Literal["image", "foreground"]
REGIONS: tuple[Region, ...] = ("image", "foreground")
"""All voxels; or those where reference or prediction has any foreground label."""

BINS = 60
"""Bins of equal width over 0..1; 10, 12, 15, 20, 30 and 60 bins can be read from them exactly."""

LEAST_PROBABILITY = 1e-7
"""What the logarithm takes for anything smaller: about the precision of float32 below 1."""

# Probabilities that were interpolated leave 0..1 by rounding.
_ROUNDING = 1e-5
# Voxels at a time, so that what is made of them stays in a core's cache.
_CHUNK = 1 << 16
_SUMS = ("counts", "positives", "probability", "squared_error", "log_loss")

COLUMNS = ("label", "region", "bin", "count", "positives", "probability", "squared_error", "log_loss")
"""Keys of the rows in which histograms are kept."""


@dataclass(frozen=True, eq=False)
class CaseCalibration:
    """Histograms of the probabilities of one case, or of a part of it; parts add up to the case.

    Axes are labels (K, the foreground classes in order), `REGIONS` (2) and `BINS` (60).

    Args:
        counts: int64 (K, 2, 60), voxels whose probability of the label is in the bin.
        positives: int64 (K, 2, 60), how many of them have the label in the reference.
        probability: float64 (K, 2, 60), sum of their probabilities.
        squared_error: float64 (K, 2, 60), sum of (p - y)^2 over them.
        log_loss: float64 (2,), sum of -log p of the true class, background or label, over the region's voxels.
    """

    counts: NDArray[np.int64]
    positives: NDArray[np.int64]
    probability: NDArray[np.float64]
    squared_error: NDArray[np.float64]
    log_loss: NDArray[np.float64]

    @classmethod
    def of(
        cls, probabilities: NDArray[Any], reference: NDArray[Any], prediction: NDArray[Any]
    ) -> "CaseCalibration":
        """Sorts the voxels of a case, or of some of its slices, into bins.

        A probability within 1e-5 of 0..1 is rounded into it, and probabilities are not made to add up to 1: they
        are those that the classes were decided by. Sums depend on how a case was divided by rounding only.

        Args:
            probabilities: Float (C, *grid): one channel for a single label, else background and K labels.
            reference: Class indices of the grid.
            prediction: Class indices of the grid, as they were decided.

        Raises:
            ValueError: If shapes differ or are empty, a probability is not in 0..1 or NaN, or a class has no
                channel.
        """
        classes = _check(probabilities, reference, prediction)
        flat, true = probabilities.reshape(len(probabilities), -1), reference.reshape(-1)
        inside = ((reference != 0) | (prediction != 0)).reshape(-1)
        total = cls.zeros(classes - 1)
        for start in range(0, true.size, _CHUNK):
            part = slice(start, start + _CHUNK)
            some = np.clip(flat[:, part].astype(np.float64), 0, 1)
            total._count(some, true[part].astype(np.intp), inside[part])
        return total

    @classmethod
    def zeros(cls, labels: int) -> "CaseCalibration":
        """Returns the histograms of no voxels of K labels."""
        shape = (labels, len(REGIONS), BINS)
        counts, positives = (np.zeros(shape, dtype=np.int64) for _ in range(2))
        return cls(counts, positives, np.zeros(shape), np.zeros(shape), np.zeros(len(REGIONS)))

    @property
    def labels(self) -> int:
        """Number of labels K."""
        return len(self.counts)

    def voxels(self, region: Region) -> int:
        """Returns how many voxels a region has."""
        return int(self.counts[0, REGIONS.index(region)].sum())

    def __add__(self, other: "CaseCalibration") -> "CaseCalibration":
        """Returns the histograms of both parts.

        Raises:
            ValueError: If they are not of equally many labels.
        """
        if self.labels != other.labels:
            raise ValueError(
                f"parts of a case must have the same labels, got {self.labels} and {other.labels}"
            )
        return CaseCalibration(*(getattr(self, name) + getattr(other, name) for name in _SUMS))

    def rows(self, labels: Sequence[str]) -> list[dict[str, Any]]:
        """Returns a row per label, region and bin that is not empty, and one per region for the whole case.

        Args:
            labels: Names of the K labels.

        Returns:
            Rows of `label`, `region`, `bin`, `count`, `positives`, `probability`, `squared_error` and `log_loss`.
            The whole case's have label ``all``, `count` and `log_loss`; the others all but `log_loss`. What a row
            does not have is none.

        Raises:
            ValueError: If there are not K names.
        """
        if len(labels) != self.labels:
            raise ValueError(f"{self.labels} labels need as many names, got {', '.join(labels)}")
        return [*self._label_rows(labels), *self._case_rows()]

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> "CaseCalibration":
        """Returns what `rows` wrote; labels come in the order of their first rows.

        Raises:
            ValueError: If rows lack a column or hold what `rows` does not write.
        """
        every = list(rows)
        try:
            order = list(dict.fromkeys(row["label"] for row in every if row["bin"] is not None))
            found = cls.zeros(len(order))
            for row in every:
                region = REGIONS.index(row["region"])
                if row["bin"] is None:
                    found.log_loss[region] = row["log_loss"]
                    continue
                place = order.index(row["label"]), region, range(BINS)[row["bin"]]
                found.counts[place], found.positives[place] = row["count"], row["positives"]
                found.probability[place], found.squared_error[place] = (
                    row["probability"],
                    row["squared_error"],
                )
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(f"rows are not those of a case's calibration: {error!r}") from error
        return found

    def _label_rows(self, labels: Sequence[str]) -> Iterator[dict[str, Any]]:
        for index, region, place in np.argwhere(self.counts).tolist():
            yield {
                "label": labels[index],
                "region": REGIONS[region],
                "bin": place,
                "count": int(self.counts[index, region, place]),
                "positives": int(self.positives[index, region, place]),
                "probability": float(self.probability[index, region, place]),
                "squared_error": float(self.squared_error[index, region, place]),
                "log_loss": None,
            }

    def _case_rows(self) -> Iterator[dict[str, Any]]:
        for region, log_loss in zip(REGIONS, self.log_loss.tolist(), strict=True):
            row = dict.fromkeys(COLUMNS)
            yield row | {
                "label": ALL_LABELS,
                "region": region,
                "count": self.voxels(region),
                "log_loss": log_loss,
            }

    def _count(
        self, probabilities: NDArray[np.float64], true: NDArray[np.intp], inside: NDArray[np.bool_]
    ) -> None:
        """Adds voxels in place: probabilities (C, n), true classes (n,), and whether they are foreground (n,)."""
        if len(probabilities) == 1:
            probabilities = np.concatenate([1 - probabilities, probabilities])
        loss = -np.log(np.maximum(probabilities[true, np.arange(true.size)], LEAST_PROBABILITY))
        self.log_loss[:] += loss.sum(), loss[inside].sum()
        for label, p in enumerate(probabilities[1:]):
            y = true == label + 1
            cells = 4 * np.minimum(p * BINS, BINS - 1).astype(np.intp) + 2 * inside + y
            counts = _regions(cells)
            self.counts[label] += counts.sum(axis=-1)
            self.positives[label] += counts[..., 1]
            self.probability[label] += _regions(cells, p).sum(axis=-1)
            self.squared_error[label] += _regions(cells, np.square(p - y)).sum(axis=-1)


def _regions(cells: NDArray[np.intp], weights: NDArray[np.float64] | None = None) -> NDArray[Any]:
    """Returns sums by region, bin and y, (2, 60, 2), of voxels whose cell is ``4 bin + 2 inside + y``."""
    sums = np.bincount(cells, weights, 4 * BINS).reshape(BINS, 2, 2)
    return np.stack([sums.sum(axis=1), sums[:, 1]])


def _check(probabilities: NDArray[Any], reference: NDArray[Any], prediction: NDArray[Any]) -> int:
    """Returns the number of classes with background."""
    grid = probabilities.shape[1:]
    if not (reference.shape == prediction.shape == grid) or 0 in probabilities.shape:
        raise ValueError(
            "probabilities must be (C, *grid) of the reference's and the prediction's grid and not empty, got "
            f"{probabilities.shape}, {reference.shape} and {prediction.shape}"
        )
    if not np.issubdtype(probabilities.dtype, np.floating):
        raise ValueError(f"probabilities must be floats, got {probabilities.dtype}")
    low, high = float(probabilities.min()), float(probabilities.max())
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):
        raise ValueError(f"probabilities must lie in 0..1, got values {low:g}..{high:g}")
    classes = max(len(probabilities), 2)
    for name, indices in (("reference", reference), ("prediction", prediction)):
        if indices.min() < 0 or indices.max() >= classes:
            raise ValueError(
                f"{name} must hold class indices 0..{classes - 1} for {len(probabilities)} channels, got "
                f"{indices.min()}..{indices.max()}"
            )
    return classes
