from pathlib import Path

import pytest

from medseg.data import Case
from medseg.data.case import Found
from medseg.data.groups import LARGEST_SOURCE, assign, guess, read_groups
from medseg.errors import DataError
from medseg.tasks import TASKS

TASK = TASKS.load("covid-lung")


def cases(*names: str) -> tuple[Case, ...]:
    return tuple(Case(name, name, "", "", (Path(f"{name}.png"),), Path("l")) for name in names)


def patients(found: tuple[Case, ...]) -> list[str]:
    return [case.patient for case in found]


def test_a_list_beside_the_data_names_patients_and_subgroups(tmp_path):
    (tmp_path / "groups.csv").write_text(
        "image,patient,subgroup\na 1.png,Jörg,NOR\nb.nii.gz, Ute ,\nc,,DCM\n"
    )
    groups = read_groups(TASK, tmp_path / "inside")
    assert groups.file == tmp_path / "groups.csv"
    found, notes, problems = assign(TASK, Found(cases("a 1", "b", "c")), groups)
    assert patients(found) == ["Jörg", "Ute", "c"]
    assert [case.subgroup for case in found] == ["NOR", "", "DCM"]
    assert problems == []
    assert notes == [
        "groups.csv leaves out 1 of 3 cases; each counts as its own patient unless the layout knows better"
    ]


def test_a_list_can_be_named(tmp_path):
    (tmp_path / "who.csv").write_text("case,group\na,X\nb,X\n")
    task = TASK.model_copy(update={"groups": "who.csv"})
    assert read_groups(task, tmp_path).patients == {"a": "X", "b": "X"}
    with pytest.raises(DataError, match=r"groups: no file 'nobody\.csv'"):
        read_groups(TASK.model_copy(update={"groups": "nobody.csv"}), tmp_path)


def test_a_list_without_its_columns_is_refused(tmp_path):
    (tmp_path / "groups.csv").write_text("image,name\na,X\n")
    with pytest.raises(DataError, match=r"groups\.csv: needs columns one of image.*has image, name"):
        read_groups(TASK, tmp_path)
    (tmp_path / "groups.csv").write_bytes(b"image,patient\n\xff\xfe,1\n")
    with pytest.raises(DataError, match=r"groups\.csv: cannot be read"):
        read_groups(TASK, tmp_path)


def test_a_list_of_somebody_else_is_a_problem(tmp_path):
    (tmp_path / "groups.csv").write_text("image,patient\nx,1\n")
    _, _, problems = assign(TASK, Found(cases("a", "b")), read_groups(TASK, tmp_path))
    assert problems == ["groups.csv: must name cases such as 'a', names none of the 2, but e.g. 'x'"]


def test_a_list_of_another_data_set_in_the_parent_folder_is_left_aside(tmp_path):
    (tmp_path / "groups.csv").write_text("image,patient\nx,1\n")
    _, notes, problems = assign(TASK, Found(cases("a", "b")), read_groups(TASK, tmp_path / "mine"))
    assert (problems, notes) == (
        [],
        [f"{tmp_path / 'groups.csv'} names none of the cases and was left aside"],
    )


def test_semicolons_and_decimal_commas_of_a_spreadsheet_are_read(tmp_path):
    (tmp_path / "groups.csv").write_text("image;patient;age\na;X;71,5\nb;Y;68,0;\n")
    assert read_groups(TASK, tmp_path).patients == {"a": "X", "b": "Y"}


def test_an_image_of_two_patients_is_refused(tmp_path):
    (tmp_path / "groups.csv").write_text("image,patient\na,X\nb,Y\na.png,Z\n")
    with pytest.raises(DataError, match=r"groups\.csv: 'a' has two values of patient: 'X' and 'Z'"):
        read_groups(TASK, tmp_path)


