from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.data import Case, DataSet, Split, make_split
from medseg.errors import DataError
from medseg.tasks import TASKS, SplitSpec

TASK = TASKS.load("covid-lung")


def _dataset(groups: dict[str, str], parts: dict[str, str] | None = None, images: int = 1) -> DataSet:
    cases = tuple(
        Case(f"{patient}-{i}", patient, group, (parts or {}).get(patient, ""), (Path("i"),), Path("l"))
        for patient, group in groups.items()
        for i in range(images)
    )
    return DataSet(TASK, Path("root"), cases, "f" * 64)


def _task(**split):
    return TASK.model_copy(update={"split": SplitSpec(**split)})


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    share=st.floats(0.05, 0.6),
    folds=st.integers(2, 5),
    seed=st.integers(0, 9),
)
def test_everyone_is_in_one_place_and_groups_keep_their_shares(sizes, share, folds, seed):
    groups = {f"p{g}-{i}": f"g{g}" for g, size in enumerate(sizes) for i in range(size)}
    task = _task(test=share, folds=folds, seed=seed)
    wanted = max(1, round(share * len(groups)))
    if len(groups) - wanted < folds:
        with pytest.raises(DataError, match=f"{folds} folds need at least {folds} patients"):
            make_split(task, _dataset(groups))
        return
    split = make_split(task, _dataset(groups, images=2))
    placed = [*split.test, *(p for fold in split.folds for p in fold)]
    assert sorted(placed) == sorted(groups)
    assert len(split.test) == wanted
    assert max(map(len, split.folds)) - min(map(len, split.folds)) <= 1
    tested = Counter(groups[p] for p in split.test)
    for g, size in enumerate(sizes):
        assert abs(tested[f"g{g}"] - share * size) < 1.5
        in_folds = [sum(groups[p] == f"g{g}" for p in fold) for fold in split.folds]
        assert max(in_folds) - min(in_folds) <= 1
    for fold in range(folds):
        train, validation, test = split.patients(fold)
        assert sorted((*train, *validation, *test)) == sorted(groups)
        assert validation == split.folds[fold]
        assert test == split.test


def test_the_order_of_files_does_not_matter_and_the_seed_does():
    groups = {f"p{i}": "ab"[i % 2] for i in range(30)}
    split = make_split(_task(test=0.3), _dataset(groups))
    assert make_split(_task(test=0.3), _dataset(dict(reversed(groups.items())))) == split
    other = make_split(_task(test=0.3, seed=1), _dataset(groups))
    assert other.test != split.test
    assert other.hash != split.hash


def test_a_split_is_the_same_on_every_machine():
    # Sorted by SHA-256 of "0/test/<patient>" and "0/fold/<patient>", dealt out in turn.
    split = make_split(_task(test=0.25, folds=2), _dataset({f"p{i}": "" for i in range(8)}))
    assert split.test == ("p0", "p3")
    assert split.folds == (("p1", "p6", "p7"), ("p2", "p4", "p5"))


def test_the_hash_covers_every_assignment():
    base = Split(("a",), (("b", "c"), ("d",)))
    others = [Split(("a",), (("b",), ("c", "d"))), Split(("b",), (("a", "c"), ("d",)))]
    assert len({base.hash, *(other.hash for other in others)}) == 3
    assert len(base.hash) == 16


def test_the_hash_covers_which_case_is_of_which_patient():
    dataset = _dataset({f"p{i}": "" for i in range(9)}, images=2)
    swapped = {"p0-0": "p1", "p1-0": "p0"}
    cases = tuple(replace(case, patient=swapped.get(case.id, case.patient)) for case in dataset.cases)
    one, other = make_split(_task(), dataset), make_split(_task(), replace(dataset, cases=cases))
    assert (one.test, one.folds) == (other.test, other.folds)
    assert one.hash != other.hash


def test_the_official_test_part_is_kept():
    groups = {f"p{i}": "" for i in range(9)}
    parts = {p: "test" if p in ("p2", "p5") else "train" for p in groups}
    assert make_split(_task(test="official", folds=3), _dataset(groups, parts)).test == ("p2", "p5")


def test_without_an_official_test_part_it_cannot_be_asked_for():
    with pytest.raises(DataError, match="'official', but no case is in the testing part"):
        make_split(_task(test="official"), _dataset({f"p{i}": "" for i in range(9)}))


def test_a_patient_in_both_official_parts_is_refused():
    dataset = _dataset({f"p{i}": "" for i in range(9)}, {"p1": "train"}, images=2)
    twice = (*dataset.cases, Case("x", "p1", "", "test", (Path("i"),), Path("l")))
    with pytest.raises(DataError, match="patient 'p1' is in both the training and the testing part"):
        make_split(_task(test="official"), DataSet(TASK, Path("root"), twice, ""))


def test_the_same_image_under_two_patients_of_different_parts_is_refused():
    patients = [f"p{i}" for i in range(20)]
    split = make_split(_task(), _dataset(dict.fromkeys(patients, "")))
    pair = (split.test[0], split.folds[0][0])
    cases = tuple(
        Case(f"{p}-1", p, "", "", (Path("i"),), Path("l"), digest="same" if p in pair else p)
        for p in patients
    )
    with pytest.raises(DataError, match="are the very same image") as caught:
        make_split(_task(), DataSet(TASK, Path("root"), cases, ""))
    assert all(f"'{p}-1'" in str(caught.value) for p in pair)


def test_nearly_the_same_image_under_two_patients_of_different_parts_is_refused():
    patients = [f"p{i}" for i in range(20)]
    dataset = _dataset(dict.fromkeys(patients, ""))
    split = make_split(_task(), dataset)
    across = (f"{split.test[0]}-0", f"{split.folds[0][0]}-0")
    between = (f"{split.folds[0][0]}-0", f"{split.folds[1][0]}-0")
    within = (f"{split.folds[2][0]}-0", f"{split.folds[2][1]}-0")
    assert make_split(_task(), replace(dataset, alike=(within,))) == split
    with pytest.raises(
        DataError, match=r"nearly the same image: list both .* \(1 more such pairs\)$"
    ) as caught:
        make_split(_task(), replace(dataset, alike=(within, across, between)))
    assert all(f"'{case}'" in str(caught.value) for case in across)


def test_the_test_part_can_be_named():
    groups = {f"p{i}": "" for i in range(9)}
    assert make_split(_task(test=("p7", "p3"), folds=2), _dataset(groups)).test == ("p3", "p7")
    with pytest.raises(DataError, match=r"split\.test names 'p99', which is no patient here"):
        make_split(_task(test=("p99",)), _dataset(groups))


def test_a_fold_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"fold must lie in 0\.\.1, got 2"):
        Split((), (("a",), ("b",))).patients(2)
