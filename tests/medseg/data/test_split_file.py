import json
from pathlib import Path

import pytest

from medseg.data import Case, DataSet, make_split
from medseg.errors import DataError
from medseg.tasks import TASKS, SplitSpec

TASK = TASKS.load("acdc-multiclass")
PATIENTS = [f"p{i}" for i in range(8)]


def dataset(root: Path, tested: tuple[str, ...] = ()) -> DataSet:
    cases = tuple(
        Case(f"{p}_{k}", p, "", "test" if p in tested else "train" if tested else "", (Path("i"),), Path("l"))
        for p in PATIENTS
        for k in range(2)
    )
    return DataSet(TASK, root, cases, "f")


def split(root: Path, content: object, name: str = "splits.json", tested: tuple[str, ...] = (), **spec):
    text = content if isinstance(content, str) else json.dumps(content)
    (root / name).write_text(text)
    task = TASK.model_copy(update={"split": SplitSpec(file=name, **spec)})
    return make_split(task, dataset(root, tested))


def nnunet(*folds: list[str]) -> list[dict[str, list[str]]]:
    everyone = [name for fold in folds for name in fold]
    return [{"train": [n for n in everyone if n not in fold], "val": fold} for fold in folds]


def test_a_file_gives_test_part_and_folds_by_patient_or_case(tmp_path):
    content = {"test": ["p0", "p1_0", "p1_1"], "folds": [["p2", "p3"], ["p4", "p5_0"], ["p6", "p7"]]}
    found = split(tmp_path, content)
    assert found.test == ("p0", "p1")
    assert found.folds == (("p2", "p3"), ("p4", "p5"), ("p6", "p7"))


def test_yaml_says_the_same(tmp_path):
    text = "test: [p0, p1]\nfolds:\n  - [p2, p3, p4]\n  - [p5, p6, p7]\n"
    found = split(tmp_path, text, "split.yaml")
    assert (found.test, found.folds) == (("p0", "p1"), (("p2", "p3", "p4"), ("p5", "p6", "p7")))


def test_nnunet_folds_with_the_official_test_part(tmp_path):
    folds = nnunet(
        [f"p{i}_{k}" for i in (2, 3) for k in (0, 1)], [f"p{i}_{k}" for i in (4, 5, 6, 7) for k in (0, 1)]
    )
    found = split(tmp_path, folds, "splits_final.json", tested=("p0", "p1"), test="official")
    assert (found.test, found.folds) == (("p0", "p1"), (("p2", "p3"), ("p4", "p5", "p6", "p7")))


def test_without_a_test_part_the_share_is_taken_out_of_the_folds(tmp_path):
    found = split(tmp_path, nnunet(PATIENTS[:4], PATIENTS[4:]), test=0.25)
    assert len(found.test) == 2
    assert [set(fold) for fold in found.folds] == [
        set(PATIENTS[:4]) - set(found.test),
        set(PATIENTS[4:]) - set(found.test),
    ]


def test_a_file_beside_the_data_or_in_the_parent_is_found(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    (tmp_path / "s.json").write_text(json.dumps({"test": ["p0"], "folds": [PATIENTS[1:4], PATIENTS[4:]]}))
    task = TASK.model_copy(update={"split": SplitSpec(file="s.json")})
    assert make_split(task, dataset(root)).test == ("p0",)
    task = TASK.model_copy(update={"split": SplitSpec(file="other.json")})
    with pytest.raises(DataError, match=r"split\.file: no file 'other\.json' \(looked in "):
        make_split(task, dataset(root))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"test": ["p0"], "folds": [["p1", "p2"], ["p2", "p3"]]}, "patient 'p2' is in fold 0 and in fold 1"),
        ({"test": ["p0"], "folds": [["p0_1", "p2"], ["p3"]]}, "patient 'p0' is in test and in fold 0"),
        # One case of a patient in each fold: the leak that splits by slice or frame make.
        (nnunet(["p0_0", "p1_0"], ["p0_1", "p1_1"]), "patient 'p0' is in train and in val of fold 0"),
        (
            [{"train": ["p2"], "val": ["p0", "p1"]}, {"train": ["p0"], "val": ["p1"]}],
            "patient 'p1' is in fold 0",
        ),
        ({"test": ["p0"], "folds": [["p1", "p9"], ["p2"]]}, "'p9' is neither a case nor a patient"),
        (
            {"test": ["p0"], "folds": [["p1"], ["p2"]]},
            "leaves out 5 patients that are not tested on, e.g. 'p3'",
        ),
        ({"test": ["p0"], "folds": [PATIENTS[1:]]}, "needs at least 2 folds, has 1"),
        ({"folds": []}, "must be a list of {train"),
        ({"test": "p0", "folds": [["p1"], ["p2"]]}, "must be a list of {train"),
        ([{"train": ["p0"]}], "must be a list of {train"),
        ("{half", "cannot be read"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message.replace("{", r"\{")):
        split(tmp_path, content)


def test_numbers_in_yaml_are_names(tmp_path):
    cases = tuple(Case(f"00{i}", f"00{i}", "", "", (Path("i"),), Path("l")) for i in range(4))
    (tmp_path / "s.yaml").write_text("test: [000]\nfolds: [[001], [002, 003]]\n")
    task = TASK.model_copy(update={"split": SplitSpec(file="s.yaml")})
    assert make_split(task, DataSet(TASK, tmp_path, cases, "f")).folds == (("001",), ("002", "003"))


def test_a_name_that_means_a_case_and_another_patient_is_refused(tmp_path):
    cases = tuple(
        Case(a, b, "", "", (Path("i"),), Path("l")) for a, b in (("1", "2"), ("2", "1"), ("3", "3"))
    )
    (tmp_path / "s.json").write_text(json.dumps(nnunet(["1"], ["2", "3"])))
    task = TASK.model_copy(update={"split": SplitSpec(file="s.json", test=("3",))})
    with pytest.raises(
        DataError, match=r"'[12]' is a case of patient '[12]' and also another patient's name"
    ):
        make_split(task, DataSet(TASK, tmp_path, cases, "f"))


def test_the_test_part_may_not_take_a_whole_fold(tmp_path):
    with pytest.raises(DataError, match=r"takes every patient of a fold of splits\.json"):
        split(tmp_path, nnunet(["p0"], PATIENTS[1:]), test=("p0",))
