import errno
import subprocess
import sys
from pathlib import Path

import pytest

from medseg.data import cache_dir
from medseg.data.cache import build_lock, build_once, discard, source_hash, write_atomically
from medseg.errors import DataError


def folders(where: Path) -> list[str]:
    return [path.name for path in where.iterdir() if path.is_dir()]


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
    assert folders(tmp_path / "deep") == ["it"]


RACER = """
import sys, time
from pathlib import Path
from medseg.data.cache import build_once

def build(folder):
    with open(sys.argv[2], "a") as log:
        log.write("built\\n")
    time.sleep(0.5)
    (folder / "a").write_text("x")

print("ready", flush=True)
sys.stdin.readline()
print((build_once(Path(sys.argv[1]), build) / "a").read_text())
"""


def test_of_processes_that_start_at_once_one_builds_and_all_get_it(tmp_path):
    command = [sys.executable, "-c", RACER, str(tmp_path / "it"), str(tmp_path / "log")]
    racers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    outputs = [racer.communicate("go\n", timeout=60)[0] for racer in racers]
    assert outputs == ["x\n"] * 3
    assert (tmp_path / "log").read_text() == "built\n"


def test_a_killed_builder_blocks_nobody_and_its_leavings_go(tmp_path):
    killed = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from medseg.data.cache import build_once\n"
        "def build(folder):\n"
        "    (folder / 'half').write_text('x')\n"
        "    os.kill(os.getpid(), 9)\n"
        "build_once(Path(sys.argv[1]), build)\n"
    )
    assert subprocess.run([sys.executable, "-c", killed, str(tmp_path / "it")], check=False).returncode == -9
    assert not (tmp_path / "it").exists()
    assert len([p for p in tmp_path.iterdir() if p.is_dir()]) == 1
    build_once(tmp_path / "it", lambda folder: (folder / "a").touch())
    assert [p.name for p in tmp_path.iterdir() if p.is_dir()] == ["it"]
    assert [p.name for p in (tmp_path / "it").iterdir()] == ["a"]


def test_discarding_leaves_open_files_to_their_readers(tmp_path):
    build_once(tmp_path / "it", lambda folder: (folder / "a").write_text("x"))
    with (tmp_path / "it" / "a").open() as file, build_lock(tmp_path / "it"):
        discard(tmp_path / "it")
        assert not (tmp_path / "it").exists()
        assert file.read() == "x"
        discard(tmp_path / "it")


def test_a_crash_leaves_nothing(tmp_path):
    def build(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_once(tmp_path / "it", build)
    assert folders(tmp_path) == []


def test_a_full_disk_is_one_clear_line(tmp_path):
    def build(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(
        DataError, match=r"cannot write .*it \(MEDSEG_CACHE moves the cache\): No space left on device$"
    ):
        build_once(tmp_path / "it", build)
    assert folders(tmp_path) == []


def test_a_failed_write_keeps_the_old_file(tmp_path):
    write_atomically(tmp_path / "f", "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(tmp_path / "f", "\ud800")
    assert (tmp_path / "f").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_source_hash_tells_modules_apart():
    assert source_hash("cache") == source_hash("cache") != source_hash("geometry")
    assert source_hash("cache", "geometry") == source_hash("geometry", "cache")
