"""Bundles: the same files give the same bytes, what is read is what was written, and damage is told in words."""

import json
import zipfile
from pathlib import Path

import pytest

from bench.errors import ResultsError
from bench.results.archive import MANIFEST, SUMS, Archive, write_archive
from bench.results.folder import Folder
from bench.results.place import open_place

FILES = {
    "trials/a.parquet": b"PAR1" * 100,
    "trials/deep/b": b"b",
    "cases/c.parquet": b"",
    "suite.json": b"{}",
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = Folder(tmp_path / "folder")
    for name, content in FILES.items():
        folder.write(name, content)
    write_archive(tmp_path / "x.zip", folder.path, {"suite": "quick"})
    return tmp_path / "x.zip"


def rewritten(bundle: Path, changes: dict[str, bytes | None], where: str = "y.zip") -> Path:
    """Returns a copy of a bundle with other files in it."""
    path = bundle.with_name(where)
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(path, "w") as new:
        contents = {name: old.read(name) for name in old.namelist()} | changes
        for name, content in contents.items():
            if content is not None:
                new.writestr(name, content)
    return path


def test_a_bundle_is_a_place_to_read_from(bundle: Path, tmp_path: Path) -> None:
    place = open_place(bundle)
    assert place == Archive(bundle) == open_place(bundle.as_uri()) == open_place(place.url)
    place.check()
    assert {name: place.read(name) for name in FILES} == FILES
    assert list(place.read_all(FILES)) == list(FILES.values())
    assert set(place.files("")) == {"suite.json", MANIFEST}
    assert place.files("trials") == {"a.parquet": bundle.stat().st_mtime}
    assert (place.folders(), place.folders("trials")) == (["cases", "trials"], ["deep"])
    assert (place.files("none"), place.folders("none"), place.folder) == ({}, [], None)
    within = place / "trials"
    assert (within.read("deep/b"), within.exists("a.parquet"), within.exists("b")) == (b"b", True, False)
    assert within.folders() == ["deep"]
    assert str(within / "a.parquet") == f"{bundle}/trials/a.parquet"
    with pytest.raises(FileNotFoundError) as caught:
        within.read("none")
    assert caught.value.filename == f"{bundle}/trials/none"
    place.fetch("trials/a.parquet", tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == FILES["trials/a.parquet"]


def test_a_bundle_cannot_be_written(bundle: Path, tmp_path: Path) -> None:
    place, before = open_place(bundle), bundle.read_bytes()
    hint = r"x\.zip: a bundle cannot be written; `bench merge .*x\.zip -o FOLDER`"
    for write in (
        lambda: place.write("trials/a.parquet", b""),
        lambda: place.delete("trials/a.parquet"),
        lambda: (place / "trials").bring(tmp_path / "x.zip", "new"),
    ):
        with pytest.raises(ResultsError, match=hint):
            write()
    assert bundle.read_bytes() == before


def test_the_same_files_give_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    write_archive(tmp_path / "again.zip", tmp_path / "folder", {"suite": "quick"})
    assert (tmp_path / "again.zip").read_bytes() == bundle.read_bytes()
    with zipfile.ZipFile(bundle) as file:
        assert {entry.date_time for entry in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_checksums_are_what_sha256sum_reads(bundle: Path, tmp_path: Path) -> None:
    import hashlib

    with zipfile.ZipFile(bundle) as file:
        file.extractall(tmp_path / "out")
    listed = dict(line.split("  ")[::-1] for line in (tmp_path / "out" / SUMS).read_text().splitlines())
    assert listed.keys() == {*FILES, MANIFEST}
    for name, total in listed.items():
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == total
    assert json.loads((tmp_path / "out" / MANIFEST).read_text())["suite"] == "quick"


def test_what_was_changed_is_found_when_it_is_read(bundle: Path) -> None:
    place = open_place(rewritten(bundle, {"trials/a.parquet": b"PAR2" * 100}))
    place.check()
    assert place.read("suite.json") == b"{}"
    damaged = r"y\.zip: this bundle is damaged \(trials/a\.parquet does not match its checksum\); get it anew"
    with pytest.raises(ResultsError, match=damaged):
        place.read("trials/a.parquet")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"trials/a.parquet": None}, r"damaged \(trials/a\.parquet is missing\)"),
        ({"trials/new.parquet": b"1"}, r"damaged \(trials/new\.parquet is not in its list of checksums\)"),
        ({SUMS: None}, r"no bundle of medseg-bench; `bench export --format bundle` makes one"),
        ({MANIFEST: b'{"version": 1}'}, r"damaged \(bundle\.json does not match its checksum\)"),
        ({SUMS: b"\xff\xfe"}, r"damaged \("),
    ],
)
def test_a_list_that_does_not_fit_is_told_at_once(
    bundle: Path, changes: dict[str, bytes | None], reason: str
) -> None:
    place = open_place(rewritten(bundle, changes))
    with pytest.raises(ResultsError, match=reason):
        place.check()


@pytest.mark.parametrize("keep", [0.2, 0.9])
def test_half_a_download_is_no_bundle(bundle: Path, keep: float) -> None:
    content = bundle.read_bytes()
    bundle.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(ResultsError, match=r"x\.zip: this bundle is damaged \(File is not a zip file\)"):
        open_place(bundle).check()
    bundle.write_text("<html>404")
    assert open_place(bundle).folder == bundle


def test_flipped_bits_are_told_in_words(bundle: Path) -> None:
    content = bytearray(bundle.read_bytes())
    place = content.index(b"PAR1PAR1")
    content[place] ^= 1
    bundle.write_bytes(bytes(content))
    with pytest.raises(ResultsError, match=r"damaged \(Bad CRC-32 for file 'trials/a\.parquet'\)"):
        open_place(bundle).read("trials/a.parquet")


def test_a_newer_bundle_says_so(bundle: Path, tmp_path: Path) -> None:
    write_archive(tmp_path / "new.zip", tmp_path / "folder", {"version": 2})
    with pytest.raises(
        ResultsError, match=r"a bundle of version 2, this medseg-bench reads up to 1; install a newer"
    ):
        open_place(tmp_path / "new.zip").check()


def test_a_bundle_that_is_gone_or_replaced_is_looked_at_again(bundle: Path, tmp_path: Path) -> None:
    place = open_place(bundle)
    assert place.exists("suite.json")
    (tmp_path / "folder" / "suite.json").unlink()
    write_archive(bundle, tmp_path / "folder", {"suite": "other one"})
    assert not place.exists("suite.json")
    bundle.unlink()
    with pytest.raises(ResultsError, match=r"x\.zip: no such bundle"):
        place.check()
