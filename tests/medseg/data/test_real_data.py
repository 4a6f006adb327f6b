"""On the real subsets beside the repository; skipped, saying so, where they are not."""

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from medseg.data import DataSet, index_dataset, load_image, load_label, make_split, prepare, resolve_root
from medseg.tasks import TASKS, TaskSpec

SHARED = Path(__file__).parents[3].parent / "shared" / "data"


def _dice_after_round_trip(task: TaskSpec, dataset: DataSet, cache: Path) -> list[float]:
    prepared = prepare(task, dataset, cache)
    dice = []
    for case in dataset.cases:
        labels = prepared.labels[prepared.slices(case.id)]
        classes = range(task.out_channels) if task.out_channels > 1 else [1]
        hot = np.stack([labels == k for k in classes], axis=1).astype(np.float32)
        back = prepared.to_native(case.id, hot)
        decided = back.argmax(axis=0) if len(back) > 1 else (back[0] >= 0.5).astype(np.uint8)
        reference = load_label(case, task)
        for k in range(1, task.classes):
            both = ((decided == k) & (reference == k)).sum()
            dice.append(2 * both / ((decided == k).sum() + (reference == k).sum()))
    return dice


def test_real_data_index_split_and_survive_the_round_trip(real_root, tmp_path):
    key, root = real_root
    task = TASKS.load({"acdc": "acdc-multiclass", "covid": "covid-lung"}[key])
    dataset = index_dataset(task, resolve_root(task, {key: root}, tmp_path), tmp_path)
    assert (len(dataset.cases), len(dataset.patients)) == {"acdc": (32, 16), "covid": (20, 18)}[key]
    split = make_split(task, dataset)
    assert len(split.test) == 4
    assert sum(map(len, split.folds)) + 4 == len(dataset.patients)
    for case in dataset.cases:
        image = load_image(case, task)
        assert image.dtype == np.float32
        assert len(image) == 1
        assert image.ndim - 1 == len(case.shape) == len(case.spacing_mm)
        if key == "acdc":
            assert image.shape[1:] == case.shape
    assert min(_dice_after_round_trip(task, dataset, tmp_path)) >= 0.99


def test_resampling_real_hearts_there_and_back_keeps_their_labels(tmp_path):
    root = SHARED / "acdc"
    if not root.is_dir():
        pytest.skip("no real data at <repository>/../shared/data/acdc")
    base = TASKS.load("acdc-multiclass")
    task = base.model_copy(update={"spacing_mm": (1.25, 1.25), "image_size": (320, 288)})
    dataset = index_dataset(task, root, tmp_path)
    assert min(_dice_after_round_trip(task, dataset, tmp_path)) >= 0.99


def test_a_patient_with_several_xrays_is_never_divided(tmp_path):
    root = SHARED / "covid"
    if not root.is_dir():
        pytest.skip("no real data at <repository>/../shared/data/covid")
    task = TASKS.load("covid-lung")
    dataset = index_dataset(task, root, tmp_path)
    several = [p for p in dataset.patients if sum(c.patient == p for c in dataset.cases) == 3]
    assert len(several) == 1
    split = make_split(task, dataset)
    assert sum(several[0] in part for part in (split.test, *split.folds)) == 1


def _as_nnunet(dataset: DataSet, root: Path) -> None:
    """Copies ACDC into nnU-Net's raw layout, its test part with labels."""
    for case in dataset.cases:
        tail = "Ts" if case.part == "test" else "Tr"
        for folder, source, name in (
            (f"images{tail}", case.image, f"{case.id}_0000.nii.gz"),
            (f"labels{tail}", case.label, f"{case.id}.nii.gz"),
        ):
            (root / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(source, root / folder / name)
    description = {
        "channel_names": {"0": "cineMRI"},
        "labels": {"background": 0, "RV": 1, "MYO": 2, "LV": 3},
        "numTraining": sum(case.part == "train" for case in dataset.cases),
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(description))


def _as_decathlon(dataset: DataSet, root: Path) -> None:
    """Copies ACDC into the Decathlon's layout, image and its negative as two channels of a 4D file."""
    listing = []
    for case in dataset.cases:
        for folder in ("imagesTr", "labelsTr"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        volume = nibabel.load(case.image)
        values = np.asarray(volume.dataobj)
        both = nibabel.Nifti1Image(np.stack([values, -values], axis=-1), volume.affine)
        both.header.set_zooms((*volume.header.get_zooms(), 1.0))
        nibabel.save(both, root / f"imagesTr/{case.id}.nii.gz")
        shutil.copy(case.label, root / f"labelsTr/{case.id}.nii.gz")
        listing.append({"image": f"./imagesTr/{case.id}.nii.gz", "label": f"./labelsTr/{case.id}.nii.gz"})
    description = {
        "name": "ACDC",
        "modality": {"0": "MRI", "1": "negative"},
        "labels": {"0": "background", "1": "RV", "2": "MYO", "3": "LV"},
        "numTraining": len(listing),
        "training": listing,
        "test": [],
    }
    (root / "dataset.json").write_text(json.dumps(description))


@pytest.mark.parametrize("layout", ["nnunet", "decathlon", "folder"])
def test_acdc_is_the_same_in_every_layout(layout, tmp_path):
    root = SHARED / "acdc"
    if not root.is_dir():
        pytest.skip("no real data at <repository>/../shared/data/acdc")
    acdc = TASKS.load("acdc-multiclass")
    dataset = index_dataset(acdc, root, tmp_path)
    channels = 2 if layout == "decathlon" else 1
    settings = {"format": layout, "dataset": "mine", "channels": channels}
    task = acdc.model_copy(update=settings)
    copied = tmp_path / "data" / {"nnunet": "Dataset027_ACDC", "decathlon": "Task27_ACDC"}.get(layout, "")
    if layout == "nnunet":
        _as_nnunet(dataset, copied)
    elif layout == "decathlon":
        _as_decathlon(dataset, copied)
    else:
        for case in dataset.cases:
            part = copied / case.part
            for source, name in ((case.image, "images"), (case.label, "masks")):
                (part / name).mkdir(parents=True, exist_ok=True)
                shutil.copy(source, part / name)
    rows = [f"{case.id}.nii.gz,{case.patient},{case.subgroup}\n" for case in dataset.cases]
    (copied / "groups.csv").write_text("image,patient,subgroup\n" + "".join(rows))
    again = index_dataset(task, resolve_root(task, {"mine": tmp_path / "data"}, tmp_path), tmp_path)
    assert again.patients == dataset.patients
    for case, other in zip(dataset.cases, again.cases, strict=True):
        assert (case.id, case.shape, case.spacing_mm) == (other.id, other.shape, other.spacing_mm)
        assert other.part == ("" if layout == "decathlon" else case.part)
        image = load_image(other, task)
        np.testing.assert_array_equal(image[:1], load_image(case, acdc))
        np.testing.assert_array_equal(image[1:], -image[: channels - 1])
        np.testing.assert_array_equal(load_label(other, task, again.values), load_label(case, acdc))
    if layout != "decathlon":
        assert make_split(task, again) == make_split(acdc, dataset)
