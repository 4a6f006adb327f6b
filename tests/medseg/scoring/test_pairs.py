from pathlib import Path

import pytest

from medseg.errors import DataError
from medseg.scoring.files import LabelFile, case_ids, find_predictions, find_references
from medseg.scoring.pairs import extra_message, pair


def paired(tmp_path, references, predictions):
    for folder, names in (("r", references), ("p", predictions)):
        for name in names:
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    ids = case_ids(find_references(tmp_path / "r")[0])
    found = pair(ids, find_predictions(tmp_path / "p"))
    shown = {
        one.case: one.prediction and one.prediction.relative_to(tmp_path / "p").as_posix()
        for one in found.pairs
    }
    return shown, [path.name for path in found.extra]


@pytest.mark.parametrize(
    ("reference", "prediction"),
    [
        ("x.nii.gz", "x.nii.gz"),
        ("x_gt.nii.gz", "x.nii.gz"),
        ("x_gt.nii.gz", "x_gt.nii.gz"),
        ("x_gt.nii.gz", "x_seg.nii.gz"),
        ("x.nii.gz", "x_pred.nii.gz"),
        ("x.nrrd", "x.nii.gz"),
        ("training/p1/x_gt.nii.gz", "x.nii.gz"),
        ("x_mask.png", "fold_0/x.png"),
        ("x/segmentation.nii.gz", "x.nii.gz"),
        ("x/seg.nii.gz", "x/seg.nii.gz"),
    ],
)
def test_names_that_belong_together(tmp_path, reference, prediction):
    assert paired(tmp_path, [reference], [prediction]) == ({"x": prediction}, [])


def test_folders_tell_where_names_repeat(tmp_path):
    names = ["a/x.png", "b/x.png"]
    assert paired(tmp_path, names, names) == ({"a/x": "a/x.png", "b/x": "b/x.png"}, [])


def test_what_is_missing_and_what_is_too_much(tmp_path):
    found = paired(tmp_path, ["x.png", "y.png"], ["y.png", "z.png", "postprocessed/y.png"])
    assert found == ({"x": None, "y": "y.png"}, ["y.png", "z.png"])


def test_the_exact_name_wins_over_one_that_would_do(tmp_path):
    assert paired(tmp_path, ["x_gt.png"], ["x_gt.png", "x.png"]) == ({"x": "x_gt.png"}, ["x.png"])


@pytest.mark.parametrize("second", ["x_seg.png", "x.nii.gz"])
def test_two_predictions_of_a_case_are_named(tmp_path, second):
    with pytest.raises(DataError, match=r"^two predictions of 'x': \S+ and \S+; keep one of them$") as caught:
        paired(tmp_path, ["x_gt.png"], ["x.png", second])
    assert "/x.png" in str(caught.value)
    assert second in str(caught.value)


@pytest.mark.parametrize("names", [("x.jpg", "x.png"), ("x.nii", "x.nii.gz"), ("a/x.tif", "a/x.tiff")])
def test_two_predictions_that_only_differ_in_their_extension_are_named(tmp_path, names):
    with pytest.raises(DataError, match=r"^two predictions of 'x': \S+ and \S+; keep one of them$") as caught:
        paired(tmp_path, names[1:], names)
    assert all(f"p/{name}" in str(caught.value) for name in names)


def test_predictions_of_no_case_may_differ_in_their_extension(tmp_path):
    assert paired(tmp_path, ["x.png"], ["x.png", "y.png", "y.jpg"]) == (
        {"x": "x.png"},
        ["y.jpg", "y.png"],
    )


def test_predictions_of_one_name_in_other_folders_are_named(tmp_path):
    with pytest.raises(DataError, match=r"two predictions of 'x': \S+/a/x\.png and \S+/b/x\.png"):
        paired(tmp_path, ["x.png"], ["a/x.png", "b/x.png"])


def test_a_prediction_of_two_cases_names_both(tmp_path):
    with pytest.raises(
        DataError, match=r"p/x\.png could be of \S+r/a/x\.png or of \S+r/b/x\.png; put it into"
    ):
        paired(tmp_path, ["a/x.png", "b/x.png"], ["x.png"])


@pytest.mark.parametrize("references", [["x.png", "x_pred.png"], ["a/x_pred.png", "x.png"]])
def test_a_prediction_is_of_one_case(tmp_path, references):
    with pytest.raises(
        DataError, match=r"p/\S+ could be of \S+ or of \S+; rename it as its reference is$"
    ) as caught:
        paired(tmp_path, references, ["a/x_pred.png" if "/" in references[0] else "x_pred.png"])
    assert all(f"r/{name}" in str(caught.value) for name in references)


def test_many_references_are_not_compared_each_with_each(tmp_path):
    """Each with each would take minutes, and end at the limit of time that every test has."""
    references = {f"x{n}": LabelFile(Path(f"r/x{n}.png"), f"x{n}", f"x{n}") for n in range(20_000)}
    extra = [LabelFile(Path(f"p/y{n}.png"), f"y{n}", f"y{n}") for n in range(20_000)]
    assert len(pair(references, extra).extra) == 20_000


def test_the_message_about_extras_is_short(tmp_path):
    (tmp_path / "r_gt.png").touch()
    extra = [Path(tmp_path / f"{n}.png") for n in range(5)]
    text = extra_message(extra, tmp_path, find_references(tmp_path)[0])
    assert text.endswith(
        ": 5 predictions have no reference: 0.png, 1.png, 2.png and 2 more (references are named as in r_gt.png)"
    )
