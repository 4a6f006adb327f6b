"""Calibration: whether what was predicted with probability p is there in a share p of the voxels.

Every label is measured one-vs-rest: p is the probability of its class, y says whether the reference has it there.
Metrics come for two regions: all voxels, so that background counts (and dominates), or the voxels where reference or
prediction has any foreground label (``_foreground``). Definitions are those of MetricsReloaded (Maier-Hein et al.
2024, https://doi.org/10.1038/s41592-023-02151-z), as means over voxels. Its code leaves out voxels with p = 0; here
all count: bins hold their lower edge, the last one both.
"""

from functools import partial
from math import log, nan

from medseg.metrics.reliability import BINS, LEAST_PROBABILITY, REGIONS, CaseCalibration, Region
from medseg.metrics.spec import MetricSpec

__all__ = ["CaseCalibration", "brier", "ece", "nll"]

ECE_BINS = 15


def ece(calibration: CaseCalibration, index: int, region: Region = "image", bins: int = ECE_BINS) -> float:
    """Returns a label's expected calibration error: sum over bins of n_b / N * |mean p - mean y|, 0..1.

    Naeini et al. 2015, "Obtaining well calibrated probabilities using Bayesian binning",
    https://doi.org/10.1609/aaai.v29i1.9602; here of one class, as in Kumar et al. 2019,
    https://arxiv.org/abs/1909.10155.

    Args:
        calibration: Histograms of the case.
        index: Class index of the label, from 1.
        region: Which voxels.
        bins: Number of equal bins; it must divide 60.

    Returns:
        The error; NaN where the region has no voxel.

    Raises:
        ValueError: If there is no such label, or 60 fine bins cannot be merged into that many.
    """
    if bins < 1 or BINS % bins:
        raise ValueError(f"bins must divide {BINS}, got {bins}")
    place = _place(calibration, index, region)
    gaps = calibration.probability[place] - calibration.positives[place]
    return _mean(float(abs(gaps.reshape(bins, -1).sum(axis=1)).sum()), calibration.voxels(region))


def brier(calibration: CaseCalibration, index: int, region: Region = "image") -> float:
    """Returns a label's Brier score: the mean of (p - y)^2, 0..1.

    Brier 1950, https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2, whose score of several classes is
    the sum over classes, background among them.

    Args:
        calibration: Histograms of the case.
        index: Class index of the label, from 1.
        region: Which voxels.

    Returns:
        The score; NaN where the region has no voxel.

    Raises:
        ValueError: If there is no such label.
    """
    place = _place(calibration, index, region)
    return _mean(float(calibration.squared_error[place].sum()), calibration.voxels(region))


def nll(calibration: CaseCalibration, _index: int = 0, region: Region = "image") -> float:
    """Returns the negative log-likelihood: the mean of -log p of the true class, background or label.

    A probability below 1e-7 counts as 1e-7, so no voxel counts more than 16.12, which is what a failed case counts.

    Args:
        calibration: Histograms of the case.
        region: Which voxels.

    Returns:
        The mean, in nats; NaN where the region has no voxel.
    """
    return _mean(float(calibration.log_loss[REGIONS.index(region)]), calibration.voxels(region))


def _place(calibration: CaseCalibration, index: int, region: Region) -> tuple[int, int]:
    if not 1 <= index <= calibration.labels:
        raise ValueError(f"index must be that of one of the {calibration.labels} labels, from 1, got {index}")
    return index - 1, REGIONS.index(region)


def _mean(total: float, voxels: int) -> float:
    return total / voxels if voxels else nan


ECE = MetricSpec(
    name="ece",
    title="ECE",
    definition=f"ece/classwise/bins{ECE_BINS}/image/v1",
    higher_is_better=False,
    worst=1.0,
    best=0.0,
    of_calibration=ece,
)
BRIER = MetricSpec(
    name="brier",
    title="Brier score",
    definition="brier/classwise/image/v1",
    higher_is_better=False,
    worst=1.0,
    best=0.0,
    of_calibration=brier,
)
NLL = MetricSpec(
    name="nll",
    title="NLL",
    definition=f"nll/least{LEAST_PROBABILITY:g}/image/v1",
    higher_is_better=False,
    worst=-log(LEAST_PROBABILITY),
    best=0.0,
    of_calibration=nll,
    of_whole_case=True,
)
ECE_FOREGROUND = MetricSpec(
    name="ece_foreground",
    title="ECE (foreground)",
    definition=f"ece_foreground/classwise/bins{ECE_BINS}/v1",
    higher_is_better=False,
    worst=1.0,
    best=0.0,
    of_calibration=partial(ece, region="foreground"),
)
BRIER_FOREGROUND = MetricSpec(
    name="brier_foreground",
    title="Brier score (foreground)",
    definition="brier_foreground/classwise/v1",
    higher_is_better=False,
    worst=1.0,
    best=0.0,
    of_calibration=partial(brier, region="foreground"),
)
NLL_FOREGROUND = MetricSpec(
    name="nll_foreground",
    title="NLL (foreground)",
    definition=f"nll_foreground/least{LEAST_PROBABILITY:g}/v1",
    higher_is_better=False,
    worst=-log(LEAST_PROBABILITY),
    best=0.0,
    of_calibration=partial(nll, region="foreground"),
    of_whole_case=True,
)
