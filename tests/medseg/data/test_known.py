import re

import pytest

from medseg.data import index_dataset, resolve_root
from medseg.data.index import DataProblems
from medseg.data.known import EACH_ITS_OWN

SLICES = tuple(f"P{patient:04d}_slice{number:02d}" for patient in range(8) for number in range(4))
NUMBERS = tuple(f"P{patient:04d}_{number:02d}" for patient in range(3) for number in range(4))


@pytest.fixture
def write(write_folder, write_nnunet, write_decathlon, tmp_path):
    """Writes small data of a format, given the names of its images; returns the folder and that of the images."""

    def make(layout: str, names: tuple[str, ...]):
        if layout == "folder":
            return write_folder(tmp_path, names), "images"
        if layout == "nnunet":
            return write_nnunet(tmp_path, names, ending=".png", shape=(12, 10)), "imagesTr"
        return write_decathlon(tmp_path, names), "imagesTr"

    return make


@pytest.mark.parametrize("layout", ["folder", "nnunet", "decathlon"])
def test_slices_without_patients_are_refused_and_the_suggestion_works(layout, write, make_task, tmp_path):
    root, images = write(layout, SLICES)
    settings = {"unit": "px"} if layout == "nnunet" else {}
    with pytest.raises(DataProblems) as caught:
        index_dataset(make_task(layout, **settings), root, tmp_path / "cache")
    (problem,) = caught.value.problems
    assert problem.startswith(f"{images}/P0000_slice00")
    assert "by their names (..._slice00) 32 images are of 8 patients, but nothing says so" in problem
    assert problem.endswith(
        "groups.csv with columns image, patient (or patient_pattern: '(.+)' if each is of another patient)"
    )
    pattern = re.search("patient_pattern: '(.*?)' in the task", problem)[1]
    dataset = index_dataset(make_task(layout, patient_pattern=pattern, **settings), root, tmp_path / "cache")
    assert dataset.patients == tuple(f"P{patient:04d}" for patient in range(8))
    assert (dataset.patients_from, [note for note in dataset.notes if "who is who" in note]) == (
        "pattern",
        [],
    )


def test_running_numbers_of_patients_are_refused_unless_each_is_said_to_be_another(
    write, make_task, tmp_path
):
    root, _ = write("folder", NUMBERS)
    with pytest.raises(
        DataProblems, match=r"12 images are of 3 patients.*patient_pattern: '\^\(\.\+\)_\\d\+\$'"
    ):
        index_dataset(make_task("folder"), root, tmp_path / "cache")
    dataset = index_dataset(make_task("folder", patient_pattern=EACH_ITS_OWN), root, tmp_path / "cache")
    assert (dataset.patients, dataset.patients_from) == (NUMBERS, "pattern")


def test_images_of_unknown_patients_are_noted(write, make_task, tmp_path):
    root, _ = write("folder", ("a", "b", "c"))
    dataset = index_dataset(make_task("folder"), root, tmp_path / "cache")
    assert dataset.patients_from == "images"
    assert dataset.notes == (
        "nothing says who is who: each of 3 images counts as its own patient; if some are of one, say so by "
        "groups.csv or patient_pattern ('(.+)' says that none are)",
    )


def test_a_list_that_leaves_slices_out_is_refused(write, make_task, tmp_path):
    root, _ = write("folder", ("p1_slice1", "p1_slice2", "other"))
    listed = "image,patient\np1_slice1,Ute\nother,Jo\n"
    (root / "groups.csv").write_text(listed)
    with pytest.raises(DataProblems, match=r"images/p1_slice2\.png: .* 2 images are of 1 patient,"):
        index_dataset(make_task("folder"), root, tmp_path / "cache")
    (root / "groups.csv").write_text(f"{listed}p1_slice2,Ute\n")
    dataset = index_dataset(make_task("folder"), root, tmp_path / "cache")
    assert (dataset.patients, dataset.patients_from) == (("Jo", "Ute"), "listed")
    (root / "groups.csv").write_text("image,patient\np1_slice1,Ute\np1_slice2,Ute\n")
    assert index_dataset(make_task("folder"), root, tmp_path / "cache").patients_from == "partly"


def test_layouts_that_know_and_layouts_that_guess(write_acdc, write_covid, make_task, tmp_path):
    acdc = make_task("acdc", labels={"a": 1, "b": 2, "c": 3})
    dataset = index_dataset(acdc, write_acdc(tmp_path / "acdc"), tmp_path / "cache")
    assert (dataset.patients_from, dataset.notes) == ("layout", ())
    covid = {"labels": {"lung": 255}, "image_size": (16, 16)}
    root = write_covid(tmp_path / "covid")
    dataset = index_dataset(make_task("covid_radiography", **covid), root, tmp_path / "cache")
    assert dataset.patients_from == "guessed"
    assert not any(note.startswith("nothing says") for note in dataset.notes)
    # Who is who by the pattern comes before what the layout suggests.
    task = make_task("covid_radiography", patient_pattern="^(.)", **covid)
    dataset = index_dataset(task, root, tmp_path / "cache")
    assert (dataset.patients, dataset.patients_from) == (("C", "N"), "pattern")


def test_generated_data_know_their_patients(cardiac, lung):
    assert (cardiac.patients_from, lung.patients_from) == ("layout", "listed")
    assert not [note for dataset in (cardiac, lung) for note in dataset.notes if "who is who" in note]


def test_generated_volumes_of_a_plain_folder_are_patients(make_task, tmp_path):
    task = make_task("folder", phantom={"patients": 4}, unit="mm")
    dataset = index_dataset(task, resolve_root(task, {}, tmp_path), tmp_path)
    assert (len(dataset.patients), dataset.patients_from, dataset.notes) == (4, "layout", ())
