import numpy as np
import pytest
from PIL import Image

from medseg.data.check import check_dataset
from medseg.data.guess_task import detect, guess_task
from medseg.errors import DataError
from medseg.tasks import TASKS


@pytest.fixture
def guess(tmp_path):
    return lambda path: guess_task(path, tmp_path / "cache")


SEVEN = tuple(f"case_{n}" for n in range(1, 8))


def test_known_data_sets_have_their_tasks(write_acdc, write_covid, tmp_path, guess):
    assert guess(write_acdc(tmp_path / "a")) == TASKS.load("acdc-multiclass")
    assert guess(write_covid(tmp_path / "c")) == TASKS.load("covid-lung")


def test_dataset_json_gives_labels_and_channels(write_nnunet, tmp_path, guess):
    root = write_nnunet(
        tmp_path / "Dataset007_Leber & Co",
        SEVEN,
        channels=2,
        labels={"background": 0, "whole": [1, 2, 3], "core": 2, "ignore": 9},
    )
    task = guess(root)
    assert (task.name, task.dataset, task.format) == ("Dataset007_Leber-Co", "Dataset007_Leber-Co", "nnunet")
    assert task.labels == {"core": 2, "label_1": 1, "label_3": 3}
    assert (task.background, task.channels) == ((9,), 2)
    # Files hold 12 x 10 x 3 voxels of 1.5 x 1.4 x 8 mm as X, Y, Z.
    assert (task.image_size, task.spacing_mm, task.unit) == ((32, 32), (1.4, 1.5), "mm")
    assert (task.split.test, task.split.folds) == (0.2, 5)
    assert check_dataset(task, root, tmp_path / "cache").problems == ()


def test_a_published_test_part_is_kept_and_few_patients_make_few_folds(write_nnunet, tmp_path, guess):
    task = guess(write_nnunet(tmp_path / "Dataset001_X", ("a", "b", "c"), test=("d",)))
    assert (task.split.test, task.split.folds) == ("official", 3)


def test_the_decathlon_is_told_from_nnunet(write_decathlon, tmp_path, guess):
    task = guess(write_decathlon(tmp_path / "Task02_Heart", channels=2))
    assert (task.format, task.labels, task.channels) == ("decathlon", {"a": 1, "b": 2}, 2)


def test_masks_of_a_folder_give_the_labels(write_folder, tmp_path, guess):
    root = write_folder(tmp_path / "Ultraschall für alle", SEVEN, shape=(70, 33))
    task = guess(root)
    assert (task.name, task.format) == ("Ultraschall-für-alle", "folder")
    assert task.labels == {"label_1": 1, "label_2": 2}
    assert (task.image_size, task.unit, task.spacing_mm, task.channels) == ((96, 64), "px", None, 1)
    assert check_dataset(task, root, tmp_path / "cache").problems == ()


@pytest.mark.parametrize(("colourful", "channels"), [(True, 3), (False, 1)])
def test_colour_counts_only_where_there_is_some(write_folder, tmp_path, guess, colourful, channels):
    root = write_folder(tmp_path / "own", SEVEN)
    rng = np.random.default_rng(0)
    for path in (root / "images").iterdir():
        values = rng.integers(0, 256, (12, 10, 3 if colourful else 1), np.uint8)
        Image.fromarray(np.broadcast_to(values, (12, 10, 3)).copy()).save(path)
    assert guess(root).channels == channels


def test_channel_files_of_a_folder_are_counted(write_folder, tmp_path, guess):
    root = write_folder(tmp_path / "own", SEVEN)
    for path in list((root / "images").iterdir()):
        for channel in range(3):
            path.with_name(f"{path.stem}_{channel:04d}.png").write_bytes(path.read_bytes())
        path.unlink()
    assert guess(root).channels == 3


def test_soft_masks_are_refused_clearly(write_folder, tmp_path, guess):
    root = write_folder(tmp_path / "own", SEVEN)
    Image.fromarray(np.arange(120, dtype=np.uint8).reshape(12, 10)).save(root / "masks/case_1.png")
    with pytest.raises(DataError, match="the masks hold 119 different values"):
        guess(root)
    for path in (root / "masks").iterdir():
        Image.new("L", (10, 12)).save(path)
    with pytest.raises(DataError, match="no mask of 7 holds a value other than 0"):
        guess(root)


def test_unfit_files_are_left_to_the_check(write_folder, tmp_path, guess):
    root = write_folder(tmp_path / "own", SEVEN)
    (root / "images/case_1.png").write_text("no picture")
    report = check_dataset(guess(root), root, tmp_path / "cache")
    assert [finding.where for finding in report.problems] == ["images/case_1.png"]


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({"background": 0}, "labels must name at least one foreground label"),
        ({"background": 0, "a": 1, "b": 1}, "value 1 stands for two labels"),
    ],
)
def test_labels_that_make_no_task_are_one_clear_line(write_nnunet, tmp_path, guess, labels, reason):
    with pytest.raises(DataError, match=rf"cannot be made a task: .*{reason}$"):
        guess(write_nnunet(tmp_path / "Dataset001_X", labels=labels))


def test_a_folder_called_training_makes_no_acdc(write_folder, tmp_path):
    root = write_folder(tmp_path / "own", SEVEN)
    (root / "training").mkdir()
    assert detect(root) == ("folder", root)


def test_an_unknown_layout_says_what_was_looked_for(tmp_path):
    with pytest.raises(
        DataError, match=r"holds no layout that is known \(looked for acdc: .*folder: images/"
    ):
        detect(tmp_path)


def test_a_name_that_is_taken_gets_another(write_folder, tmp_path, guess):
    assert guess(write_folder(tmp_path / "covid-lung", SEVEN)).name == "covid-lung-own"
