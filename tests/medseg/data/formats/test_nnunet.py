import json
import os

import numpy as np
import pytest

from medseg.data import index_dataset, load_image, load_label, resolve_root
from medseg.data.formats import nnunet
from medseg.data.known import EACH_ITS_OWN
from medseg.errors import DataError
from medseg.tasks import SplitSpec


def _edit(root, **changes):
    path = root / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("given", [".", "Dataset007_Herz ü", "nnUNet_raw"])
def test_the_layout_is_found_at_and_above_its_folder(write_nnunet, make_task, tmp_path, given):
    root = write_nnunet(tmp_path / ("nnUNet_raw" if given == "nnUNet_raw" else "") / "Dataset007_Herz ü")
    task = make_task("nnunet")
    above = tmp_path if given == "nnUNet_raw" else tmp_path / given
    assert resolve_root(task, {"mine": above}, tmp_path) == root
    assert resolve_root(task, {"mine": root}, tmp_path) == root


def test_of_several_data_sets_one_must_be_named(write_nnunet, make_task, tmp_path):
    for name in ("Dataset001_A", "Dataset002_B"):
        write_nnunet(tmp_path / name)
    with pytest.raises(DataError, match=r"does not hold the data set 'mine' .*in the only DatasetNNN_NAME/"):
        resolve_root(make_task("nnunet"), {"mine": tmp_path}, tmp_path)


def test_cases_in_natural_order_with_every_channel(write_nnunet, make_task, tmp_path):
    root = write_nnunet(tmp_path / "ä b", channels=2)
    task = make_task("nnunet", channels=2, patient_pattern=EACH_ITS_OWN)
    dataset = index_dataset(task, root, tmp_path / "cache")
    assert [case.id for case in dataset.cases] == ["case_1", "case_2", "case_10"]
    assert dataset.patients == ("case_1", "case_2", "case_10")
    assert (dataset.values, dataset.notes, dataset.alike) == (frozenset({0, 1, 2}), (), ())
    case = dataset.cases[0]
    assert [path.name for path in case.images] == ["case_1_0000.nii.gz", "case_1_0001.nii.gz"]
    assert (case.part, case.shape, case.spacing_mm) == ("", (3, 10, 12), (8.0, 1.4, 1.5))
    assert load_image(case, task).shape == (2, 3, 10, 12)
    assert np.unique(load_label(case, task, dataset.values)).tolist() == [0, 1, 2]
    before = dataset.fingerprint
    _edit(root, description="changed")
    assert index_dataset(task, root, tmp_path / "cache").fingerprint != before


def test_a_labelled_test_part_is_kept_and_an_unlabelled_one_left_out(write_nnunet, make_task, tmp_path):
    root = write_nnunet(tmp_path, test=("case_3", "case_4"))
    (root / "labelsTs" / "case_4.nii.gz").unlink()
    task = make_task("nnunet", patient_pattern=EACH_ITS_OWN)
    dataset = index_dataset(task, root, tmp_path / "cache")
    parts = {case.id: case.part for case in dataset.cases}
    assert parts == {"case_1": "train", "case_2": "train", "case_3": "test", "case_10": "train"}
    assert dataset.notes == ("imagesTs: 1 images without label were left out",)
    (root / "labelsTs" / "case_3.nii.gz").unlink()
    dataset = index_dataset(task, root, tmp_path / "cache")
    assert {case.part for case in dataset.cases} == {""}
    assert dataset.notes == ("imagesTs: 2 images without label were left out",)


@pytest.mark.parametrize("ending", [".png", ".tif", ".nrrd", ".nii"])
def test_other_file_endings(write_nnunet, make_task, tmp_path, ending):
    shape = (12, 10) if ending in (".png", ".tif") else (12, 10, 3)
    root = write_nnunet(tmp_path, ending=ending, shape=shape, channels=2, unit="px")
    task = make_task("nnunet", channels=2, unit="px")
    dataset = index_dataset(task, root, tmp_path / "cache")
    assert len(dataset.cases) == 3
    for case in dataset.cases:
        assert load_image(case, task).shape == (2, *case.shape)
        assert load_label(case, task).shape == case.shape


