import os
import threading

import numpy as np
import pytest

from medseg.data.array_file import ArrayFile, intact, seal


def test_rows_written_in_any_order_from_threads_make_the_array(tmp_path):
    wanted = np.random.default_rng(0).normal(size=(40, 3, 5)).astype(np.float16)
    with ArrayFile(tmp_path / "a.npy", np.float16, wanted.shape) as file:
        threads = [
            threading.Thread(target=file.write, args=(row, wanted[row : row + 4].astype(np.float64)))
            for row in reversed(range(0, 40, 4))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, wanted)


def test_a_full_disk_is_an_error_not_a_killed_process(tmp_path):
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        ArrayFile(tmp_path / "full", np.uint8, (8,))


def test_a_short_write_is_continued(tmp_path, monkeypatch):
    real = os.pwrite
    monkeypatch.setattr("os.pwrite", lambda fd, data, offset: real(fd, data[:3], offset))
    with ArrayFile(tmp_path / "a.npy", np.uint8, (10,)) as file:
        file.write(0, np.arange(10))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), np.arange(10))


def test_a_sealed_file_is_intact_until_somebody_writes(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"content")
    mark = seal(path)
    assert intact(path, mark)
    path.write_bytes(b"c0ntent")
    assert not intact(path, mark)
    path.write_bytes(b"content longer")
    assert not intact(path, mark)


def test_a_copy_is_hashed_once_and_sealed_again(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"content")
    mark = seal(path)
    os.utime(path)
    assert intact(path, mark)
    time_ns = path.stat().st_mtime_ns
    os.utime(path)
    assert intact(path, mark)
    assert path.stat().st_mtime_ns == time_ns


def test_a_thorough_look_finds_what_kept_its_time(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"content")
    mark = seal(path)
    stamp = path.stat().st_mtime_ns
    path.write_bytes(b"c0ntent")
    os.utime(path, ns=(stamp, stamp))
    assert intact(path, mark)
    assert not intact(path, mark, thorough=True)


def test_a_file_whose_time_is_not_ours_to_set_is_still_intact(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"content")
    mark = seal(path)
    os.utime(path)

    def refuse(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.utime", refuse)
    assert intact(path, mark)
