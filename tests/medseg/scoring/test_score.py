import math
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from medseg.errors import DataError
from medseg.metrics import evaluate_case
from medseg.scoring import pool
from medseg.scoring.request import Request
from medseg.scoring.score import COLUMNS, score

SHARED = Path(__file__).parents[3].parent / "shared" / "data"
BY_NAME = "3 cases taken for 2 patients by their names (..._ed); --patient-pattern or --groups say otherwise"
METRICS = ("dice", "hd95", "assd", "nsd", "precision")
REQUEST = Request(METRICS, labels={"a": 1, "b": 2}, tolerance_mm=2.0)


def values(scored, case=None):
    return [
        (row["label"], row["metric"], row["definition"], row["value"], row["status"])
        for row in scored.rows
        if case in (None, row["case"])
    ]


def expected(ours, theirs, spacing, labels, metrics=METRICS, tolerance=2.0):
    found = evaluate_case(ours, theirs, spacing, labels, metrics, tolerance_mm=tolerance)
    return [(v.label, v.metric, v.definition, v.value, v.status) for v in found]


def test_rows_are_those_of_evaluate_case_on_arrays_read_by_nibabel(folders):
    reference, prediction = folders
    scored = score(reference, {"mine": prediction}, REQUEST)
    assert [row["case"] for row in scored.rows[::10]] == ["p1_ed", "p1_es", "p2_ed"]
    assert all(tuple(row) == COLUMNS for row in scored.rows)
    for case in ("p1_ed", "p1_es", "p2_ed"):
        ours, theirs = (nibabel.load(folder / f"{case}.nii.gz") for folder in folders)
        # A header holds 1.4 in 32 bits; the text of a float32 is what was meant.
        spacing = tuple(float(str(zoom)) for zoom in ours.header.get_zooms()[::-1])
        arrays = [np.asarray(image.dataobj).T for image in (ours, theirs)]
        assert values(scored, case) == expected(*arrays, spacing, ("a", "b"))
    assert {row["unit"] for row in scored.rows if row["metric"] in ("hd95", "assd")} == {"mm"}
    assert {row["unit"] for row in scored.rows if row["metric"] == "dice"} == {""}
    assert (scored.problems, scored.notes) == ({}, (BY_NAME,))
    owners = {row["case"]: (row["patient"], row["phase"]) for row in scored.rows}
    assert owners == {"p1_ed": ("p1", "ED"), "p1_es": ("p1", "ES"), "p2_ed": ("p2", "ED")}


@pytest.mark.parametrize(
    ("unit", "size", "spacing"),
    [("mm", 0.68359375, 0.68359375), ("micron", 0.1625, 0.0001625), ("mm", 1.37, 1.37)],
)
def test_what_is_at_the_tolerance_is_within_by_what_the_header_means(tmp_path, unit, size, spacing):
    for side, at in (("r", 2), ("p", 22)):
        sheet = np.zeros((9, 9, 30), np.uint8)
        sheet[:, :, at] = 1
        volume = nibabel.Nifti1Image(sheet.T, np.eye(4))
        volume.header.set_zooms((size,) * 3)
        volume.header.set_xyzt_units(unit)
        (tmp_path / side).mkdir()
        nibabel.save(volume, tmp_path / side / "x.nii.gz")
    request = Request(("hd", "nsd"), tolerance_mm=20 * spacing)
    hd, nsd = (row["value"] for row in score(tmp_path / "r", {"mine": tmp_path / "p"}, request).rows)
    assert hd == pytest.approx(20 * spacing, rel=1e-12)
    assert nsd == 1


