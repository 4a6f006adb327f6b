import os
import shutil

import pytest

from medseg.data import files, index_dataset, resolve_root
from medseg.errors import DataError
from medseg.tasks import TASKS

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
