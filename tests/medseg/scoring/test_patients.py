import pytest

from medseg.errors import DataError
from medseg.scoring.files import case_ids, find_references
from medseg.scoring.patients import Owner, owners


@pytest.fixture
def references(tmp_path):
    def make(*names: str):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return case_ids(find_references(tmp_path)[0])

    return make


SAY_SO = "--patient-pattern or --groups say otherwise"


def test_a_case_is_its_own_patient(references):
    assert owners(references("a.png")) == ({"a": Owner("a")}, [])
    found, notes = owners(references("a.png", "b.png"))
    assert found == {"a": Owner("a"), "b": Owner("b")}
    assert notes == [f"2 cases, each taken for a patient; {SAY_SO}"]


def test_slices_are_no_patients(references):
    cases = references(*(f"p{patient}_slice{number:02d}.png" for patient in range(4) for number in range(10)))
    found, notes = owners(cases)
    assert len(found) == 40
    assert all(owner == Owner(case.partition("_")[0]) for case, owner in found.items())
    assert notes == [f"40 cases taken for 4 patients by their names (..._slice00); {SAY_SO}"]


def test_a_list_or_a_pattern_says_otherwise(references, tmp_path):
    cases = references("p1_slice1.png", "p1_slice2.png", "p2_slice1.png")
    found, notes = owners(cases, pattern="(.*)")
    assert [owner.patient for owner in found.values()] == list(cases)
    assert notes == []
    groups = tmp_path / "groups.csv"
    groups.write_text("image,patient\np1_slice1,x\n")
    found, notes = owners(cases, groups)
    assert [owner.patient for owner in found.values()] == ["x", "p1_slice2", "p2_slice1"]
    assert notes == [f"{groups} leaves out 2 of 3 cases"]


def test_phases_are_read_from_names(references, tmp_path):
    cases = references("p1_ED_gt.png", "p1_es_gt.png", "p2_ED_gt.png")
    found, notes = owners(cases)
    assert list(found.values()) == [Owner("p1", phase="ED"), Owner("p1", phase="ES"), Owner("p2", phase="ED")]
    assert notes == [f"3 cases taken for 2 patients by their names (..._ED); {SAY_SO}"]
    groups = tmp_path / "groups.csv"
    groups.write_text("image,patient,phase\np1_ED,x,ES\np1_es,x,\n")
    assert [owner.phase for owner in owners(cases, groups)[0].values()] == ["ES", "ES", "ED"]


def test_a_list_says_who_is_who(references, tmp_path):
    cases = references("a_gt.png", "b_gt.png", "c_gt.png")
    groups = tmp_path / "groups.csv"
    groups.write_text("image,patient,subgroup,phase\na.png,p1,DCM,ED\nb_gt.png,p1,DCM,es\n")
    found, notes = owners(cases, groups)
    assert found == {"a": Owner("p1", "DCM", "ED"), "b": Owner("p1", "DCM", "ES"), "c": Owner("c")}
    assert notes == [f"{groups} leaves out 1 of 3 cases"]


def test_a_list_of_other_cases_is_refused(references, tmp_path):
    (tmp_path / "groups.csv").write_text("image,patient\nz.png,p1\n")
    with pytest.raises(DataError, match=r"groups\.csv: must name cases such as 'a', names e\.g\. 'z'$"):
        owners(references("a.png"), tmp_path / "groups.csv")


def test_a_pattern_finds_the_patient_in_the_name(references):
    found, _ = owners(references("p1_0.png", "p1_1.png", "p2_0.png"), pattern=r"^(p\d+)_")
    assert [owner.patient for owner in found.values()] == ["p1", "p1", "p2"]
    with pytest.raises(DataError, match=r"^the pattern of patients .* does not fit 'p1_0'$"):
        owners(references("p1_0.png"), pattern=r"(q)")


def test_info_cfg_tells_patient_phase_and_group(references, tmp_path):
    cases = references(
        "training/patient007/patient007_frame01_gt.nii.gz", "training/patient007/patient007_frame09_gt.nii.gz"
    )
    info = tmp_path / "training/patient007/Info.cfg"
    info.write_text("ED: 1\nES: 9\nGroup: HCM\n")
    found, notes = owners(cases)
    assert list(found.values()) == [Owner("patient007", "HCM", "ED"), Owner("patient007", "HCM", "ES")]
    assert notes == []
    info.write_text("nonsense\n")
    with pytest.raises(DataError, match=r"Info\.cfg: cannot be read \(line 1 must read 'key: value'"):
        owners(cases)