def test_rows_of_pictures_are_those_on_arrays_read_by_pillow(tmp_path, write):
    rng = np.random.default_rng(0)
    for side in ("r", "p"):
        for number in range(3):
            write(tmp_path / side / f"x{number}.png", rng.integers(0, 2, (20, 30), np.uint8) * 255)
    scored = score(tmp_path / "r", {"mine": tmp_path / "p"}, Request(METRICS, tolerance_mm=2.0))
    for case in ("x0", "x1", "x2"):
        arrays = [np.asarray(Image.open(tmp_path / side / f"{case}.png")) // 255 for side in ("r", "p")]
        assert values(scored, case) == expected(*arrays, (1, 1), ("255",))
    assert {row["unit"] for row in scored.rows if row["metric"] == "hd95"} == {"px"}


@pytest.mark.parametrize("system", ["acdc"])
def test_real_volumes_score_as_their_arrays_do(system, tmp_path):
    source = SHARED / system / "database"
    if not source.is_dir():
        pytest.skip(f"no real data at <repository>/../shared/data/{system}")
    for patient in sorted(source.glob("*/patient*"))[:2]:
        shutil.copytree(patient, tmp_path / "r" / patient.name)
    references = sorted((tmp_path / "r").rglob("*_gt.nii.gz"))
    arrays = {}
    (tmp_path / "p").mkdir()
    for path in references:
        image = nibabel.load(path)
        ours = np.asarray(image.dataobj)
        theirs = np.roll(ours, 2, axis=0)
        name = path.name.replace("_gt", "")
        nibabel.save(nibabel.Nifti1Image(theirs, image.affine, image.header), tmp_path / "p" / name)
        arrays[name.removesuffix(".nii.gz")] = ours.T, theirs.T, image.header.get_zooms()[::-1]
    scored = score(tmp_path / "r", {"mine": tmp_path / "p"}, Request(METRICS, tolerance_mm=2.0))
    assert {row["case"] for row in scored.rows} == arrays.keys()
    assert {row["phase"] for row in scored.rows} == {"ED", "ES"}
    for case, (ours, theirs, zooms) in arrays.items():
        spacing = tuple(float(str(zoom)) for zoom in zooms)
        assert values(scored, case) == expected(ours, theirs, spacing, ("1", "2", "3"))


def test_one_bad_case_leaves_the_others_alone(folders, write):
    reference, prediction = folders
    before = values(score(reference, {"mine": prediction}, REQUEST), "p2_ed")
    (prediction / "p1_ed.nii.gz").unlink()
    (prediction / "p1_es.nii.gz").write_bytes(b"no volume")
    scored = score(reference, {"mine": prediction}, REQUEST)
    assert values(scored, "p2_ed") == before
    status = {row["case"]: row["status"] for row in scored.rows}
    assert status == {"p1_ed": "missing", "p1_es": "failed", "p2_ed": "ok"}
    assert all(math.isnan(row["value"]) for row in scored.rows if row["status"] != "ok")
    assert scored.problems["mine"][0] == "p1_ed: no prediction"
    assert scored.problems["mine"][1].startswith(
        f"p1_es: {prediction}/p1_es.nii.gz: is not a readable NIfTI file ("
    )
    assert {row["note"] for row in scored.rows if row["case"] == "p1_ed"} == {"no prediction"}


def test_a_value_that_nobody_knows_fails_its_case(folders, write, blob):
    reference, prediction = folders
    write(prediction / "p1_ed.nii.gz", blob(9, 10, 11, value=7))
    scored = score(reference, {"mine": prediction}, REQUEST)
    assert {row["case"] for row in scored.rows if row["status"] == "failed"} == {"p1_ed"}
    assert scored.problems["mine"] == (
        f"p1_ed: {prediction}/p1_ed.nii.gz: holds 7; labels and references only know 0, 1, 2",
    )


def test_values_that_only_other_references_hold_are_background(folders, write, blob):
    reference, prediction = folders
    write(reference / "p1_ed.nii.gz", blob(9, 10, 11))
    scored = score(reference, {"mine": prediction}, Request(("dice",), labels={"a": 1}))
    assert scored.problems == {}
    assert scored.notes == (
        BY_NAME,
        "the references also hold 2: counted as background",
    )


def test_a_reference_that_cannot_be_read_counts_the_largest_diagonal(folders):
    reference, prediction = folders
    (reference / "p1_ed.nii.gz").write_bytes(b"no volume")
    scored = score(reference, {"mine": prediction}, REQUEST)
    diagonals = {row["case"]: row["diagonal"] for row in scored.rows}
    assert diagonals["p1_ed"] == diagonals["p2_ed"] == pytest.approx(math.hypot(9 * 8, 10 * 1.4, 11 * 1.5))


def test_labels_that_no_reference_holds_are_refused(folders):
    reference, prediction = folders
    with pytest.raises(
        DataError, match=r"^no reference holds any of the labels lung=255; they hold 0, 1, 2$"
    ):
        score(reference, {"mine": prediction}, Request(("dice",), labels={"lung": 255}))


def test_predictions_without_a_reference_are_refused_or_left_out(folders, blob, write):
    reference, prediction = folders
    write(prediction / "extra.nii.gz", blob(9, 10, 11))
    with pytest.raises(
        DataError, match=r"1 prediction has no reference: extra\.nii\.gz .*--extra ignore leaves them out$"
    ):
        score(reference, {"mine": prediction}, REQUEST)
    scored = score(reference, {"mine": prediction}, Request(("dice",), ignore_extra=True))
    assert len({row["case"] for row in scored.rows}) == 3
    assert scored.notes == (
        BY_NAME,
        f"{prediction}: left out 1 without a reference, e.g. extra.nii.gz",
    )


def test_folders_that_have_nothing_in_common_are_refused(folders, blob, write, tmp_path):
    write(tmp_path / "other" / "q.nii.gz", blob(9, 10, 11))
    with pytest.raises(
        DataError,
        match=r"other: 1 prediction has no reference: q\.nii\.gz \(references are named as in p1_ed\.nii\.gz\)$",
    ):
        score(folders[0], {"mine": tmp_path / "other"}, Request(("dice",), ignore_extra=True))


def test_a_file_against_a_folder_goes_by_its_name(folders, tmp_path):
    reference, prediction = folders
    shutil.copy(prediction / "p1_ed.nii.gz", tmp_path / "p1_ed.nii.gz")
    scored = score(reference, {"mine": tmp_path / "p1_ed.nii.gz"}, Request(("dice",)))
    assert [row["status"] for row in scored.rows] == ["ok"] * 2 + ["missing"] * 4
    shutil.move(tmp_path / "p1_ed.nii.gz", tmp_path / "q.nii.gz")
    with pytest.raises(DataError, match=r"1 prediction has no reference: q\.nii\.gz"):
        score(reference, {"mine": tmp_path / "q.nii.gz"}, Request(("dice",)))


def test_two_files_are_a_case_whatever_their_names(folders):
    reference, prediction = folders
    scored = score(reference / "p1_ed.nii.gz", {"mine": prediction / "p2_ed.nii.gz"}, REQUEST)
    assert {row["case"] for row in scored.rows} == {"p1_ed"}
    assert scored.problems == {}


def test_several_systems_are_named(folders):
    reference, prediction = folders
    (prediction / "p1_ed.nii.gz").unlink()
    scored = score(reference, {"mine": prediction, "yours": reference}, REQUEST)
    assert [row["system"] for row in scored.rows] == ["mine"] * 30 + ["yours"] * 30
    assert scored.problems == {"mine": ("mine: p1_ed: no prediction",)}


def test_a_warning_is_said_once(folders, write, blob):
    reference, prediction = folders
    for path in prediction.iterdir():
        write(path, blob(9, 10, 11), (2.0, 1.4, 8.0))
    notes = score(reference, {"mine": prediction}, REQUEST).notes
    assert len(notes) == 2
    assert notes[1].startswith("p1_ed: the prediction's header says 8 x 1.4 x 2 mm")
    assert notes[1].endswith("(and 2 other cases)")


def test_processes_change_nothing(folders, monkeypatch):
    reference, prediction = folders
    alone = score(reference, {"mine": prediction}, Request(METRICS, tolerance_mm=1.0, processes=1))
    monkeypatch.setattr(pool, "ALONE_S", 0.0)
    monkeypatch.setattr(pool, "WORTH_S", 0.0)
    shared = score(reference, {"mine": prediction}, Request(METRICS, tolerance_mm=1.0, processes=2))
    assert shared == alone


def test_progress_is_told(folders):
    told = []
    score(folders[0], {"mine": folders[1]}, Request(("dice",)), watch=lambda *facts: told.append(facts))
    assert told == [(stage, done, 3) for stage in ("references", "mine") for done in (1, 2, 3)]


def test_healthy_references_are_scored_if_labels_are_named(folders, write, blob):
    reference, prediction = folders
    for path in reference.iterdir():
        write(path, blob(9, 10, 11, value=0))
    write(prediction / "p1_ed.nii.gz", blob(9, 10, 11, value=0))
    scored = score(reference, {"mine": prediction}, Request(("dice",), labels={"a": 1, "b": 2}))
    assert [row["status"] for row in scored.rows] == ["both_empty"] * 2 + ["reference_empty"] * 4
    assert scored.problems == {}
    assert scored.notes == (BY_NAME, "no reference holds a=1", "no reference holds b=2")
    with pytest.raises(DataError, match=r"the references hold no label, only background"):
        score(reference, {"mine": prediction}, Request(("dice",)))


def test_a_label_that_no_reference_holds_is_named(folders):
    reference, prediction = folders
    notes = score(reference, {"mine": prediction}, Request(("dice",), labels={"a": 1, "b": 2, "c": 4})).notes
    assert notes == (BY_NAME, "no reference holds c=4")
