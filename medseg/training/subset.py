"""Which patients are validated after every epoch. Imports no torch."""

from collections.abc import Mapping, Sequence

import numpy as np

from medseg.training.sampling import SUBSET, derive_seed

LEAST_PATIENTS = 8


def validation_subset(
    patients: Sequence[str], slices: Mapping[str, int], most_slices: int, fold: int
) -> tuple[str, ...]:
    """Chooses whole patients for the validation after an epoch, the same ones for every trial of a fold.

    Args:
        patients: The validation patients.
        slices: How many slices each has.
        most_slices: As many slices, but at least 8 patients.
        fold: Which fold they are; seeds the choice.

    Returns:
        All patients if they fit, else some of them, in their order.
    """
    if sum(slices[patient] for patient in patients) <= most_slices:
        return tuple(patients)
    order = np.random.default_rng(derive_seed(SUBSET, fold)).permutation(len(patients))
    chosen: set[str] = set()
    taken = 0
    for index in order:
        patient = patients[index]
        if taken + slices[patient] > most_slices and len(chosen) >= LEAST_PATIENTS:
            break
        chosen.add(patient)
        taken += slices[patient]
    return tuple(patient for patient in patients if patient in chosen)
