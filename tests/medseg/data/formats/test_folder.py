import shutil
import unicodedata

import nrrd
import numpy as np
import pytest

from medseg.data import index_dataset, load_image, load_label, resolve_root
from medseg.data.formats import folder
from medseg.data.known import EACH_ITS_OWN
from medseg.errors import DataError


def _problems(task, root, cache) -> list[str]:
    with pytest.raises(DataError, match=r"\d problems?: ") as caught:
        index_dataset(task, root, cache)
    assert "\n" not in str(caught.value)
    return str(caught.value).split(": ", 2)[2].split("; ")


@pytest.mark.parametrize("masks", ["masks", "labels"])
@pytest.mark.parametrize("tail", ["", "_mask", "_seg", "_label", "_GT"])
def test_pictures_are_paired_by_name(write_folder, make_task, tmp_path, masks, tail):
    root = write_folder(tmp_path / "ä b", ending=".jpg", mask_ending=".png", tail=tail, masks=masks)
    task = make_task("folder", patient_pattern=EACH_ITS_OWN)
    assert resolve_root(task, {"mine": root}, tmp_path) == root
    dataset = index_dataset(task, root, tmp_path / "cache")
    assert [case.id for case in dataset.cases] == ["P1_2", "P1_10", "P2_1"]
    case = dataset.cases[0]
    assert (case.patient, case.part, case.shape, case.spacing_mm) == ("P1_2", "", (12, 10), (1.0, 1.0))
    assert (dataset.values, dataset.notes) == (frozenset(), ())
    assert load_image(case, task).shape == (1, 12, 10)
    assert np.unique(load_label(case, task)).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("ending", "spacing_mm"),
    [
        (".nii.gz", (8.0, 1.4, 1.5)),
        (".nii", (8.0, 1.4, 1.5)),
        (".nrrd", (8.0, 1.4, 1.5)),
        (".nhdr", (8.0, 1.4, 1.5)),
    ],
)
def test_volumes_carry_their_spacing(write_folder, make_task, tmp_path, ending, spacing_mm):
    root = write_folder(tmp_path, ending=ending, shape=(12, 10, 3))
    task = make_task("folder", unit="mm", patient_pattern=EACH_ITS_OWN)
    dataset = index_dataset(task, root, tmp_path / "cache")
    assert {(case.shape, case.spacing_mm) for case in dataset.cases} == {((3, 10, 12), spacing_mm)}
    assert dataset.notes == ()
    assert load_image(dataset.cases[0], task).shape == (1, 3, 10, 12)


def test_the_data_of_a_detached_header_are_part_of_the_fingerprint(write_folder, make_task, tmp_path):
    root = write_folder(tmp_path, ending=".nhdr", shape=(12, 10, 3))
    before = index_dataset(make_task("folder"), root, tmp_path / "cache").fingerprint
    header = root / "images/P1_2.nhdr"
    headed = header.read_bytes()
    nrrd.write(str(header), np.ones((12, 10, 3), np.uint8), {"spacings": (1.5, 1.4, 8.0)})
    assert header.read_bytes() == headed
    assert index_dataset(make_task("folder"), root, tmp_path / "cache").fingerprint != before


def test_groups_pattern_and_spacing_of_ones_own(write_folder, make_task, tmp_path):
    root = write_folder(tmp_path / "data")
    task = make_task("folder", patient_pattern=r"^(P\d+)_", file_spacing_mm=(0.7, 0.6))
    dataset = index_dataset(task, root, tmp_path / "cache")
    assert [case.patient for case in dataset.cases] == ["P1", "P1", "P2"]
    assert dataset.cases[0].spacing_mm == (0.7, 0.6)
    (root / "groups.csv").write_text(
        "image,patient,subgroup\nP1_2.png,Ute,NOR\nP1_10.png,Jörg,DCM\n", encoding="utf-8"
    )
    dataset = index_dataset(task, root, tmp_path / "cache")
    assert [(case.patient, case.subgroup) for case in dataset.cases] == [
        ("Ute", "NOR"),
        ("Jörg", "DCM"),
        ("P2", ""),
    ]
    task = make_task("folder", file_spacing_mm=(5.0, 0.7, 0.6))
    assert "masks/P1_2.png: file_spacing_mm must give 2 numbers, gives 3" in _problems(
        task, root, tmp_path / "cache"
    )


def test_train_and_test_are_parts_of_their_own(write_folder, make_task, tmp_path):
    write_folder(tmp_path / "train", ("a", "b", "c"))
    write_folder(tmp_path / "test", ("d",), masks="labels", ending=".tif")
    dataset = index_dataset(make_task("folder"), tmp_path, tmp_path / "cache")
    assert {case.id: case.part for case in dataset.cases} == dict.fromkeys("abc", "train") | {"d": "test"}
    shutil.copy(tmp_path / "train/images/a.png", tmp_path / "test/images/a.png")
    shutil.copy(tmp_path / "train/masks/a.png", tmp_path / "test/labels/a.png")
    (problem,) = _problems(make_task("folder"), tmp_path, tmp_path / "cache")
    assert "'a' is in both the training and the testing part, see train/images/a.png" in problem
    write_folder(tmp_path)
    assert _problems(make_task("folder"), tmp_path, tmp_path / "cache") == [
        "images: stands beside train/images, keep the one or the other",
    ]


