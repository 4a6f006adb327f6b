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


def test_a_case_is_its_own_patient(references):
    assert owners(references("a.png", "b.png")) == ({"a": Owner("a"), "b": Owner("b")}, [])


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
    found, _ = owners(cases)
    assert list(found.values()) == [Owner("patient007", "HCM", "ED"), Owner("patient007", "HCM", "ES")]
    info.write_text("nonsense\n")
    with pytest.raises(DataError, match=r"Info\.cfg: cannot be read \(line 1 must read 'key: value'"):
        owners(cases)
