import numpy as np
import openpyxl
import pytest
from PIL import Image

from medseg.data import index_dataset, load_image, load_label, make_split, resolve_root
from medseg.errors import DataError
from medseg.tasks import TASKS, SplitSpec

TASK = TASKS.load("covid-lung")
INSIDE = "COVID-19_Radiography_Dataset"


def test_cases_are_in_natural_order_and_each_its_own_patient(write_covid, tmp_path):
    root = resolve_root(TASK, {"covid": write_covid(tmp_path)}, tmp_path / "cache")
    assert root == tmp_path / INSIDE
    dataset = index_dataset(TASK, root, tmp_path / "cache")
    assert [case.id for case in dataset.cases] == ["COVID-1", "COVID-2", "COVID-10", "Normal-1"]
    assert dataset.patients == ("COVID-1", "COVID-2", "COVID-10", "Normal-1")
    case = dataset.case("Normal-1")
    assert (case.subgroup, case.part, case.shape, case.spacing_mm) == ("Normal", "", (256, 256), (1.0, 1.0))


@pytest.mark.parametrize("place", [".", INSIDE])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("groups.csv", "image,group\nCOVID-1.png,7\nCOVID-10,7\n"),
        ("sources.csv", "case_id,patient_id,licence\nCOVID-1,7,x\nCOVID-10,7,y\n"),
        ("groups.csv", "\ufefffilename,patient\nCOVID-1,7\nCOVID-10, 7 \n"),
    ],
)
def test_groups_come_from_a_table_in_the_root_or_above(write_covid, tmp_path, place, name, text):
    write_covid(tmp_path)
    (tmp_path / place / name).write_text(text, encoding="utf-8")
    dataset = index_dataset(TASK, tmp_path, tmp_path / "cache")
    assert [case.patient for case in dataset.cases] == ["7", "COVID-2", "7", "Normal-1"]


