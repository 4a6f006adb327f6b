"""How much of the spread of values is patient, seed and fold.

Henderson (1953), Estimation of variance and covariance components, Biometrics 9(2):226-252, method 3: reductions in
sums of squares are equated with what they are expected to be. With every value there it is the analysis of variance;
it needs neither complete tables nor normal values.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.stats.aggregate import RunValues

Floats = NDArray[np.float64]
PARTS = ("patient", "seed", "fold", "residual")


@dataclass(frozen=True)
class Components:
    """Variances of one entry's values, or of the paired differences of two, in the metric's unit squared.

    A variance that the runs cannot tell is NaN. Estimates below zero are zero.

    Args:
        patient: Between patients, of their means over many runs. Of a single run it holds the residual, too.
        seed: Between seeds of one fold, of their means over many patients; NaN with one seed per fold.
        fold: Between folds; NaN with one fold, or where each fold tests other patients. With one seed per fold it
            holds what seeds differ by, too.
        residual: What is left: how a patient's value changes from run to run beyond how all change. NaN of a
            single run.
        n_patients: Patients with a value.
        n_runs: Runs with a value: fold and seed.
        n_folds: Folds with a value.
    """

    patient: float
    seed: float
    fold: float
    residual: float
    n_patients: int = 0
    n_runs: int = 0
    n_folds: int = 0

    @property
    def total(self) -> float:
        """Variance of a single run's value of a single patient; NaN where nothing is known."""
        known = [part for part in self._parts() if not math.isnan(part)]
        return sum(known) if known else math.nan

    @property
    def shares(self) -> dict[str, float]:
        """Share of each part in the total, 0..1, by name; NaN as the parts are, or where nothing varies."""
        total = self.total
        return {
            name: part / total if total > 0 else math.nan
            for name, part in zip(PARTS, self._parts(), strict=True)
        }

    def _parts(self) -> tuple[float, float, float, float]:
        return self.patient, self.seed, self.fold, self.residual


def variance_components(runs: RunValues) -> dict[str, Components]:
    """Returns the variances of each entry's values, by entry.

    The model is ``value = mean + patient + fold + seed within fold + residual``, all random and independent.

    Args:
        runs: Values by entry, run and patient; NaN is left out.
    """
    return {name: _components(runs.values[i], runs.runs) for i, name in enumerate(runs.entries)}


def difference_components(runs: RunValues, first: str, second: str) -> Components:
    """Returns the variances of `first` minus `second`, taken run by run and patient by patient.

    What both entries find hard alike is gone from them: these are the variances that a comparison has to deal with.

    Args:
        runs: Values by entry, run and patient.
        first: An entry.
        second: Another entry.

    Raises:
        ValueError: If there is no such entry.
    """
    for entry in (first, second):
        if entry not in runs.entries:
            raise ValueError(f"no entry {entry!r}; there are {', '.join(runs.entries)}")
    gap = runs.values[runs.entries.index(first)] - runs.values[runs.entries.index(second)]
    return _components(gap, runs.runs)


def _components(values: Floats, runs: tuple[tuple[int, int], ...]) -> Components:
    """Returns the components of one table, runs x patients."""
    valid = ~np.isnan(values)
    used, seen = valid.any(axis=1), valid.any(axis=0)
    values, valid = values[used][:, seen], valid[used][:, seen]
    folds = np.array([fold for fold, _ in runs])[used]
    names = np.unique(folds)
    parts = (math.nan,) * 4
    if valid.any():
        filled = np.where(valid, values - values[valid].mean(), 0.0)
        parts = _solve(filled, valid.astype(float), (folds[:, None] == names).astype(float))
    return Components(*parts, int(seen.sum()), int(used.sum()), len(names))


def _solve(values: Floats, valid: Floats, member: Floats) -> tuple[float, float, float, float]:
    """Equates sums of squares with their expectations, from the innermost one outwards.

    Args:
        values: Runs x patients, 0 where there is none.
        valid: 1 where there is one.
        member: Runs x folds, 1 where a run is of a fold.
    """
    n_runs, n_patients = values.shape
    per_run, per_patient = valid.sum(axis=1), valid.sum(axis=0)
    # Runs adjusted for patients: the normal equations with the patients swept out.
    normal = np.diag(per_run) - (valid / per_patient) @ valid.T
    right = values.sum(axis=1) - valid @ (values.sum(axis=0) / per_patient)
    of_folds = member.T @ normal @ member
    # What rounding leaves of zero must not pass for information on folds.
    of_folds[np.abs(of_folds) < 1e-9 * np.trace(normal)] = 0.0
    runs_rank, runs_sum, _ = _reduction(normal, right)
    folds_rank, folds_sum, inverse = _reduction(of_folds, member.T @ right)
    within_patients = (values**2).sum() - (values.sum(axis=0) ** 2 / per_patient).sum()
    within_runs = (values**2).sum() - (values.sum(axis=1) ** 2 / per_run).sum()
    left = max(0.0, within_patients - runs_sum)

    freedom = valid.sum() - n_patients - runs_rank
    residual = left / freedom if freedom > 0 else math.nan
    known = residual if freedom > 0 else 0.0
    seed_weight = np.trace(normal) - np.trace(inverse @ member.T @ normal @ normal @ member)
    seed = _estimate(runs_sum - folds_sum, runs_rank - folds_rank, seed_weight, known)
    seed_in_folds = 0.0 if math.isnan(seed) else seed
    inner = np.trace(inverse @ member.T @ normal @ normal @ member) * seed_in_folds
    fold = _estimate(folds_sum - inner, folds_rank, np.trace(of_folds), known)
    # Connected parts of the table: the patients' rank once runs are in the model.
    patients_rank = n_patients - (n_runs - runs_rank)
    patient = _estimate(within_runs - left, patients_rank, valid.sum() - n_runs, known)
    return patient, seed, fold, float(residual)


def _reduction(normal: Floats, right: Floats) -> tuple[int, float, Floats]:
    """Returns the rank of normal equations, the sum of squares they explain, and their inverse."""
    rank = int(np.linalg.matrix_rank(normal, hermitian=True, tol=1e-9 * max(1.0, float(np.trace(normal)))))
    inverse: Floats = np.asarray(np.linalg.pinv(normal, hermitian=True, rcond=1e-9), float)
    return rank, float(right @ inverse @ right), inverse


def _estimate(total: float, rank: int, weight: float, residual: float) -> float:
    """Solves ``total = rank * residual + weight * variance``; NaN where nothing depends on the variance."""
    if rank <= 0:
        return math.nan
    return float(max(0.0, (total - rank * residual) / weight))
