import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from medseg.data import index_dataset, resolve_root
from medseg.data.check import Report, check_dataset
from medseg.errors import DataError
from medseg.tasks import TASKS

ACDC, COVID = TASKS.load("acdc-multiclass"), TASKS.load("covid-lung")
TRAINING = "database/training"
FIRST = f"{TRAINING}/patient001/patient001_frame01.nii.gz"
LABEL = f"{TRAINING}/patient001/patient001_frame01_gt.nii.gz"
SHAPE = (40, 36, 3)


@pytest.fixture
def root(write_acdc, tmp_path) -> Path:
    return write_acdc(tmp_path / "acdc", training=5, testing=2, shape=SHAPE)


@pytest.fixture
def check(tmp_path):
    def run(root, task=ACDC, **settings) -> Report:
        return check_dataset(task, root, tmp_path / "cache", **settings)

    return run


def rewrite(path: Path, change=lambda values: values, affine=None, zooms=(1.5, 1.4, 8.0)) -> None:
    values = change(np.asarray(nibabel.load(path).dataobj).copy())
    volume = nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine)
    volume.header.set_zooms(zooms)
    nibabel.save(volume, path)


def put(value, where=(0, 0, 0)):
    def change(values):
        values = values.astype(np.float32)
        values[where] = value
        return values

    return change


def texts(findings) -> list[str]:
    return [str(finding) for finding in findings]


def test_a_clean_data_set_has_no_finding(root, check):
    report = check(root)
    assert (report.problems, report.warnings) == ((), ())
    assert report.verdict == "acdc-multiclass: 14 cases of 7 patients, no problem, no warning"


def test_generated_data_have_no_finding(cardiac, lung, cache):
    for dataset in (cardiac, lung):
        report = check_dataset(dataset.task, dataset.root, cache)
        assert (report.problems, report.warnings) == ((), ())


def test_real_data_have_no_finding(real_root, tmp_path):
    key, root = real_root
    task = ACDC if key == "acdc" else COVID
    report = check_dataset(task, resolve_root(task, {key: root}, tmp_path), tmp_path)
    assert (report.problems, report.warnings) == ((), ())


def truncate(path: Path, share: float = 0.5) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def copy(root: Path, source: str, target: str) -> None:
    shutil.copy(root / source, root / target)


def both(root: Path, number: int = 1, **settings) -> None:
    for tail in ("", "_gt"):
        name = f"patient{number:03d}"
        rewrite(root / TRAINING / name / f"{name}_frame01{tail}.nii.gz", **settings)


OTHER = f"{TRAINING}/patient002/patient002_frame01.nii.gz"
TESTED = [f"database/testing/patient00{n}/patient00{n}_frame01.nii.gz" for n in (6, 7)]
NEARLY = put(299, (0, 0, 1))
FLIP = np.diag([-1.0, 1, 1, 1])