def test_a_colour_picture_holds_all_of_its_channels(write_nnunet, write_image, make_task, tmp_path):
    root = write_nnunet(tmp_path, ending=".png", shape=(12, 10), channel_names={"0": "R", "1": "G", "2": "B"})
    for number in (1, 2, 10):
        colours = np.random.default_rng(number).integers(0, 256, (12, 10, 3), np.uint8)
        write_image(root / f"imagesTr/case_{number}_0000.png", colours)
    task = make_task("nnunet", channels=3, unit="px")
    dataset = index_dataset(task, root, tmp_path / "cache")
    assert load_image(dataset.cases[0], task).shape == (3, 12, 10)


def test_a_list_of_files_in_the_description(write_nnunet, make_task, tmp_path, monkeypatch):
    other = write_nnunet(tmp_path / "other", channels=2)
    monkeypatch.setenv("ELSEWHERE", str(other))
    root = tmp_path / "Dataset001_A"
    root.mkdir()
    content = json.loads((other / "dataset.json").read_text())
    content["dataset"] = {
        f"case_{number}": {
            "images": [f"$ELSEWHERE/imagesTr/case_{number}_{channel:04d}.nii.gz" for channel in (0, 1)],
            "label": f"../other/labelsTr/case_{number}.nii.gz",
        }
        for number in (1, 2, 10)
    }
    (root / "dataset.json").write_text(json.dumps(content))
    task = make_task("nnunet", channels=2)
    dataset = index_dataset(task, root, tmp_path / "cache")
    assert [case.images for case in dataset.cases] == [
        case.images for case in index_dataset(task, other, tmp_path / "cache").cases
    ]
    content["dataset"] |= {"case_11": {"images": [], "label": "x"}, "case_2": ["x"]}
    content["dataset"]["case_1"]["label"] = "nowhere.nii.gz"
    (root / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="3 problems") as caught:
        index_dataset(task, root, tmp_path / "cache")
    text = str(caught.value)
    assert "dataset.json: dataset: 'case_2' must have 'images' (a list) and 'label'" in text
    assert "dataset.json: dataset: 'case_11' must have 'images' (a list) and 'label'" in text
    assert "nowhere.nii.gz: missing" in text


