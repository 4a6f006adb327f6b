import os

import pytest

from medseg.errors import DataError
from medseg.scoring.files import case_ids, find_predictions, find_references, printable

SAME = [("x.nii.gz", "x.png"), ("x.jpg", "x.png"), ("x.nii", "x.nii.gz")]


@pytest.fixture
def touch(tmp_path):
    def make(*names: str):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return make


def keys(files):
    return [file.key for file in files]


@pytest.mark.parametrize(
    "name",
    [
        *("p1_gt.nii.gz", "p1_seg.nii", "p1_mask.png", "p1_label.tif", "p1_labels.nrrd", "p1-seg.nii.gz"),
        *("p1_segmentation.nii.gz", "p1_groundtruth.nii.gz", "p1_GT.nii.gz", "p1.nii.gz"),
        *("p1/seg.nii.gz", "p1/segmentation.nii.gz", "p1/gt.png"),
    ],
)
def test_a_label_is_known_by_its_image(touch, name):
    assert keys(find_references(touch(name))[0]) == ["p1"]


@pytest.mark.parametrize(
    "name", ["p1.nii.gz", "p1_seg.nii.gz", "p1_pred.nii.gz", "p1_prediction.png", "p1/pred.nii"]
)
def test_a_prediction_is_known_by_its_image(touch, name):
    assert keys(find_predictions(touch(name))) == ["p1"]


def test_images_beside_references_are_none(touch):
    root = touch(
        "patient101/patient101_4d.nii.gz",
        "patient101/patient101_frame01.nii.gz",
        "patient101/patient101_frame01_gt.nii.gz",
        "patient101/Info.cfg",
        "patient101/._patient101_frame01_gt.nii.gz",
        ".hidden/x_gt.nii.gz",
    )
    files, notes = find_references(root)
    assert keys(files) == ["patient101/patient101_frame01"]
    assert notes == ["2 files beside the references taken for images, e.g. patient101/patient101_4d"]


@pytest.mark.parametrize(
    ("images", "labels"), [("images", "masks"), ("imagesTr", "labelsTr"), ("images", "labels")]
)
def test_folders_of_images_beside_those_of_labels_are_none(touch, images, labels):
    files, notes = find_references(
        touch(f"COVID/{images}/a.png", f"COVID/{labels}/a.png", f"COVID/{labels}/b.png")
    )
    assert keys(files) == [f"COVID/{labels}/a", f"COVID/{labels}/b"]
    assert notes == [f"1 file beside the references taken for images, e.g. COVID/{images}/a"]


def test_a_folder_of_that_name_alone_holds_references(touch):
    files, notes = find_references(touch("images/a.png"))
    assert keys(files) == ["images/a"]
    assert notes == []


def test_files_come_in_natural_order(touch):
    assert keys(find_references(touch("c10.png", "c2.png", "c1.png"))[0]) == ["c1", "c2", "c10"]


def test_what_nnunet_writes_beside_its_predictions_is_passed_over(touch):
    root = touch("c1.nii.gz", "c1.npz", "c1.pkl", "dataset.json", "plans.json", "summary.json")
    assert keys(find_predictions(root)) == ["c1"]


def test_cases_have_folders_in_their_ids_where_names_repeat(touch):
    ids = case_ids(find_references(touch("a/x.png", "b/x.png", "b/y.png"))[0])
    assert list(ids) == ["a/x", "b/x", "y"]


@pytest.mark.parametrize(("first", "second"), [*SAME, ("x_gt.nii.gz", "x_seg.nii.gz")])
def test_two_references_of_a_case_are_named(touch, first, second):
    files = find_references(touch(first, second))[0]
    with pytest.raises(
        DataError, match=rf"^two references of 'x': \S+/{first} and \S+/{second}; keep one of them$"
    ):
        case_ids(files)


def test_empty_and_missing_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"^no folder \S+/nowhere$"):
        find_references(tmp_path / "nowhere")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"no label files; looked for \.nii\.gz, "):
        find_predictions(tmp_path)


def test_linked_folders_are_followed(touch, tmp_path):
    touch("store/1/deep/a_gt.png", "store/2/b_gt.png", "root/c_gt.png")
    (tmp_path / "root/p1").symlink_to(tmp_path / "store/1")
    (tmp_path / "root/p2").symlink_to("../store/2")
    assert keys(find_references(tmp_path / "root")[0]) == ["c", "p1/deep/a", "p2/b"]
    (tmp_path / "link").symlink_to("root")
    assert keys(find_predictions(tmp_path / "link")) == ["c", "p1/deep/a", "p2/b"]


def test_links_in_circles_end(touch, tmp_path):
    touch("root/p1/a.png", "elsewhere/b.png")
    (tmp_path / "root/p1/up").symlink_to(tmp_path / "root")
    (tmp_path / "root/out").symlink_to("../elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "root")
    (tmp_path / "root/self").symlink_to("self")
    assert keys(find_references(tmp_path / "root")[0]) == ["out/b", "p1/a"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_cannot_be_read_is_named(touch, tmp_path):
    touch("p1/a.png", "p2/b.png")
    (tmp_path / "p2").chmod(0)
    with pytest.raises(DataError, match=r"/p2: cannot be read: Permission denied$"):
        find_references(tmp_path)
    (tmp_path / "p2").chmod(0o700)


def test_a_name_that_is_no_utf_8_has_escapes(touch, tmp_path):
    touch("a\udce9/b\udcff_gt.png", "ü_gt.png")
    files = find_references(tmp_path)[0]
    assert keys(files) == ["a\\udce9/b\\udcff", "ü"]
    assert files[0].path.is_file()
    assert printable("ü\udcff") == "ü\\udcff"
