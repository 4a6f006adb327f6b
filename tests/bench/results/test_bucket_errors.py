"""What goes wrong with an object store, and what is said of it."""

import errno
import time

import pytest
from object_store import BAD_KEY, ObjectStore

from bench.errors import ResultsError
from bench.results import bucket
from bench.results.bucket import Bucket
from bench.results.place import open_place

CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def test_what_passes_is_tried_again(s3: ObjectStore) -> None:
    answers = iter([503, 0, None])
    s3.fault = lambda method, key: next(answers)
    Bucket("s3://bucket", patience_s=60.0).write("a", b"1")
    assert s3.requests == [("PUT", "a")] * 3


def test_between_tries_it_waits_longer_and_longer(s3: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(bucket.time, "sleep", waits.append)
    s3.fault = lambda method, key: 503
    with pytest.raises(
        OSError, match=r"cannot read s3://bucket/q/a: .*; AWS_ENDPOINT_URL is http.*\(for 0 s by now\)$"
    ):
        Bucket("s3://bucket", "q", patience_s=5.0).read("a")
    assert waits == [0.01 * 2**number for number in range(9)]


def test_a_store_that_cannot_be_reached_is_a_disk_that_fails(s3: ObjectStore) -> None:
    s3.fault = lambda method, key: 0
    with pytest.raises(OSError, match=r"^cannot list s3://bucket/trials: ") as caught:
        open_place("s3://bucket").files("trials")
    assert caught.value.errno == errno.EIO


def test_what_one_waited_for_nobody_waits_for_again(s3: ObjectStore) -> None:
    place = open_place("s3://bucket")
    s3.fault = lambda method, key: 503
    counts = []
    for _ in range(2):
        with pytest.raises(OSError, match="cannot write"):
            place.write("a", b"1")
        counts.append(len(s3.requests))
        time.sleep(0.2)
    assert counts[0] > 1
    assert counts[1] == counts[0] + 1
    # Once it has answered it is waited for again.
    s3.fault = lambda method, key: None
    place.write("a", b"1")
    answers = iter([503, None])
    s3.fault = lambda method, key: next(answers)
    Bucket("s3://bucket", patience_s=60.0).write("a", b"2")


def test_hasty_questions_are_asked_once(s3: ObjectStore) -> None:
    s3.fault = lambda method, key: 503
    with pytest.raises(OSError, match="cannot look for s3://bucket/stop: ") as caught:
        open_place("s3://bucket").hasty().exists("stop")
    assert "by now" not in str(caught.value)
    assert len(s3.requests) == 1


def test_a_bucket_that_is_not_there(s3: ObjectStore) -> None:
    place = open_place("s3://nothing/prefix")
    with pytest.raises(
        ResultsError, match="s3://nothing/prefix: there is no bucket 'nothing'; make it first"
    ):
        place.check()
    with pytest.raises(
        ResultsError, match="cannot write s3://nothing/prefix/a: there is no bucket 'nothing'"
    ):
        place.write("a", b"1")
    assert len(s3.requests) == 2


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"AWS_ACCESS_KEY_ID": BAD_KEY}, "the credentials are those of AWS_ACCESS_KEY_ID in the environment"),
        ({"AWS_PROFILE": "lab"}, "the credentials are those of AWS_PROFILE in the environment"),
        (
            {},
            "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or write",
        ),
    ],
)
def test_a_refusal_says_whose_credentials_were_refused(
    s3: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pytest.TempPathFactory,
    environment: dict[str, str],
    words: str,
) -> None:
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    s3.fault = lambda method, key: 403
    with pytest.raises(ResultsError, match=f"cannot write s3://bucket/a: refused .*; {words}"):
        open_place("s3://bucket").write("a", b"1")
    assert len(s3.requests) == 1


def test_credentials_in_a_file_and_in_the_url_are_named(
    s3: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: pytest.TempPathFactory
) -> None:
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    folder = tmp_path / ".aws"  # type: ignore[operator]
    folder.mkdir()
    (folder / "credentials").write_text("")
    monkeypatch.setenv("HOME", str(tmp_path))
    s3.fault = lambda method, key: 403
    with pytest.raises(ResultsError, match=r"the credentials are those of ~/\.aws/credentials$"):
        open_place("s3://bucket").write("a", b"1")
    assert "those in the URL" in bucket.say_why(OSError("AWS Error ACCESS_DENIED"), "s3://a:b@bucket")