def test_the_words_of_the_first_version(write_nnunet, make_task, tmp_path):
    root = write_nnunet(tmp_path)
    content = {"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "a", "2": "b"}, "training": []}
    (root / "dataset.json").write_text(json.dumps(content))
    dataset = index_dataset(make_task("nnunet"), root, tmp_path / "cache")
    assert (len(dataset.cases), dataset.values) == (3, frozenset({0, 1, 2}))


def test_regions_declare_each_of_their_values(write_nnunet, make_task, tmp_path):
    root = write_nnunet(tmp_path, labels={"background": 0, "whole": [1, 2], "core": [2]})
    assert index_dataset(make_task("nnunet"), root, tmp_path / "cache").values == frozenset({0, 1, 2})


def test_ignored_voxels_are_refused_unless_the_task_says_what_they_are(write_nnunet, make_task, tmp_path):
    root = write_nnunet(tmp_path, labels={"background": 0, "a": 1, "ignore": 2})
    with pytest.raises(
        DataError,
        match=r"1 problem: dataset\.json: label 'ignore' \(2\): ignore labels are not supported yet, list 2 under "
        r"the task's 'background', or as a label of its own$",
    ):
        index_dataset(make_task("nnunet", labels={"a": 1}), root, tmp_path / "cache")
    task = make_task("nnunet", labels={"a": 1}, background=(2,))
    dataset = index_dataset(task, root, tmp_path / "cache")
    assert dataset.values == frozenset({0, 1})
    assert load_label(dataset.cases[0], task, dataset.values).max() == 1
    assert index_dataset(make_task("nnunet"), root, tmp_path / "cache").cases


def test_every_file_that_misses_another_is_named(write_nnunet, make_task, tmp_path):
    root = write_nnunet(tmp_path, channels=2, train=("a", "b", "c", "d"))
    (root / "imagesTr/a_0001.nii.gz").unlink()
    (root / "labelsTr/b.nii.gz").unlink()
    for channel in (0, 1):
        (root / f"imagesTr/c_000{channel}.nii.gz").unlink()
    os.link(root / "imagesTr/d_0001.nii.gz", root / "imagesTr/d_0002.nii.gz")
    os.link(root / "imagesTr/d_0001.nii.gz", root / "imagesTr/e.nii.gz")
    (root / "imagesTr/._d_0000.nii.gz").write_bytes(b"Mac OS X")
    with pytest.raises(DataError, match="5 problems") as caught:
        index_dataset(make_task("nnunet", channels=2), root, tmp_path / "cache")
    assert str(caught.value).split(": ", 2)[2].split("; ") == [
        "imagesTr/e.nii.gz: must end in its channel, as in _0000.nii.gz",
        "imagesTr/a_0001.nii.gz: missing channel",
        "labelsTr/c.nii.gz: has no image",
        "imagesTr/d_0002.nii.gz: is one channel too many, dataset.json declares 2",
        "imagesTr/b_0000.nii.gz: has no label",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"numTraining": 4}, r"dataset\.json: declares 4 training cases \(numTraining\), 3 are there"),
        ({"channel_names": {"0": "T1", "1": "T2"}}, r"declares channels: 2 \(T1, T2\), the task declares 1"),
        ({"channel_names": None}, r"dataset\.json: needs 'channel_names' \(or 'modality'\) .*, has None"),
        ({"labels": {}}, r"dataset\.json: needs 'labels' .*, has {}"),
        ({"labels": {"a": "x"}}, r"label 'a' must have a whole number or a list of them, has 'x'"),
        (
            {"labels": {"background": 0, "a": 1, "c": [3, 4]}},
            r"no label has the value 2 of the task's 'b', declared are background: 0, a: 1, c: 3, 4$",
        ),
        ({"file_ending": ".mha"}, r"file_ending '\.mha' is not supported; known are \.nii\.gz, "),
        ({"file_ending": ".nii"}, r"declares 3 training cases \(numTraining\), 0 are there"),
    ],
)
def test_a_description_that_does_not_fit(write_nnunet, make_task, tmp_path, changes, message):
    root = write_nnunet(tmp_path)
    _edit(root, **changes)
    with pytest.raises(DataError, match=message) as caught:
        index_dataset(make_task("nnunet"), root, tmp_path / "cache")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"), [("{half a", "is not readable JSON"), ("[]", "must hold a mapping")]
)
def test_a_description_that_cannot_be_read(write_nnunet, make_task, tmp_path, text, message):
    root = write_nnunet(tmp_path)
    (root / "dataset.json").write_text(text)
    with pytest.raises(DataError, match=rf"1 problem: dataset\.json: {message}"):
        index_dataset(make_task("nnunet"), root, tmp_path / "cache")


def test_other_files_are_counted(write_nnunet, make_task, tmp_path):
    root = write_nnunet(tmp_path)
    (root / "imagesTr/readme.txt").write_text("hello")
    (root / "imagesTr/.DS_Store").write_text("x")
    dataset = index_dataset(make_task("nnunet", patient_pattern=EACH_ITS_OWN), root, tmp_path / "cache")
    assert dataset.notes == ("imagesTr: 1 of 4 files do not end in .nii.gz: left out",)


def test_zero_cases_and_other_layouts_are_refused(write_nnunet, write_decathlon, make_task, tmp_path):
    task = make_task("nnunet")
    (tmp_path / "empty" / "imagesTr").mkdir(parents=True)
    root = write_nnunet(tmp_path / "empty", train=())
    with pytest.raises(DataError, match=r"empty: no case found; looked for dataset\.json and imagesTr"):
        index_dataset(task, root, tmp_path / "cache")
    assert nnunet.locate(write_decathlon(tmp_path / "Task02_Heart")) is None
    assert nnunet.locate(tmp_path) is None


def test_a_split_that_lies_there_unused_is_noted(write_nnunet, make_task, tmp_path):
    root = write_nnunet(tmp_path)
    (root / "splits_final.json").write_text("[]")
    task = make_task("nnunet", patient_pattern=EACH_ITS_OWN)
    (note,) = index_dataset(task, root, tmp_path / "cache").notes
    assert note == "splits_final.json is there but not used; split: {file: splits_final.json} takes its folds"
    used = task.model_copy(update={"split": SplitSpec(file="splits_final.json")})
    assert index_dataset(used, root, tmp_path / "cache").notes == ()
