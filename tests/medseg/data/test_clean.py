import os
from pathlib import Path

import numpy as np
import pytest

from medseg.data import index_dataset, prepare
from medseg.data.cache import build_lock
from medseg.data.clean import clean
from medseg.data.ensure import ensure_prepared
from medseg.errors import DataError
from medseg.tasks import TASKS

TASK = TASKS.load("acdc-multiclass").model_copy(update={"image_size": (16, 16)})
KEY = "0123456789abcdef"


@pytest.fixture
def filled(tmp_path) -> Path:
    cache = tmp_path / "cache"
    for name, size in {
        f"prepared/{KEY}/images.npy": 1000,
        f"prepared/{KEY}/deeper/file": 10,
        f"prepared/.{KEY}-ab_12/images.npy": 200,
        "phantoms/phantom-cardiac-0123456789ab/scan": 30,
        "phantoms/.phantom-cardiac-0123456789ab-x9/scan": 3,
        f"facts/{KEY}.json": 4,
        f"likeness/{KEY}.json": 5,
        f"probe/{KEY * 4}.json": 6,
    }.items():
        (cache / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / name).write_bytes(b"x" * size)
    return cache


def left(cache: Path) -> set[str]:
    files = (path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(cache).as_posix() for path in files}


def test_arrays_and_leftovers_go_and_the_rest_stays(filled):
    gone = list(clean(filled))
    assert sum(item.size_bytes for item in gone) == 1210
    assert not any(item.kept for item in gone)
    assert not any(name.startswith("prepared") for name in left(filled))
    assert len(left(filled)) == 5


def test_all_that_can_be_made_again_goes(filled):
    assert sum(item.size_bytes for item in clean(filled, everything=True)) == 1258
    assert left(filled) == set()


def test_a_dry_run_says_the_same_and_changes_nothing(filled):
    before = set(filled.rglob("*"))
    would = list(clean(filled, everything=True, dry_run=True))
    assert set(filled.rglob("*")) == before
    assert would == list(clean(filled, everything=True))


@pytest.mark.parametrize("dry_run", [False, True])
def test_what_is_being_built_is_left_alone(filled, dry_run):
    with build_lock(filled / "prepared" / KEY):
        kept = list(clean(filled, dry_run=dry_run))
    assert {item.kept for item in kept} == {"another process is building it"}
    assert len(left(filled)) == 8


def test_what_has_another_name_or_lies_elsewhere_is_left_alone(filled, tmp_path):
    outside = tmp_path / "outside"
    (outside / KEY).mkdir(parents=True)
    (outside / KEY / "thesis.tex").write_text("years of work")
    for name in ("prepared/my thesis", "prepared/.git", "home", "facts"):
        (filled / name).mkdir(parents=True, exist_ok=True)
        (filled / name / "mine.txt").write_text("mine")
    (filled / "prepared" / "fedcba9876543210").symlink_to(outside / KEY)
    (filled / "likeness" / f"{KEY}.json").unlink()
    (filled / "likeness").rmdir()
    (filled / "likeness").symlink_to(outside)
    list(clean(filled, everything=True))
    assert (outside / KEY / "thesis.tex").read_text() == "years of work"
    assert {name for name in left(filled) if name.endswith("mine.txt")} == {
        "prepared/my thesis/mine.txt",
        "prepared/.git/mine.txt",
        "home/mine.txt",
        "facts/mine.txt",
    }


def test_a_file_that_is_being_written_is_left_alone(filled):
    temporary = filled / "facts" / f".{KEY}.json-abc_1"
    temporary.write_text("half")
    assert [item.path for item in clean(filled, everything=True) if item.kept] == [temporary]
    os.utime(temporary, (1, 1))
    assert [item.path for item in clean(filled, everything=True)] == [temporary]
    assert not temporary.exists()


def test_a_cache_that_is_not_there_is_clean(tmp_path):
    assert list(clean(tmp_path / "nowhere", everything=True)) == []


def test_what_cannot_be_removed_is_one_clear_line(filled, monkeypatch):
    def refuse(target):
        raise PermissionError(13, "Permission denied", str(target))

    monkeypatch.setattr("medseg.data.clean.discard", refuse)
    with pytest.raises(DataError, match=rf"cannot remove .*prepared/{KEY}: Permission denied$"):
        list(clean(filled))


def test_open_arrays_survive_and_are_made_again(write_acdc, tmp_path):
    dataset = index_dataset(TASK, write_acdc(tmp_path / "acdc"), tmp_path / "cache")
    prepared = prepare(TASK, dataset, tmp_path / "cache")
    before = np.array(prepared.images)
    assert [item.path for item in clean(tmp_path / "cache")] == [prepared.path]
    assert not prepared.path.exists()
    np.testing.assert_array_equal(prepared.images, before)
    again = ensure_prepared(TASK, dataset, tmp_path / "cache")
    assert again.how == "made"
    np.testing.assert_array_equal(again.prepared.images, before)


def test_arrays_are_made_verified_or_made_anew(write_acdc, tmp_path):
    dataset = index_dataset(TASK, write_acdc(tmp_path / "acdc"), tmp_path / "cache")
    first = ensure_prepared(TASK, dataset, tmp_path / "cache")
    files = list(first.prepared.path.iterdir())
    assert first.how == "made"
    assert first.size_bytes == sum(path.stat().st_size for path in files)
    assert ensure_prepared(TASK, dataset, tmp_path / "cache").how == "verified"
    # A bit flips and the file's time does not tell.
    images = first.prepared.path / "images.npy"
    stat, content = images.stat(), bytearray(images.read_bytes())
    content[-1] ^= 1
    images.write_bytes(content)
    os.utime(images, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    mended = ensure_prepared(TASK, dataset, tmp_path / "cache")
    assert mended.how == "made anew"
    assert ensure_prepared(TASK, dataset, tmp_path / "cache").how == "verified"
