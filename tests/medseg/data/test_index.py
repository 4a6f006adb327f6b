import gzip
import os
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from medseg.data import files, index_dataset, make_split, resolve_root
from medseg.data.index import DataProblems
from medseg.errors import DataError
from medseg.tasks import TASKS, SplitSpec

TASK = TASKS.load("acdc-multiclass")


def test_a_second_look_reads_no_file(write_acdc, tmp_path, monkeypatch):
    root = write_acdc(tmp_path)
    first = index_dataset(TASK, root, tmp_path / "cache")

    def forbidden(path):
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(files, "read_header", forbidden)
    assert index_dataset(TASK, root, tmp_path / "cache") == first


def test_the_fingerprint_follows_content_not_place_or_time(write_acdc, tmp_path):
    root = write_acdc(tmp_path / "here")
    before = index_dataset(TASK, root, tmp_path / "cache").fingerprint
    there = shutil.copytree(root, tmp_path / "there")
    for path in there.rglob("*.nii.gz"):
        os.utime(path, (1, 1))
    assert index_dataset(TASK, there, tmp_path / "other").fingerprint == before
    assert index_dataset(TASK, there / "database", tmp_path / "other").fingerprint == before
    label = there / "database/training/patient002/patient002_frame01_gt.nii.gz"
    shutil.copy(label.with_name("patient002_frame12_gt.nii.gz"), label)
    assert index_dataset(TASK, there, tmp_path / "other").fingerprint != before


def test_damaged_facts_are_found_out_again(write_acdc, tmp_path):
    root = write_acdc(tmp_path)
    first = index_dataset(TASK, root, tmp_path / "cache")
    for path in (tmp_path / "cache" / "facts").iterdir():
        path.write_text("{half a fil")
    assert index_dataset(TASK, root, tmp_path / "cache") == first


def test_tasks_on_the_same_files_share_a_fingerprint(write_acdc, tmp_path):
    root = write_acdc(tmp_path)
    prints = {
        index_dataset(TASKS.load(name), root, tmp_path / "cache").fingerprint
        for name in ("acdc-multiclass", "acdc-lv", "acdc-rv")
    }
    assert len(prints) == 1


def test_a_root_given_by_name_wins_over_the_environment(write_acdc, tmp_path, monkeypatch):
    environment, given = write_acdc(tmp_path / "env" / "acdc"), write_acdc(tmp_path / "given")
    monkeypatch.setenv("MEDSEG_DATA", str(tmp_path / "env"))
    assert resolve_root(TASK, {}, tmp_path) == environment / "database"
    assert resolve_root(TASK, {"acdc": given}, tmp_path) == given / "database"


def test_missing_data_say_how_to_give_them(tmp_path, monkeypatch):
    monkeypatch.delenv("MEDSEG_DATA", raising=False)
    with pytest.raises(
        DataError, match=r"no data for task 'acdc-multiclass': .*--data acdc=PATH.*MEDSEG_DATA"
    ):
        resolve_root(TASK, {}, tmp_path)
    with pytest.raises(DataError, match=r"no folder .*nowhere for the data set 'acdc'"):
        resolve_root(TASK, {"acdc": tmp_path / "nowhere"}, tmp_path)
    with pytest.raises(
        DataError, match=r"does not hold the data set 'acdc' .*looked for training/patientNNN"
    ):
        resolve_root(TASK, {"acdc": tmp_path}, tmp_path)
    with pytest.raises(DataError, match=r"does not hold acdc data"):
        index_dataset(TASK, tmp_path, tmp_path)


def test_an_unknown_case_is_a_key_error(cardiac):
    with pytest.raises(KeyError, match="no case 'nobody'"):
        cardiac.case("nobody")


def test_a_cache_that_cannot_be_written_is_one_clear_line(write_acdc, tmp_path):
    root = write_acdc(tmp_path)
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(DataError, match=r"cannot write .*cache.*facts"):
        index_dataset(TASK, root, tmp_path / "cache")


def test_an_image_saved_again_under_another_name_is_found_to_be_alike(lung, tmp_path):
    root = shutil.copytree(lung.root.parent, tmp_path / "copy")
    first = next(case for case in lung.cases if case.id == "COVID-1")
    folder = root / lung.root.name / "COVID"
    with Image.open(first.image) as image:
        image.convert("L").resize((512, 512)).save(folder / "images" / "COVID-999.png")
    shutil.copy(first.label, folder / "masks" / "COVID-999.png")
    groups = root / "groups.csv"
    groups.write_text(groups.read_text() + "COVID-999,P999\n")
    dataset = index_dataset(lung.task, root, tmp_path / "cache")
    assert dataset.alike == (("COVID-1", "COVID-999"),)
    apart = [seed for seed in range(40) if _refused(lung.task, dataset, seed)]
    # Half of the splits put the two into different parts; all of those are refused, by name.
    assert 10 < len(apart) < 40
    groups.unlink()
    dataset = index_dataset(lung.task, root, tmp_path / "cache")
    assert dataset.alike == ()
    assert dataset.case("COVID-999").patient == dataset.case("COVID-1").patient == "COVID-1"
    assert "no groups.csv says who is who" in dataset.notes[0]


