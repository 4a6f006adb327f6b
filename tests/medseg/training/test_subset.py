from medseg.training.subset import LEAST_PATIENTS, validation_subset

PATIENTS = tuple(f"p{n}" for n in range(20))
SLICES = dict.fromkeys(PATIENTS, 10)


def test_all_are_taken_where_they_fit():
    assert validation_subset(PATIENTS, SLICES, 200, 0) == PATIENTS


def test_no_more_slices_than_allowed_and_in_order():
    chosen = validation_subset(PATIENTS, SLICES, 199, 0)
    assert len(chosen) == 19
    assert list(chosen) == sorted(chosen, key=PATIENTS.index)
    assert chosen == validation_subset(PATIENTS, SLICES, 199, 0)


def test_folds_differ_but_nothing_else_does():
    assert validation_subset(PATIENTS, SLICES, 120, 0) != validation_subset(PATIENTS, SLICES, 120, 1)


def test_eight_patients_at_least():
    assert len(validation_subset(PATIENTS, SLICES, 1, 0)) == LEAST_PATIENTS == 8
    assert validation_subset(PATIENTS[:5], SLICES, 1, 0) == PATIENTS[:5]


def test_slices_of_patients_count_not_patients():
    heavy = {**SLICES, **dict.fromkeys(PATIENTS[10:], 1)}
    chosen = validation_subset(PATIENTS, heavy, 60, 0)
    assert sum(heavy[patient] for patient in chosen) <= 60 or len(chosen) == LEAST_PATIENTS
