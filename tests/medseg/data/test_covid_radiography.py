import numpy as np
import pytest
from PIL import Image

from medseg.data import index_dataset, resolve_root
from medseg.errors import DataError
from medseg.tasks import TASKS

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


def test_a_changed_table_changes_the_fingerprint(write_covid, tmp_path):
    root = write_covid(tmp_path)
    before = index_dataset(TASK, root, tmp_path / "cache").fingerprint
    (root / "groups.csv").write_text("image,patient\nCOVID-1,7\n")
    assert index_dataset(TASK, root, tmp_path / "cache").fingerprint != before


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
    assert "Normal/masks/Normal-1.png: mask of 256 x 200 cannot lie on an image of 299 x 299" in text
