"""A data set of one's own, from files on disk to case rows."""

import nibabel
import numpy as np
import pytest

from medseg.config import Component
from medseg.tasks import SplitSpec, TaskSpec
from medseg.training.config import TrainConfig, TrialSpec
from medseg.training.trial import TrialFiles, open_data, run_trial

TASK = TaskSpec(
    name="blobs",
    dataset="blobs",
    format="folder",
    labels={"bright": 2, "dark": 5},
    background=(9,),
    channels=2,
    image_size=(32, 32),
    spacing_mm=(2.0, 2.0),
    patient_pattern=r"^(.+) visit",
    split=SplitSpec(test=("Jürgen",), folds=2),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Volumes of five patients with two visits each: the first channel shows one label, the second the other."""
    root = tmp_path_factory.mktemp("own") / "meine Daten"
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for patient in ("Ada", "Ben", "Cleo", "Dana", "Jürgen"):
        for visit in (1, 2):
            shape = (40, 36, int(rng.integers(3, 6)))
            mask = np.zeros(shape, np.uint8)
            x, y = rng.integers(6, 18, 2)
            mask[x : x + 9, y : y + 9] = 2
            mask[x + 11 : x + 18, y : y + 9, 1:] = 5
            mask[0, 0, 0] = 9
            for channel, value in enumerate((2, 5)):
                image = rng.normal(100 + 80 * (mask == value), 15).astype(np.float32)
                _save(image, root / "images" / f"{patient} visit{visit}_{channel:04d}.nii.gz")
            _save(mask, root / "masks" / f"{patient} visit{visit}.nii.gz")
    return root


def _save(values, path):
    volume = nibabel.Nifti1Image(values, np.eye(4))
    volume.header.set_zooms((1.8, 1.6, 7.0))
    nibabel.save(volume, path)


def test_two_channel_volumes_train_slice_by_slice_and_are_measured_as_volumes(root, one_thread, tmp_path):
    data = open_data(TASK, root, tmp_path / "cache")
    assert data.split.test == ("Jürgen",)
    assert data.prepared.images.shape[1:] == (2, 32, 32)
    spec = TrialSpec(
        task=TASK,
        model=Component(name="unet", options={"features": [8, 16]}),
        loss=Component(name="ce_dice"),
        train=TrainConfig(epochs=2, steps_per_epoch=40, batch_size=4, learning_rate=1e-2),
        phase="final",
    )
    events = run_trial(spec, data, TrialFiles(tmp_path / "last.pt"))
    while True:
        try:
            next(events)
        except StopIteration as end:
            result = end.value
            break
    rows = [row for row in result.cases if row["part"] == "test" and row["metric"] == "dice"]
    assert [(row["case"], row["label"]) for row in rows] == [
        (f"Jürgen visit{visit}", label) for visit in (1, 2) for label in ("bright", "dark")
    ]
    assert all(row["patient"] == "Jürgen" for row in rows)
    # Two easy blobs on their own channels: nothing but a wrong data path keeps a network from them.
    assert min(row["value"] for row in rows) > 0.9
    distances = [row for row in result.cases if row["metric"] == "hd95"]
    case = data.dataset.case("Jürgen visit1")
    extent = np.array(case.shape) * (7.0, 1.6, 1.8)
    assert {row["unit"] for row in distances} == {"mm"}
    diagonal = next(row["diagonal"] for row in distances if row["case"] == case.id)
    assert diagonal == pytest.approx(float(np.linalg.norm(extent)), rel=0.05)
