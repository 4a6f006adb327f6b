import errno
import threading
from pathlib import Path

import pytest

from medseg.data import cache_dir
from medseg.data.cache import build_once, source_hash, write_atomically
from medseg.errors import DataError


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDSEG_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.delenv("MEDSEG_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "medseg-bench"


def test_a_folder_is_built_once(tmp_path):
    calls = []

    def build(folder: Path) -> None:
        calls.append(folder)
        (folder / "a").write_text("x")

    for _ in range(2):
        assert build_once(tmp_path / "deep" / "it", build) == tmp_path / "deep" / "it"
    assert len(calls) == 1
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["it"]


def test_two_that_start_at_once_end_with_one_whole_folder(tmp_path):
    both_inside = threading.Barrier(2)

    def build(folder: Path) -> None:
        both_inside.wait(timeout=20)
        (folder / "a").write_text("x")

    threads = [threading.Thread(target=build_once, args=(tmp_path / "it", build)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.name for path in tmp_path.iterdir()] == ["it"]
    assert (tmp_path / "it" / "a").read_text() == "x"


def test_a_crash_leaves_nothing(tmp_path):
    def build(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_once(tmp_path / "it", build)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_clear_line(tmp_path):
    def build(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DataError, match=r"cannot write .*it: No space left on device$"):
        build_once(tmp_path / "it", build)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_file(tmp_path):
    write_atomically(tmp_path / "f", "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(tmp_path / "f", "\ud800")
    assert (tmp_path / "f").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_source_hash_tells_modules_apart():
    assert source_hash("cache") == source_hash("cache") != source_hash("geometry")
    assert source_hash("cache", "geometry") == source_hash("geometry", "cache")
