import json

import numpy as np
import pytest

from medseg.data import index_dataset, load_image, load_label, resolve_root
from medseg.data.formats import decathlon
from medseg.data.known import EACH_ITS_OWN
from medseg.errors import DataError


def _edit(root, **changes):
    path = root / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("channels", [1, 2])
def test_cases_are_those_listed_and_channels_the_fourth_axis(write_decathlon, make_task, tmp_path, channels):
    root = write_decathlon(tmp_path / "Dä ta" / "Task02_Heart", channels=channels)
    task = make_task("decathlon", channels=channels, patient_pattern=EACH_ITS_OWN)
    assert resolve_root(task, {"mine": root.parent}, tmp_path) == root
    dataset = index_dataset(task, root, tmp_path / "cache")
    assert [case.id for case in dataset.cases] == ["la_3", "la_7", "la_10"]
    assert dataset.notes == ("dataset.json lists 1 test images, which have no labels: left out",)
    assert dataset.values == frozenset({0, 1, 2})
    case = dataset.cases[0]
    assert (case.part, case.patient, case.shape, case.spacing_mm) == (
        "",
        "la_3",
        (3, 10, 12),
        (8.0, 1.4, 1.5),
    )
    assert load_image(case, task).shape == (channels, 3, 10, 12)
    assert np.unique(load_label(case, task, dataset.values)).tolist() == [0, 1, 2]


def test_of_several_tasks_one_must_be_named(write_decathlon, make_task, tmp_path):
    for name in ("Task02_Heart", "Task03_Liver"):
        write_decathlon(tmp_path / name)
    assert decathlon.locate(tmp_path) is None
    assert decathlon.locate(tmp_path / "Task03_Liver") == tmp_path / "Task03_Liver"


def test_the_layout_of_nnunet_is_another(write_nnunet, tmp_path):
    assert decathlon.locate(write_nnunet(tmp_path / "v2")) is None
    assert decathlon.locate(write_nnunet(tmp_path / "v1", training=[])) is None
    assert decathlon.locate(tmp_path) is None


def test_files_that_are_not_listed_are_counted_and_macos_files_ignored(write_decathlon, make_task, tmp_path):
    root = write_decathlon(tmp_path)
    training = json.loads((root / "dataset.json").read_text())["training"]
    mac = {"image": "./imagesTr/._la_3.nii.gz", "label": "./labelsTr/._la_3.nii.gz"}
    _edit(root, training=[*training[:2], mac], test=[])
    dataset = index_dataset(make_task("decathlon", patient_pattern=EACH_ITS_OWN), root, tmp_path / "cache")
    assert [case.id for case in dataset.cases] == ["la_3", "la_10"]
    assert dataset.notes == (
        "dataset.json declares 3 training cases (numTraining) and lists 2",
        "imagesTr: 1 files are not in dataset.json, e.g. la_7.nii.gz: left out",
        "labelsTr: 1 files are not in dataset.json, e.g. la_7.nii.gz: left out",
    )


def test_listed_files_must_be_there_and_readable(write_decathlon, make_task, tmp_path):
    root = write_decathlon(tmp_path)
    (root / "labelsTr/la_3.nii.gz").unlink()
    (root / "imagesTr/la_7.nii.gz").write_bytes(b"<html>404</html>")
    with pytest.raises(DataError, match="2 problems") as caught:
        index_dataset(make_task("decathlon"), root, tmp_path / "cache")
    assert "labelsTr/la_3.nii.gz: missing" in str(caught.value)
    assert "imagesTr/la_7.nii.gz: is not a readable NIfTI file" in str(caught.value)


def test_four_axes_where_three_are_expected(write_decathlon, make_task, tmp_path):
    root = write_decathlon(tmp_path, channels=2)
    _edit(root, modality={"0": "MRI"})
    with pytest.raises(
        DataError,
        match=r"imagesTr/la_3\.nii\.gz: image has 2 channels \(its fourth axis\), the task declares 1",
    ):
        index_dataset(make_task("decathlon"), root, tmp_path / "cache")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": {}}, r"dataset\.json: 'training' must be a list of image and label, is a dict"),
        ({"training": ["a"]}, r"dataset\.json: training\[0\] must have 'image' and 'label', has 'a'"),
        ({"training": [{"image": "x"}]}, r"training\[0\] must have 'image' and 'label', has {'image': 'x'}"),
        ({"training": []}, r"no case found; looked for dataset\.json with a list 'training'"),
        ({"modality": {"0": "CT", "1": "PET"}}, r"declares channels: 2 \(CT, PET\), the task declares 1"),
        (
            {"labels": {"0": "background", "1": "a"}},
            r"no label has the value 2 of the task's 'b', declared are ",
        ),
    ],
)
def test_a_description_that_does_not_fit(write_decathlon, make_task, tmp_path, changes, message):
    root = write_decathlon(tmp_path)
    _edit(root, **changes)
    with pytest.raises(DataError, match=message) as caught:
        index_dataset(make_task("decathlon"), root, tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_a_description_that_cannot_be_read(write_decathlon, make_task, tmp_path):
    root = write_decathlon(tmp_path)
    (root / "dataset.json").write_text("{half a")
    with pytest.raises(DataError, match=r"1 problem: dataset\.json: is not readable JSON"):
        index_dataset(make_task("decathlon"), root, tmp_path / "cache")
