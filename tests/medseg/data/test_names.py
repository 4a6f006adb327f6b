import re

import pytest

from medseg.data.names import patients_by_name, patients_by_number, pattern_for


def by_name(*names: str) -> tuple[dict[str, str], str]:
    return patients_by_name({name: name for name in names})


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (("P0000_slice00", "P0000_slice01", "P0007_slice00"), r"^(.+)_slice\d+$"),
        (("p1-z003", "p1-z004"), r"^(.+)-z\d+$"),
        (("a_b_ED", "a_b_ES", "c_ED"), r"^(.+)_(?:ED|ES)$"),
        (("p1_ED_slice3", "p1_ES_slice3"), r"^(.+)_(?:ED|ES)_slice\d+$"),
        (("p1_slice1", "p1_slice2", "other"), r"^(.+?)(?:_slice\d+)?$"),
    ],
)
def test_a_pattern_says_what_names_say(names, pattern):
    patients, end = by_name(*names)
    assert pattern_for(patients, end) == pattern
    assert {name: re.search(pattern, name)[1] for name in names} == patients


def test_ends_of_several_kinds_have_one_pattern():
    patients, end = by_name("p1_slice12", "p1_SLICE_13", "p1.T6", "p2_ED", "p2_es", "a b")
    pattern = pattern_for(patients, end)
    assert {name: re.search(pattern, name)[1] for name in patients} == patients
    assert set(patients.values()) == {"p1", "p2", "a b"}


def test_no_pattern_is_suggested_that_would_not_work():
    assert pattern_for({"p1_a": "Jörg", "p1_b": "Jörg"}, "_a") == ""


def test_running_numbers_after_stems_with_numbers_are_images_of_the_stems():
    names = ["TCGA_1_1", "TCGA_1_2", "TCGA_1_3", "TCGA_2_7", "TCGA_2_8", "other"]
    patients, end = patients_by_number(names)
    assert list(patients.values()) == ["TCGA_1", "TCGA_1", "TCGA_1", "TCGA_2", "TCGA_2", "other"]
    assert end == "_1"
    pattern = pattern_for(patients, end)
    assert {name: re.search(pattern, name)[1] for name in names} == patients
    del patients["other"]
    assert pattern_for(patients, end) == r"^(.+)_\d+$"


@pytest.mark.parametrize(
    "names",
    [
        ("case_001", "case_002", "case_003"),  # patients are counted
        ("COVID-1", "COVID-2", "Normal-1", "Normal-2"),
        ("2021_001", "2021_002", "2021_003"),  # one stem
        ("CHNCXR_0001_0", "CHNCXR_0002_0", "CHNCXR_0003_1"),  # one image each
        ("P1_2", "P1_10", "P2_1"),  # not running
        ("p1_1", "p1_2", "p2_1", "p2_2", "a", "b", "c", "d", "e"),  # few
        (),
    ],
)
def test_numbers_that_say_nothing(names):
    assert patients_by_number(names) == ({}, "")
