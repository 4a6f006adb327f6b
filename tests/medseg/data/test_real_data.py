"""On the real subsets beside the repository; skipped, saying so, where they are not."""

from pathlib import Path

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
        image, spacing_mm = load_image(case)
        assert image.ndim == len(spacing_mm) == len(case.spacing_mm)
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