def _refused(task, dataset, seed):
    split = SplitSpec(test=0.25, folds=3, seed=seed)
    try:
        make_split(task.model_copy(update={"split": split}), dataset)
    except DataError as error:
        named = r"'COVID-1' \(patient P\d+, .*'COVID-999' \(patient P999, .*nearly the same image"
        return re.search(named, str(error)) is not None
    return False


def test_two_patients_with_one_volume_are_refused(write_acdc, tmp_path):
    root = write_acdc(tmp_path, training=5)
    source = root / "database/training/patient001/patient001_frame01.nii.gz"
    target = root / "database/testing/patient006/patient006_frame12.nii.gz"
    # Compressed anew: other bytes, same voxels.
    target.write_bytes(gzip.compress(gzip.decompress(source.read_bytes()), compresslevel=1))
    dataset = index_dataset(TASK, root, tmp_path / "cache")
    with pytest.raises(DataError, match=r"'patient001_frame01' .* and 'patient006_frame12' .*groups\.csv"):
        make_split(TASK, dataset)


def test_all_problems_are_told_at_once(write_acdc, tmp_path):
    root = write_acdc(tmp_path, training=14)
    for number in range(1, 15):
        name = f"patient{number:03d}"
        (root / f"database/training/{name}/{name}_frame12_gt.nii.gz").write_bytes(b"\x1f\x8bnot gzip")
    with pytest.raises(
        DataProblems, match=r"14 problems: .*; and 4 more \(bench data check lists all\)"
    ) as caught:
        index_dataset(TASK, root, tmp_path / "cache")
    assert len(caught.value.problems) == 14
    assert all("is not a readable NIfTI file" in problem for problem in caught.value.problems)


def test_a_declared_spacing_wins_over_the_files(write_acdc, tmp_path):
    task = TASK.model_copy(update={"file_spacing_mm": (5.0, 0.7, 0.8)})
    dataset = index_dataset(task, write_acdc(tmp_path), tmp_path / "cache")
    assert {case.spacing_mm for case in dataset.cases} == {(5.0, 0.7, 0.8)}
    flat = TASK.model_copy(update={"file_spacing_mm": (0.7, 0.8)})
    with pytest.raises(DataProblems, match="file_spacing_mm must give 3 numbers, gives 2"):
        index_dataset(flat, write_acdc(tmp_path / "again"), tmp_path / "cache")


def test_progress_counts_every_file(write_acdc, tmp_path):
    seen = []
    root = write_acdc(tmp_path)
    index_dataset(TASK, root, tmp_path / "cache", lambda done, total: seen.append((done, total)))
    files_used = 4 * (4 + 1)
    assert seen == [(n, files_used) for n in range(1, files_used + 1)]


def test_content_of_the_same_size_and_time_is_seen(write_acdc, tmp_path):
    root = write_acdc(tmp_path)
    label = root / "database/training/patient002/patient002_frame01_gt.nii.gz"
    os.utime(label, (0, 0))
    before = index_dataset(TASK, root, tmp_path / "cache").fingerprint
    content = bytearray(label.read_bytes())
    content[4] ^= 1  # the time in gzip's header: same size, same voxels, other bytes
    label.write_bytes(content)
    os.utime(label, (0, 0))
    assert index_dataset(TASK, root, tmp_path / "cache").fingerprint != before


def test_the_fingerprint_does_not_depend_on_how_the_root_is_written(write_acdc, tmp_path, monkeypatch):
    root = write_acdc(tmp_path)
    absolute = index_dataset(TASK, root, tmp_path / "cache")
    monkeypatch.chdir(root)
    assert index_dataset(TASK, Path(), tmp_path / "cache") == absolute


@pytest.mark.parametrize("text", ["null", "3", "[1]", '{"a": 1}', "[[1, 2, 3]]", "[[0, 99]]", "[[1, 0]]"])
def test_a_damaged_list_of_likenesses_is_made_anew(write_acdc, tmp_path, text):
    root = write_acdc(tmp_path)
    first = index_dataset(TASK, root, tmp_path / "cache")
    (path,) = (tmp_path / "cache/likeness").iterdir()
    path.write_text(text)
    assert index_dataset(TASK, root, tmp_path / "cache") == first
    assert path.read_text() == "[]"


def test_a_folder_that_cannot_be_listed_is_one_line(write_acdc, tmp_path, monkeypatch):
    root = write_acdc(tmp_path)

    def refuse(*_):
        raise PermissionError(13, "Permission denied", "/data/secret")

    monkeypatch.setattr("medseg.data.formats.acdc.read", refuse)
    with pytest.raises(DataError, match=r"^/data/secret: cannot be read: Permission denied$"):
        index_dataset(TASK, root, tmp_path / "cache")


def test_the_same_problem_is_told_once(write_acdc, write_nifti, tmp_path):
    root = write_acdc(tmp_path)
    folder = root / "database/training/patient001"
    shutil.copytree(folder, root / "database/testing/patient001")
    with pytest.raises(DataProblems) as caught:
        index_dataset(TASK, root, tmp_path / "cache")
    assert caught.value.problems == tuple(
        f"testing/patient001/patient001_frame{frame}.nii.gz: 'patient001_frame{frame}' is in both the training and "
        f"the testing part, see training/patient001/patient001_frame{frame}.nii.gz"
        for frame in ("01", "12")
    )
