import math

import numpy as np
import pytest

from medseg.metrics import evaluate_case
from medseg.scoring.measure import Protocol, measure
from medseg.scoring.pairs import Pair

PROTOCOL = Protocol({"a": 1, "b": 2}, ("dice", "hd95"))


@pytest.fixture
def case(tmp_path, write):
    def make(reference, prediction, name="x.nii.gz", other="x.nii.gz", **zooms) -> Pair:
        ours = write(tmp_path / "r" / name, reference, **zooms)
        return Pair("x", ours, None if prediction is None else write(tmp_path / "p" / other, prediction))

    return make


def by_key(measured):
    return {(value.label, value.metric): value.value for value in measured.values}


def test_values_are_those_of_evaluate_case_on_the_headers_grid(case):
    rng = np.random.default_rng(0)
    ours, theirs = rng.integers(0, 3, (2, 4, 9, 10), np.uint8)
    found = measure(PROTOCOL, case(ours, theirs))
    assert found.values == evaluate_case(ours, theirs, (8.0, 1.4, 1.5), ("a", "b"), ("dice", "hd95"))
    assert found.diagonal == pytest.approx(math.hypot(4 * 8.0, 9 * 1.4, 10 * 1.5))
    assert (found.problem, found.warning) == ("", "")
    assert found.reference_values == found.prediction_values == {0, 1, 2}


@pytest.mark.parametrize(("spacing", "unit", "lengths"), [((2.0,), "mm", (2, 2, 2)), (None, "px", (1, 1, 1))])
def test_a_given_spacing_wins_and_pixels_are_ones(case, blob, spacing, unit, lengths):
    ours, theirs = blob(8, 8, 8), blob(8, 8, 8, at=4)
    protocol = Protocol({"a": 1}, ("hd",), unit, spacing_mm=spacing)
    expected = evaluate_case(ours, theirs, lengths, ("a",), ("hd",))
    assert measure(protocol, case(ours, theirs)).values == expected


def test_no_prediction_is_missing(case, blob):
    found = measure(PROTOCOL, case(blob(4, 9, 9), None))
    assert {value.status for value in found.values} == {"missing"}
    assert len(found.values) == 4
    assert found.problem == "no prediction"
    assert found.diagonal > 0


def test_a_failed_case_says_why(case, blob, tmp_path):
    def reason(ours, theirs, protocol=PROTOCOL, **more):
        found = measure(protocol, case(ours, theirs, **more))
        assert {value.status for value in found.values} == {"failed"}
        assert all(math.isnan(value.value) for value in found.values)
        return found.problem

    good = blob(4, 9, 9)
    assert reason(good, blob(4, 9, 8)).endswith("must have the same shape, got (4, 9, 9) and (4, 9, 8)")
    assert reason(good, good * np.float32(0.5)).endswith(
        "p/x.nii.gz: holds 0.5; expected labels, which are whole numbers"
    )
    assert reason(np.full((2, 2, 2), np.nan, np.float32), good).endswith(
        "r/x.nii.gz: holds nan; expected labels, which are whole numbers"
    )
    assert reason(good, good, zooms=(0.0, 1.0, 1.0)).endswith(
        "states a spacing of 1 x 1 x 0 mm; give it by --spacing-mm"
    )
    flat = Protocol({"a": 1}, ("dice",), spacing_mm=(1.0, 2.0))
    assert reason(good, good, flat) == "spacing must be 1 or 3 numbers for shape (4, 9, 9), got 2"
    volume = Protocol({"a": 1}, ("volume_ml",), spacing_mm=(1.0,))
    picture = blob(9, 9)
    assert "needs 3D" in reason(picture, picture, volume, name="x.png", other="x.png")


@pytest.mark.parametrize("side", ["r", "p"])
def test_a_damaged_file_is_a_failed_case(case, blob, tmp_path, side):
    pair = case(np.random.default_rng(0).integers(0, 3, (9, 20, 20), np.uint8), blob(9, 20, 20))
    path = tmp_path / side / "x.nii.gz"
    path.write_bytes(path.read_bytes()[:90])
    found = measure(PROTOCOL, pair)
    assert found.problem.startswith(f"{path}: is not a readable NIfTI file (")
    assert "\n" not in found.problem
    assert math.isnan(found.diagonal) == (side == "r")


def test_headers_that_disagree_are_said_and_the_references_counts(case, blob, tmp_path, write):
    ours, theirs = blob(4, 9, 9), blob(4, 9, 9, at=1)
    pair = case(ours, theirs)
    write(pair.prediction, theirs, (1.5, 1.5, 8.0))
    found = measure(PROTOCOL, pair)
    assert found.warning == (
        "the prediction's header says 8 x 1.5 x 1.5 mm, the reference's 8 x 1.4 x 1.5 mm, which counts"
    )
    assert found.values == evaluate_case(ours, theirs, (8.0, 1.4, 1.5), ("a", "b"), ("dice", "hd95"))
    write(pair.prediction, theirs, (1.5, 1.4001, 8.0))
    assert measure(PROTOCOL, pair).warning == ""


def test_axes_that_point_elsewhere_are_said(case, blob, tmp_path):
    import nibabel

    pair = case(blob(4, 9, 9), blob(4, 9, 9))
    volume = nibabel.Nifti1Image(blob(9, 9, 4), np.diag([-1.5, -1.4, 8, 1]))
    nibabel.save(volume, pair.prediction)
    assert measure(PROTOCOL, pair).warning == (
        "the prediction's axes point along LPS, the reference's along RAS: is it flipped?"
    )


@pytest.mark.parametrize(("name", "other"), [("x.png", "x.nii.gz"), ("x.nii.gz", "x.png")])
def test_a_volume_of_one_slice_is_a_picture(case, blob, name, other):
    picture, slab = blob(9, 9), blob(9, 9)[None]
    ours, theirs = (picture, slab) if name == "x.png" else (slab, picture)
    found = measure(PROTOCOL, case(ours, theirs, name, other))
    assert by_key(found)["a", "dice"] == 1
    assert found.warning == ""


@pytest.mark.parametrize("colours", [1, 3])
def test_masks_of_255_and_soft_masks(case, blob, colours):
    mask = blob(9, 9, value=255)
    stored = mask if colours == 1 else np.stack([mask] * 3, axis=-1)
    plain = Protocol({"lung": 255}, ("dice",), "px")
    assert by_key(measure(plain, case(stored, mask, "x.png", "x.png")))["lung", "dice"] == 1
    soft = Protocol({"lung": 255}, ("dice",), "px", soft=True)
    edge = mask.copy()
    edge[1, 1] = 120
    assert by_key(measure(soft, case(stored, edge, "x.png", "x.png")))["lung", "dice"] == 1
    assert by_key(measure(soft, case(stored, mask // 255, "x.png", "x.png")))["lung", "dice"] == 1
