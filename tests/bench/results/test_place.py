"""Places: a folder and an object store do the same."""

import os
from pathlib import Path

import pytest
from object_store import ObjectStore

from bench.errors import ResultsError
from bench.results.bucket import Bucket
from bench.results.folder import Folder
from bench.results.place import Place, open_place

ODD = "predictions/a%2Fb ü+c/x y&z?.png"


@pytest.fixture(params=["folder", "file", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "bucket":
        request.getfixturevalue("s3")
        return open_place("s3://bucket/pre fix") / "suite"
    where = tmp_path / "pre fix" / "suite"
    return open_place(where.as_uri() if request.param == "file" else where)


def test_files_come_and_go(place: Place) -> None:
    assert not place.exists("trials/a.parquet")
    place.write("trials/a.parquet", b"one")
    place.write("trials/a.parquet", b"two")
    place.write(ODD, b"")
    assert (place.read("trials/a.parquet"), place.read(ODD)) == (b"two", b"")
    assert place.exists(ODD)
    place.delete("trials/a.parquet")
    place.delete("trials/a.parquet")
    assert not place.exists("trials/a.parquet")
    assert place.files("trials") == {}
    with pytest.raises(FileNotFoundError) as caught:
        place.read("trials/a.parquet")
    assert caught.value.filename == str(place / "trials/a.parquet")


def test_a_folder_is_listed_with_times_and_without_what_lies_deeper(place: Place) -> None:
    assert (place.files("none"), place.folders("none")) == ({}, [])
    for name in ("a", "trials/x", "trials/y", "trials/deep/z", "weights/w"):
        place.write(name, b"1")
    assert sorted(place.files("trials")) == ["x", "y"]
    assert sorted(place.files("")) == ["a"]
    assert (place.folders(), place.folders("trials")) == (["trials", "weights"], ["deep"])
    place.write("trials/new", b"1")
    times = place.files("trials")
    assert times["x"] <= times["new"] < times["x"] + 600


def test_a_place_within_a_place_is_the_same_place(place: Place) -> None:
    (place / "a" / "b").write("c", b"1")
    assert place.read("a/b/c") == b"1"
    again = open_place((place / "a").url)
    assert again.read("b/c") == b"1"
    assert again == open_place(again)
    place.check()


def test_many_files_are_read_in_order(place: Place) -> None:
    names = [f"x/{number}" for number in range(40)]
    for name in names:
        place.write(name, name.encode())
    assert [content.decode() for content in place.read_all(names)] == names
    with pytest.raises(FileNotFoundError):
        list(place.read_all(["x/0", "x/none"]))


def test_many_files_are_removed(place: Place) -> None:
    names = [f"x/{number}" for number in range(20)]
    for name in names:
        place.write(name, b"1")
    place.delete_all([*names[1:], "x/none"])
    assert list(place.files("x")) == ["0"]


def test_files_are_opened_to_be_read_here_and_there(place: Place) -> None:
    place.write("a/b", b"0123456789")
    with place.open("a/b") as file:
        file.seek(4)
        assert (file.read(2), file.size()) == (b"45", 10)
    with pytest.raises(FileNotFoundError) as caught:
        place.open("a/none")
    assert caught.value.filename == str(place / "a/none")


@pytest.mark.parametrize("size", [0, 3, 11_000_000])
def test_local_files_are_brought_and_fetched(place: Place, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "here").write_bytes(content)
    place.bring(tmp_path / "here", "weights/w")
    place.fetch("weights/w", tmp_path / "deep" / "there")
    assert (tmp_path / "deep" / "there").read_bytes() == content
    with pytest.raises(FileNotFoundError):
        place.fetch("weights/none", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_url_that_says_no_place_is_refused() -> None:
    with pytest.raises(
        ResultsError, match=r"foo://x/y: no place for results .*expected a folder, or a URL such as"
    ):
        open_place("foo://x/y")
    with pytest.raises(ResultsError, match=r"s3:///y: names no bucket; expected e\.g\. s3://bucket/prefix"):
        open_place("s3:///y")


def test_what_looks_like_a_path_is_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert open_place("results") == Folder(Path("results"))
    assert open_place("~/results").folder == Path("/home/me/results")
    assert open_place("results").url == str(tmp_path / "results")
    assert str(open_place("results")) == "results"


def test_passwords_are_not_shown() -> None:
    place = open_place("s3://key:secret@bucket/a?region=eu-west-1") / "quick"
    assert str(place) == "s3://bucket/a/quick?region=eu-west-1"
    assert place.url == "s3://key:secret@bucket/a/quick?region=eu-west-1"
    assert open_place(place.url).url == place.url


def test_a_write_that_breaks_off_leaves_what_was_there(s3: ObjectStore, tmp_path: Path) -> None:
    place = Bucket("s3://bucket", patience_s=0.0)
    place.write("checkpoint", b"before")
    (tmp_path / "big").write_bytes(os.urandom(22_000_000))
    seen: list[str] = []

    def fail(method: str, key: str) -> int | None:
        seen.append(method)
        return 0 if len(seen) > 2 else None

    s3.fault = fail
    with pytest.raises(OSError, match="cannot write s3://bucket/checkpoint: "):
        place.bring(tmp_path / "big", "checkpoint")
    s3.fault = lambda method, key: None
    assert place.read("checkpoint") == b"before"


def test_a_store_in_which_no_file_can_be_replaced_is_refused() -> None:
    with pytest.raises(
        ResultsError, match="hdfs://host/results: HDFS is no place for results; expected a folder"
    ):
        open_place("hdfs://host/results")
