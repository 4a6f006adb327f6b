import json

import numpy as np
import pytest

from medseg.data.check import Report, check_dataset
from medseg.data.check.summary import as_tree, labels, parts, spreads
from medseg.data.check.tables import grids, rounded
from medseg.tasks import TASKS

ACDC = TASKS.load("acdc-multiclass")


@pytest.fixture
def report(write_nifti, tmp_path) -> Report:
    """Six patients, two frames alike, of 2 x 3 x 4 voxels of 16.8 mm3.

    Patient n has the values n * 0..23, n voxels of RV and one of LV.
    """
    for number in range(1, 7):
        name = f"patient{number:03d}"
        folder = tmp_path / "known" / ("training" if number < 6 else "testing") / name
        folder.mkdir(parents=True)
        (folder / "Info.cfg").write_text(f"ED: 1\nES: 2\nGroup: {'NOR' if number % 2 else 'DCM'}\n")
        label = np.zeros(24, np.uint8)
        label[:number], label[-1] = 1, 3
        for frame in ("01", "02"):
            image = np.arange(24, dtype=np.int16).reshape(4, 3, 2) * number
            write_nifti(folder / f"{name}_frame{frame}.nii.gz", image)
            write_nifti(folder / f"{name}_frame{frame}_gt.nii.gz", label.reshape(4, 3, 2))
    return check_dataset(ACDC, tmp_path / "known", tmp_path / "cache")


def test_labels_are_counted_as_by_hand(report):
    rv, myo, lv = labels(report)
    assert (rv.name, rv.value, rv.cases, myo.cases, lv.cases) == ("RV", 1, 12, 0, 12)
    # 2 frames of 1 + 2 + ... + 6 voxels among 12 cases of 24.
    assert rv.share == pytest.approx(42 / 288)
    assert rv.foreground_share == pytest.approx(42 / 54)
    assert rv.volume_ml == pytest.approx((0.0168, 3.5 * 0.0168, 6 * 0.0168))
    assert (myo.share, myo.volume_ml) == (0, None)
    assert lv.volume_ml == pytest.approx((0.0168,) * 3)


def test_spreads_are_as_by_hand(report):
    found = {spread.name: (spread.low, spread.middle, spread.high) for spread in spreads(report)}
    assert found["slices"] == (2, 2, 2)
    assert (found["rows"], found["columns"]) == ((3, 3, 3), (4, 4, 4))
    assert found["between slices, mm"] == (8, 8, 8)
    assert found["between rows, mm"] == pytest.approx((1.4,) * 3)
    assert found["between columns, mm"] == pytest.approx((1.5,) * 3)
    assert found["lowest intensity"] == (0, 0, 0)
    assert found["highest intensity"] == (23, 23 * 3.5, 23 * 6)
    assert found["1% intensity"] == pytest.approx((0.23, 0.23 * 3.5, 0.23 * 6))
    assert found["99% intensity"] == pytest.approx((22.77, 22.77 * 3.5, 22.77 * 6))


def test_parts_are_as_the_split_says(write_acdc, tmp_path):
    root = write_acdc(tmp_path / "acdc", training=5, testing=2)
    (root / "database/training/patient002/Info.cfg").write_text("ED: 1\nES: 12\nGroup: DCM\n")
    found = {part.name: part for part in parts(check_dataset(ACDC, root, tmp_path / "cache"))}
    assert (found["all"].patients, found["all"].cases) == (7, 14)
    assert found["all"].subgroups == {"DCM": 1, "NOR": 6}
    assert (found["test"].patients, found["test"].subgroups) == (2, {"NOR": 2})
    assert [found[f"fold {n}"].cases for n in range(5)] == [2] * 5


def test_without_a_split_only_all_cases_are_counted(report):
    assert [part.name for part in parts(report)] == ["all"]
    assert parts(report)[0].subgroups == {"DCM": 3, "NOR": 3}


def test_scripts_get_the_same_as_json(report):
    tree = json.loads(json.dumps(as_tree(report), allow_nan=False))
    assert (tree["cases"], tree["patients"]) == (12, 6)
    assert tree["warnings"][0].keys() == {"where", "text"}
    assert tree["labels"][0]["name"] == "RV"


def test_in_pixels_there_is_no_volume_and_no_spacing(write_covid, tmp_path):
    root = write_covid(tmp_path / "covid", tuple(f"COVID-{n}" for n in range(1, 9)))
    found = check_dataset(TASKS.load("covid-lung"), root, tmp_path / "cache")
    assert labels(found)[0].volume_ml is None
    assert [spread.name for spread in spreads(found)][:3] == ["rows", "columns", "lowest intensity"]


def test_tables_show_the_same(report):
    parted, spread, labelled = grids(report)
    assert parted.headings == ("part", "patients", "cases", "DCM", "NOR")
    assert parted.rows == (("all", "6", "12", "3", "3"),)
    assert ("highest intensity", "23", "80.5", "138") in spread.rows
    assert labelled.rows[0] == ("RV", "1", "12 of 12", "14.58%", "77.8%", "0.0168", "0.0588", "0.1008")
    assert labelled.rows[1] == ("MYO", "2", "0 of 12", "0.00%", "0.0%", "–", "–", "–")


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1.23456, "1.235"), (65535, "65535"), (-1024.4, "-1024")]
)
def test_numbers_are_short_but_never_less_than_whole(value, text):
    assert rounded(value) == text
