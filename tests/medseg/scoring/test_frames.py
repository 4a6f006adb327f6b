from pathlib import Path

import pytest

from medseg.scoring.files import LabelFile
from medseg.scoring.frames import patients_by_name, phase_of


def files(*keys: str) -> dict[str, LabelFile]:
    return {key: LabelFile(Path(f"{key}.png"), key, key) for key in keys}


@pytest.mark.parametrize(
    ("first", "second", "patient", "end"),
    [
        ("patient001_frame01", "patient001_frame12", "patient001", "_frame01"),
        ("p1_slice12", "p1_SLICE_13", "p1", "_slice12"),
        ("p1-z003", "p1-z004", "p1", "-z003"),
        ("p1_t05", "p1.T6", "p1", "_t05"),
        ("a_b_ED", "a_b_es", "a_b", "_ED"),
        ("p1_ED_slice3", "p1_ES_slice3", "p1", "_ED_slice3"),
        ("p1_phase-2", "p1__time3", "p1", "_phase-2"),
        ("p1/slice_01", "p1/slice_02", "p1", "/slice_01"),
        ("p1", "p1_ES", "p1", "_ES"),
    ],
)
def test_names_of_one_patient(first, second, patient, end):
    found, shown = patients_by_name(files(first, second, "other"))
    assert found == {first: patient, second: patient, "other": "other"}
    assert shown == end


@pytest.mark.parametrize(
    "names",
    [
        ("p1_01", "p1_02"),  # may be anything
        ("slice1", "slice2"),  # nothing before
        ("p_waned", "p_used"),
        ("p1_frame", "p1_slice"),
        ("p1_frame1", "p2_frame1"),
        ("p1slice1", "p1slice2"),
        ("a/p1_frame1", "b/p1_frame2"),
    ],
)
def test_names_that_say_nothing(names):
    assert patients_by_name(files(*names)) == ({}, "")


def test_folders_are_named_where_a_patients_name_repeats():
    found, _ = patients_by_name(files("a/p1_t1", "a/p1_t2", "b/p1_t1", "b/p2_t1", "b/p3"))
    assert found == {
        "a/p1_t1": "a/p1",
        "a/p1_t2": "a/p1",
        "b/p1_t1": "b/p1",
        "b/p2_t1": "p2",
        "b/p3": "p3",
    }


@pytest.mark.parametrize(
    "folder",
    [
        *("masks", "mask", "labels", "label", "labelsTr", "labelsTs", "gt", "segmentations", "predictions"),
        *("images", "Masks", "labels/masks"),
    ],
)
def test_a_folder_of_masks_is_no_patient(folder):
    assert patients_by_name(files(f"{folder}/frame_01", f"{folder}/frame_02")) == ({}, "")
    found, end = patients_by_name(files(f"{folder}/frame_01", f"{folder}/p1_z1", f"{folder}/p1_z2"))
    assert list(found.values()) == ["frame_01", "p1", "p1"]
    assert end == "_z1"


def test_folders_of_masks_below_a_patient_are_of_the_patient():
    names = ["p1/masks/frame_01", "p1/masks/frame_02", "p2/masks/frame_01", "masks_frame_1", "masks_frame_2"]
    assert list(patients_by_name(files(*names))[0].values()) == ["p1", "p1", "p2", "masks", "masks"]


@pytest.mark.parametrize(
    ("key", "phase"), [("p1_ED", "ED"), ("a/p1-es", "ES"), ("p1_ED_slice3", ""), ("used", ""), ("p1", "")]
)
def test_a_phase_is_at_the_end(key, phase):
    assert phase_of(files(key)[key]) == phase