def test_channels_are_files_with_numbers(write_folder, write_image, make_task, tmp_path):
    names = tuple(f"scan{n}_000{channel}" for n in (1, 2) for channel in (0, 1))
    root = write_folder(tmp_path, names, ending=".nii.gz", shape=(12, 10, 3))
    for number in (1, 2):
        (root / f"masks/scan{number}_0000.nii.gz").rename(root / f"masks/scan{number}.nii.gz")
        (root / f"masks/scan{number}_0001.nii.gz").unlink()
    task = make_task("folder", channels=2)
    dataset = index_dataset(task, root, tmp_path / "cache")
    assert [[path.name for path in case.images] for case in dataset.cases] == [
        ["scan1_0000.nii.gz", "scan1_0001.nii.gz"],
        ["scan2_0000.nii.gz", "scan2_0001.nii.gz"],
    ]
    assert load_image(dataset.cases[0], task).shape == (2, 3, 10, 12)
    (root / "images/scan1_0000.nii.gz").unlink()
    write_image(root / "images/scan2.nii.gz", np.zeros((12, 10, 3), np.int16))
    assert _problems(task, root, tmp_path / "cache") == [
        "images/scan1_0001.nii.gz: misses its channels _0000",
        "images/scan2.nii.gz: stands beside channel files of 'scan2', keep the one or the others",
    ]


def test_numbers_in_names_of_colour_pictures_are_no_channels(write_folder, write_image, make_task, tmp_path):
    names = ("clip_0000", "clip_0001", "clip_2021")
    root = write_folder(tmp_path, names, tail="_mask")
    for number, name in enumerate(names):
        colours = np.random.default_rng(number).integers(0, 256, (12, 10, 3), np.uint8)
        write_image(root / f"images/{name}.png", colours)
    task = make_task("folder", channels=3)
    dataset = index_dataset(task, root, tmp_path / "cache")
    assert tuple(case.id for case in dataset.cases) == names
    assert load_image(dataset.cases[1], task).shape == (3, 12, 10)


def test_every_file_that_misses_another_is_named(write_folder, write_image, make_task, tmp_path):
    root = write_folder(tmp_path, ("a", "b", "c", "d"))
    (root / "masks/a.png").unlink()
    (root / "images/b.png").unlink()
    shutil.copy(root / "masks/c.png", root / "masks/c_seg.png")
    shutil.copy(root / "images/d.png", root / "images/d.tif")
    assert sorted(_problems(make_task("folder"), root, tmp_path / "cache")) == [
        "images/a.png: has no mask",
        "images/d.tif: has the same name as d.png, keep one of them",
        "masks/b.png: has no image",
        "masks/c_seg.png: is a second mask of 'c', beside c.png",
    ]


def test_a_name_that_ends_like_a_mask_is_taken_as_it_is(write_folder, make_task, tmp_path):
    root = write_folder(tmp_path, ("a", "a_seg"))
    dataset = index_dataset(make_task("folder"), root, tmp_path / "cache")
    assert [(case.id, case.label.name) for case in dataset.cases] == [("a", "a.png"), ("a_seg", "a_seg.png")]


def test_other_files_are_counted_and_hidden_ones_ignored(write_folder, make_task, tmp_path):
    root = write_folder(tmp_path)
    for name in ("images/.DS_Store", "images/._P1_2.png", "masks/Thumbs.db", "masks/old/x"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"x")
    dataset = index_dataset(make_task("folder", patient_pattern=EACH_ITS_OWN), root, tmp_path / "cache")
    assert dataset.notes == ("2 files or folders were left out, e.g. masks/Thumbs.db",)


def test_umlauts_of_macos_and_linux_are_the_same(write_folder, make_task, tmp_path):
    root = write_folder(tmp_path, ("Jörg 1", "Jörg 2"))
    for name in ("Jörg 1", "Jörg 2"):
        apart = unicodedata.normalize("NFD", name)
        (root / f"images/{name}.png").rename(root / f"images/{apart}.png")
    (root / "groups.csv").write_text("image,patient\nJörg 1.png,J\nJörg 2,J\n", encoding="utf-8")
    dataset = index_dataset(make_task("folder"), root, tmp_path / "cache")
    assert [(case.id, case.patient) for case in dataset.cases] == [("Jörg 1", "J"), ("Jörg 2", "J")]


def test_masks_must_stand_beside_images(write_folder, make_task, tmp_path):
    root = write_folder(tmp_path / "a")
    shutil.copytree(root / "masks", root / "labels")
    assert _problems(make_task("folder"), root, tmp_path / "cache") == [
        "images: needs masks or labels beside it, has masks and labels"
    ]
    shutil.rmtree(root / "labels")
    shutil.rmtree(root / "masks")
    assert _problems(make_task("folder"), root, tmp_path / "cache") == [
        "images: needs masks or labels beside it, has neither"
    ]


def test_no_case_and_no_layout_are_refused(make_task, tmp_path):
    with pytest.raises(
        DataError, match=r"does not hold the data set 'mine' .*\(looked for images/ and masks/"
    ):
        resolve_root(make_task("folder"), {"mine": tmp_path}, tmp_path)
    assert folder.locate(tmp_path) is None
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(DataError, match=r"no case found; looked for images/ and masks/ \(or labels/\)"):
        index_dataset(make_task("folder"), tmp_path, tmp_path / "cache")


def test_pixels_are_not_passed_off_as_millimetres(write_folder, make_task, tmp_path):
    root = write_folder(tmp_path)
    task = make_task("folder", unit="mm")
    with pytest.raises(DataError, match=r"pictures carry no spacing; give file_spacing_mm, or unit: px"):
        index_dataset(task, root, tmp_path / "cache")
    declared = make_task("folder", file_spacing_mm=(0.7, 0.6))
    assert index_dataset(declared, root, tmp_path / "cache").cases[0].spacing_mm == (0.7, 0.6)
