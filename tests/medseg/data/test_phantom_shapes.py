"""Generated data for tasks of any labels and channels."""

import pytest

from medseg.data import index_dataset, make_split, prepare, resolve_root
from medseg.data.label_map import read_label_map
from medseg.data.load import load_image
from medseg.errors import DataError
from medseg.tasks import PhantomSpec, TaskSpec

SPECS = {
    "volumes": {"spacing_mm": (2.0, 1.5), "split": {"test": "official", "folds": 2}},
    "pictures": {"unit": "px", "split": {"test": 0.25, "folds": 2}},
    "many channels": {"channels": 3, "spacing_mm": (1.0, 1.0), "window": (-160, 240)},
}
LABELS = {"a": 3, "b": 700, "c": 1, "d": 2, "e": 12}


def task_of(**fields):
    return TaskSpec.model_validate(
        {
            "name": "organs",
            "dataset": "organs",
            "format": "folder",
            "labels": LABELS,
            "image_size": (48, 32),
            "phantom": PhantomSpec(patients=6, seed=1),
            **fields,
        }
    )


@pytest.mark.parametrize("name", SPECS)
def test_they_are_read_split_and_prepared_like_any_data(name, tmp_path):
    task = task_of(**SPECS[name])
    root = resolve_root(task, {}, tmp_path)
    dataset = index_dataset(task, root, tmp_path)
    split = make_split(task, dataset)
    assert (len(dataset.patients), len(split.folds)) == (6, len(split.folds))
    assert len(split.test) == {"volumes": 2, "pictures": 2, "many channels": 1}[name]
    for case in dataset.cases:
        values = read_label_map(case.label).values
        assert set(values.ravel().tolist()) == {0, *LABELS.values()}
        image = load_image(case, task)
        assert len(image) == task.channels
        assert image.std() > 0
    assert prepare(task, dataset, tmp_path).cut_share < 0.05


def test_labels_differ_in_brightness_and_so_can_be_learnt(tmp_path):
    task = task_of(labels={"a": 1, "b": 2}, unit="px")
    dataset = index_dataset(task, resolve_root(task, {}, tmp_path), tmp_path)
    for case in dataset.cases:
        image, values = load_image(case, task)[0], read_label_map(case.label).values
        background, first, second = (image[values == value].mean() for value in (0, 1, 2))
        assert background < first < second


def test_tasks_that_differ_in_what_is_drawn_have_data_of_their_own(tmp_path):
    one, two = task_of(), task_of(labels={"a": 1})
    assert resolve_root(one, {}, tmp_path) != resolve_root(two, {}, tmp_path)
    assert resolve_root(one, {}, tmp_path) == resolve_root(task_of(title="other"), {}, tmp_path)


def test_other_formats_have_no_generator(tmp_path):
    with pytest.raises(
        DataError, match="generated in the formats acdc, covid_radiography, folder, got nnunet"
    ):
        resolve_root(task_of(format="nnunet"), {}, tmp_path)
