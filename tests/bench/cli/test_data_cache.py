import errno
import os

from medseg.data.cache import build_lock


def test_arrays_are_prepared_once_and_verified_after(bench, acdc, cache):
    code, out, err = bench("prepare", "acdc-lv", "acdc-rv", "acdc-lv", "--data", f"acdc={acdc}")
    assert (code, err, out.count("\n")) == (0, "", 2)
    assert out.startswith("acdc-lv: 14 cases, 42 slices, ")
    assert str(cache / "prepared") in out
    code, out, _ = bench("prepare", "acdc-lv", "--data", f"acdc={acdc}")
    assert code == 0
    assert "already prepared, verified" in out


def test_one_task_without_data_does_not_keep_the_others(bench, acdc):
    code, out, err = bench("prepare", "covid-lung", "acdc-lv", "--data", f"acdc={acdc}")
    assert code == 3
    assert out.startswith("acdc-lv: 14 cases")
    assert err.startswith("bench: no data for task 'covid-lung'")


def test_no_space_left_is_one_clear_line_and_leaves_nothing(bench, acdc, cache, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    code, _, err = bench("prepare", "acdc-lv", "--data", f"acdc={acdc}")
    assert code == 3
    assert "cannot write" in err
    assert "No space left on device" in err
    assert err.count("\n") == 1
    assert [path for path in (cache / "prepared").iterdir() if path.suffix != ".lock"] == []


def test_the_cache_is_cleaned_and_says_how_much(bench, acdc, cache):
    bench("prepare", "acdc-lv", "--data", f"acdc={acdc}")
    (folder,) = (path for path in (cache / "prepared").iterdir() if path.is_dir())
    size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    code, out, _ = bench("clean", "--dry-run")
    assert (code, folder.is_dir()) == (0, True)
    assert out == f"{folder}: {size:,.1f} MB\nwould free {size:,.1f} MB in {cache}\n"
    with build_lock(folder):
        code, out, _ = bench("clean")
    assert out == f"{folder}: kept, another process is building it\nfreed 0.0 MB in {cache}\n"
    code, out, _ = bench("clean", "--all")
    assert (code, folder.exists()) == (0, False)
    assert f"{cache / 'facts'}: 1 files" in out
    assert acdc.is_dir()