def test_a_table_without_the_columns_is_refused(write_covid, tmp_path):
    (write_covid(tmp_path) / "groups.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"groups\.csv: needs columns one of image, .*, has a, b"):
        index_dataset(TASK, tmp_path, tmp_path / "cache")


CASE_PAGE, CHALLENGE = "https://sirm.org/covid-19-case-7/", "https://www.kaggle.com/c/rsna/data"


def test_without_a_table_images_of_one_case_page_are_one_patient(write_covid, tmp_path):
    normal = tuple(f"Normal-{number}" for number in range(1, 13))
    pages = {"COVID-1": CASE_PAGE, "COVID-10": CASE_PAGE, "COVID-2": ""} | dict.fromkeys(normal, CHALLENGE)
    root = write_covid(tmp_path, ("COVID-1", "COVID-2", "COVID-10", *normal), pages)
    dataset = index_dataset(TASK, root, tmp_path / "cache")
    # The sheets write NORMAL-1; a page with more than ten images is a collection and nobody's case.
    assert [case.patient for case in dataset.cases] == ["COVID-1", "COVID-2", "COVID-1", *normal]
    assert "no groups.csv says who is who: 2 of 15 images were grouped into 1 patients" in dataset.notes[0]
    assert "1 source pages with over 10 images say nothing about patients" in dataset.notes[1]
    before = dataset.fingerprint
    write_covid(tmp_path, ("Normal-13",), {"Normal-13": CHALLENGE})
    (root / INSIDE / "Normal/images/Normal-13.png").unlink()
    (root / INSIDE / "Normal/masks/Normal-13.png").unlink()
    assert index_dataset(TASK, root, tmp_path / "cache").fingerprint != before


def test_nearly_the_same_image_is_the_same_patient_unless_a_table_says_otherwise(write_covid, tmp_path):
    folder = write_covid(tmp_path, ("COVID-1", "COVID-2", "Normal-3")) / INSIDE
    with Image.open(folder / "COVID/images/COVID-1.png") as image:
        image.point(lambda grey: grey * 0.9 + 9).convert("RGB").save(folder / "Normal/images/Normal-3.png")
    dataset = index_dataset(TASK, tmp_path, tmp_path / "cache")
    assert [case.patient for case in dataset.cases] == ["COVID-1", "COVID-2", "COVID-1"]
    assert dataset.alike == ()
    (tmp_path / "groups.csv").write_text("image,patient\nCOVID-1,7\nNormal-3,8\n")
    assert index_dataset(TASK, tmp_path, tmp_path / "cache").alike == (("COVID-1", "Normal-3"),)


def test_a_sheet_that_cannot_be_used_is_named(write_covid, tmp_path):
    root = write_covid(tmp_path, pages={"Normal-1": CHALLENGE})
    (root / INSIDE / "COVID.metadata.xlsx").write_bytes(b"<html>404</html>")
    book = openpyxl.Workbook()
    book.active.append(["NAME", "URL"])
    book.save(root / INSIDE / "Lung_Opacity.metadata.xlsx")
    with pytest.raises(DataError, match="2 problems") as caught:
        index_dataset(TASK, root, tmp_path / "cache")
    assert "COVID.metadata.xlsx: is not a readable spreadsheet (" in str(caught.value)
    assert "Lung_Opacity.metadata.xlsx: needs columns FILE NAME and URL, has name, url" in str(caught.value)


def test_colour_exceptions_and_hidden_files_do_no_harm(write_covid, tmp_path):
    folder = write_covid(tmp_path, ("Viral Pneumonia-1", "Viral Pneumonia-2")) / INSIDE / "Viral Pneumonia"
    with Image.open(folder / "images/Viral Pneumonia-1.png") as image:
        grey = np.asarray(image)
        image.convert("RGB").save(folder / "images/Viral Pneumonia-1.png")
    (folder / "images/._Viral Pneumonia-1.png").write_bytes(b"Mac OS X")
    (folder / "images/Thumbs.db").write_bytes(b"x")
    dataset = index_dataset(TASK, tmp_path, tmp_path / "cache")
    case = dataset.case("Viral Pneumonia-1")
    assert case.subgroup == "Viral Pneumonia"
    np.testing.assert_array_equal(load_image(case, TASK), grey[None])
    assert set(np.unique(load_label(case, TASK, dataset.values))) == {0, 1}


def test_a_changed_table_changes_the_split_and_no_array(write_covid, tmp_path):
    root = write_covid(tmp_path)
    task = TASK.model_copy(update={"split": SplitSpec(test=0.25, folds=2)})
    found = []
    for patient in ("7", "7", "8"):
        (root / "groups.csv").write_text(f"image,patient,note\nCOVID-1,{patient},{len(found)}\n")
        dataset = index_dataset(task, root, tmp_path / "cache")
        found.append((dataset.fingerprint, make_split(task, dataset).hash))
    assert found[0] == found[1]
    assert found[0][0] == found[2][0]
    assert found[0][1] != found[2][1]


def test_masks_of_zeros_and_ones_are_masks(write_covid, tmp_path):
    folder = write_covid(tmp_path) / INSIDE
    path = folder / "COVID/masks/COVID-1.png"
    before = np.asarray(Image.open(path))
    Image.fromarray(before // 255).save(path)
    dataset = index_dataset(TASK, tmp_path, tmp_path / "cache")
    label = load_label(dataset.case("COVID-1"), TASK, dataset.values)
    np.testing.assert_array_equal(label, before[..., 0] // 255)


def test_pairs_must_be_complete_and_pictures_readable(write_covid, tmp_path):
    folder = write_covid(tmp_path) / INSIDE
    (folder / "COVID/masks/COVID-1.png").unlink()
    (folder / "COVID/images/COVID-2.png").unlink()
    (folder / "COVID/images/COVID-10.png").write_bytes(b"GIF, perhaps")
    Image.fromarray(np.zeros((256, 200), np.uint8)).save(folder / "Normal/masks/Normal-1.png")
    with pytest.raises(DataError, match="4 problems") as caught:
        index_dataset(TASK, tmp_path, tmp_path / "cache")
    text = str(caught.value)
    assert "COVID/images/COVID-1: has no mask" in text
    assert "COVID/masks/COVID-2: has no image" in text
    assert "COVID/images/COVID-10.png: is not a readable picture" in text
    assert "Normal/masks/Normal-1.png: label of 256 x 200 cannot lie on an image of 299 x 299" in text


def test_other_classes_and_files_are_noted(write_covid, tmp_path):
    folder = write_covid(tmp_path) / INSIDE
    (folder / "Tuberculosis/images").mkdir(parents=True)
    (folder / "COVID/images/COVID-9.bmp").write_bytes(b"BM")
    notes = index_dataset(TASK, tmp_path, tmp_path / "cache").notes
    assert "2 files or folders were left out, e.g. COVID/images/COVID-9.bmp" in notes