PROBLEMS = {
    "truncated image": (lambda r: truncate(r / FIRST), "frame01.nii.gz: is not a readable NIfTI file"),
    "truncated label": (
        lambda r: truncate(r / LABEL, 0.9),
        "frame01_gt.nii.gz: is not a readable NIfTI file",
    ),
    "no image at all": (
        lambda r: (r / FIRST).write_text("hello"),
        "frame01.nii.gz: is not a readable NIfTI file",
    ),
    "missing label": (lambda r: (r / LABEL).unlink(), "patient001_frame01_gt.nii.gz: missing (ED frame)"),
    "nan": (lambda r: rewrite(r / FIRST, put(np.nan)), "frame01.nii.gz: values must be finite, 1 of"),
    "inf": (lambda r: rewrite(r / FIRST, put(-np.inf)), "frame01.nii.gz: values must be finite, 1 of"),
    "unknown label": (
        lambda r: rewrite(r / LABEL, put(7)),
        "frame01_gt.nii.gz: label values must be in [0, 1, 2, 3], found 7",
    ),
    "shape": (
        lambda r: rewrite(r / LABEL, lambda v: v[:-1]),
        "frame01_gt.nii.gz: label has shape (3, 36, 39)",
    ),
    "spacing": (lambda r: rewrite(r / LABEL, zooms=(1.5, 1.4, 9)), "label has spacing (9.0, 1.4, 1.5) mm"),
    "metres": (
        lambda r: both(r, zooms=(0.0015, 0.0014, 0.008)),
        "frame01_gt.nii.gz: spacing 0.008 x 0.0014 x 0.0015 mm is absurd",
    ),
    "turned label": (
        lambda r: rewrite(r / LABEL, affine=FLIP),
        "frame01_gt.nii.gz: label has axes along LAS, its image along RAS",
    ),
    "same image in two folds": (lambda r: copy(r, FIRST, OTHER), "are the very same image"),
    "nearly the same image in two folds": (
        lambda r: (copy(r, FIRST, OTHER), rewrite(r / OTHER, NEARLY)),
        "are nearly the same image",
    ),
    "patient in both parts": (
        lambda r: shutil.copytree(r / TRAINING / "patient001", r / "database/testing/patient001"),
        "is in both the training and the testing part, see",
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_each_fault_is_a_problem_that_names_its_file(name, root, check):
    spoil, expected = PROBLEMS[name]
    spoil(root)
    report = check(root)
    (problem,) = [text for text in texts(report.problems) if "_frame12" not in text]
    assert expected in problem
    assert str(root) not in problem
    assert "1 problem" in report.verdict or "2 problems" in report.verdict


WARNINGS = {
    "empty mask": (
        lambda r: rewrite(r / LABEL, np.zeros_like),
        "frame01_gt.nii.gz: has no pixel of any label",
    ),
    "constant image": (lambda r: rewrite(r / FIRST, np.ones_like), "frame01.nii.gz: all values are 1"),
    "copy of one patient": (
        lambda r: copy(r, FIRST, FIRST.replace("frame01", "frame12")),
        "frame12.nii.gz: is the very same image as training/patient001/patient001_frame01.nii.gz of the same patient",
    ),
    "copy within a part": (
        lambda r: copy(r, *TESTED),
        "is the very same image as testing/patient006/patient006_frame01.nii.gz of patient patient006",
    ),
    "alike within a part": (
        lambda r: (copy(r, *TESTED), rewrite(r / TESTED[1], NEARLY)),
        "counts as another patient (patient007 and patient006, both in the test part)",
    ),
    "one turned case": (
        lambda r: both(r, affine=FLIP),
        "patient001_frame01.nii.gz: this is oriented LAS, 13 are RAS",
    ),
    "slices along another axis": (lambda r: both(r, zooms=(8.0, 1.4, 1.5)), "may not be the slice axis"),
    "size": (
        lambda r: both(r, change=lambda v: v[:9]),
        "has 36 x 40 pixels in plane, training/patient001/patient001_frame01_gt.nii.gz only 36 x 9",
    ),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_what_may_be_right_is_one_warning(name, root, check):
    spoil, expected = WARNINGS[name]
    spoil(root)
    report = check(root)
    assert report.problems == ()
    (warning,) = texts(report.warnings)
    assert expected in warning


def test_a_label_that_no_case_has_is_a_warning(root, check):
    for path in root.rglob("*_gt.nii.gz"):
        rewrite(path, lambda values: np.where(values == 1, 0, values).astype(np.uint8))
    assert texts(check(root).warnings) == ["label 'RV': no case has it (value 1)"]


def test_a_patient_of_two_subgroups_is_a_warning(write_covid, tmp_path, check):
    root = write_covid(tmp_path / "covid", (*(f"COVID-{n}" for n in range(1, 8)), "Normal-1"))
    (root / "groups.csv").write_text("image,patient\nCOVID-1,P1\nNormal-1,P1\n")
    warnings = texts(check(root, COVID).warnings)
    assert warnings == ["patient P1: is in 2 subgroups: COVID, Normal"]


def test_all_problems_come_at_once(root, check):
    rewrite(root / FIRST, put(np.nan))
    rewrite(root / LABEL, put(7))
    rewrite(root / OTHER, put(np.inf))
    assert len(check(root).problems) == 3
    (root / TRAINING / "patient003" / "Info.cfg").unlink()
    truncate(root / FIRST)
    report = check(root)
    # The pixels of the cases whose files are fit are looked at all the same.
    assert len(report.problems) == 3
    assert report.split is None
    assert (len(report.dataset.cases), len(report.facts)) == (11, 11)


def test_a_declared_spacing_ends_the_complaint(root, check):
    both(root, zooms=(0.0015, 0.0014, 0.008))
    task = ACDC.model_copy(update={"file_spacing_mm": (8.0, 1.4, 1.5)})
    assert check(root, task).problems == ()


def test_nothing_to_check_is_an_error(tmp_path, check):
    (tmp_path / "acdc/database/training").mkdir(parents=True)
    with pytest.raises(DataError, match="no case found"):
        check(tmp_path / "acdc")


def test_progress_covers_files_and_cases(root, check):
    seen = []
    check(root, watch=lambda *step: seen.append(step))
    assert seen[-1] == ("cases", 14, 14)
    assert ("files", 35, 35) in seen


def test_files_of_a_case_are_read_once(root, tmp_path, monkeypatch):
    from medseg.data import label_map, load

    index_dataset(ACDC, root, tmp_path / "cache")
    read = []
    pixels, stored = load.read_pixels, label_map.read_stored
    monkeypatch.setattr(load, "read_pixels", lambda path: read.append(path) or pixels(path))
    monkeypatch.setattr(
        label_map, "read_stored", lambda path, indices: read.append(path) or stored(path, indices)
    )
    check_dataset(ACDC, root, tmp_path / "cache")
    assert len(read) == len(set(read)) == 28