def test_a_pattern_finds_the_patient_in_the_name(tmp_path):
    task = TASK.model_copy(update={"patient_pattern": r"^(P\d+)_"})
    found, _, problems = assign(task, Found(cases("P1_s1", "P1_s2", "P12_s1")), read_groups(task, tmp_path))
    assert (patients(found), problems) == (["P1", "P1", "P12"], [])
    _, _, problems = assign(task, Found(cases("P1_s1", "Q1_s2", "Q2_s2")), read_groups(task, tmp_path))
    assert problems == [r"patient_pattern '^(P\\d+)_' does not fit 'Q1_s2' and 1 others"]


def test_a_list_wins_over_a_pattern(tmp_path):
    (tmp_path / "groups.csv").write_text("image,patient\nodd,P1\n")
    task = TASK.model_copy(update={"patient_pattern": r"^(P\d+)_"})
    found, _, problems = assign(task, Found(cases("P1_s1", "odd")), read_groups(task, tmp_path))
    assert (patients(found), problems) == (["P1", "P1"], [])


@pytest.mark.parametrize("pattern", ["(", "P\\d+"])
def test_a_pattern_that_is_none_is_refused(pattern):
    with pytest.raises(ValueError, match="patient_pattern"):
        type(TASK).model_validate(TASK.model_dump() | {"patient_pattern": pattern})


def test_likeness_and_small_source_pages_make_groups_and_large_pages_do_not():
    names = [f"COVID-{i}" for i in range(1, 31)]
    sources = dict.fromkeys(names[:3], "https://case/1") | dict.fromkeys(names[10:25], "https://challenge")
    alike = [("COVID-3", "COVID-9"), ("COVID-30", "COVID-29")]
    found, notes = guess(cases(*names), sources, alike)
    by_id = {case.id: case.patient for case in found}
    assert {by_id[n] for n in ("COVID-1", "COVID-2", "COVID-3", "COVID-9")} == {"COVID-1"}
    assert by_id["COVID-30"] == by_id["COVID-29"] == "COVID-29"
    assert len(set(by_id.values())) == 30 - 3 - 1
    assert "6 of 30 images were grouped into 2 patients (largest 4)" in notes[0]
    assert notes[1] == f"1 source pages with over {LARGEST_SOURCE} images say nothing about patients"


def test_grouping_does_not_depend_on_the_order_of_links():
    names = [f"c{i}" for i in range(12)]
    links = [(f"c{i}", f"c{i + 1}") for i in range(0, 11, 1) if i != 5]
    forward, _ = guess(cases(*names), {}, links)
    backward, _ = guess(cases(*names), {}, [(b, a) for a, b in reversed(links)])
    assert patients(forward) == patients(backward) == ["c0"] * 6 + ["c6"] * 6


def test_a_pattern_with_an_empty_group_does_not_fit(tmp_path):
    task = TASK.model_copy(update={"patient_pattern": "^p(x)?"})
    _, _, problems = assign(task, Found(cases("p1", "p2")), read_groups(task, tmp_path))
    assert problems == ["patient_pattern '^p(x)?' does not fit 'p1' and 1 others"]


def test_names_that_are_not_there_are_counted(tmp_path):
    (tmp_path / "groups.csv").write_text("image,patient\na,X\nz,Y\n")
    _, notes, _ = assign(TASK, Found(cases("a")), read_groups(TASK, tmp_path))
    assert notes == ["groups.csv also names 1 images that are not there"]


def test_phases_of_the_heart_are_read_and_other_words_passed_over(tmp_path):
    (tmp_path / "groups.csv").write_text("image,patient,phase\na,X,ED\nb,X,es\nc,Y,arterial\nd,Y,\n")
    found, _, _ = assign(TASK, Found(cases("a", "b", "c", "d")), read_groups(TASK, tmp_path))
    assert [case.phase for case in found] == ["ED", "ES", "", ""]


def test_blank_images_of_one_file_are_grouped():
    twins = [Case(name, name, "", "", (Path("i"),), Path("l"), digest="same") for name in ("a", "b")]
    found, _ = guess(twins, {}, ())
    assert patients(found) == ["a", "a"]
