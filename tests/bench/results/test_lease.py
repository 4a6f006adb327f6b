"""The lock of an object store: one run at a time, and what happens to those that died, hang, or cannot be reached."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest
from object_store import ObjectStore

from bench.errors import ResultsError
from bench.results import lease
from bench.results.holder import describe, is_dead, myself
from bench.results.lease import Lease
from bench.results.lock import RunLock
from bench.results.place import open_place

PLACE = open_place("s3://bucket/quick")


@pytest.fixture
def make(s3: ObjectStore) -> Callable[..., Lease]:
    def build(lease_s: float = 5.0, **changes: object) -> Lease:
        return Lease(open_place("s3://bucket/quick"), lease_s=lease_s, beat_s=0.02, pause_s=0.02, **changes)  # type: ignore[arg-type]

    return build


def claims(s3: ObjectStore) -> list[str]:
    return [name for name in s3.names() if name.startswith("quick/lock/") and name.endswith(".json")]


def another_machine() -> bytes:
    return json.dumps(myself() | {"pid": 7, "host": "far", "machine": "another"}).encode()


def test_a_second_run_is_told_who_holds_it(make: Callable[..., Lease], s3: ObjectStore) -> None:
    said: list[str] = []
    first = make()
    first.acquire()
    (claim,) = claims(s3)
    with pytest.raises(
        ResultsError, match=f"s3://bucket/quick is in use by another run .process {os.getpid()} on"
    ):
        make(waiting=said.append).acquire()
    assert said == [f"waiting for a sign of life of {describe(json.dumps(myself()))}, for 5 s at most"]
    # The refusal neither took nor broke the first one's lease.
    assert claims(s3) == [claim]
    assert not first.lost
    first.release()
    assert not claims(s3)
    again = make()
    again.acquire()
    again.release()


def test_of_many_that_start_at_once_one_holds(make: Callable[..., Lease]) -> None:
    held: list[Lease] = []
    told: list[str] = []

    def start(one: Lease) -> None:
        try:
            one.acquire()
            held.append(one)
        except ResultsError as error:
            told.append(str(error))

    threads = [threading.Thread(target=start, args=(make(),)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(held), len(told)) == (1, 4)
    held[0].release()


def test_a_run_on_another_machine_that_fell_silent_is_replaced(
    make: Callable[..., Lease], s3: ObjectStore
) -> None:
    s3.put("quick/lock/old.json", another_machine(), age_s=6.0)
    one = make(lease_s=5.0)
    one.acquire()
    assert "quick/lock/old.json" not in s3.names()
    one.release()


def test_one_that_falls_silent_meanwhile_is_waited_for(make: Callable[..., Lease], s3: ObjectStore) -> None:
    s3.put("quick/lock/old.json", another_machine())
    one = make(lease_s=0.5)
    one.acquire()
    assert "quick/lock/old.json" not in s3.names()
    one.release()


def test_it_says_once_that_it_waits(make: Callable[..., Lease], s3: ObjectStore) -> None:
    """However many claims it meets."""
    said: list[str] = []
    one = make(lease_s=0.3, waiting=said.append)
    outlive, rounds = one._outlive, iter(("b", "c"))

    def wait(rival: str) -> None:
        outlive(rival)
        name = next(rounds, None)
        if name is not None:
            s3.put(f"quick/lock/{name}.json", another_machine())

    one._outlive = wait  # type: ignore[method-assign]
    s3.put("quick/lock/a.json", another_machine())
    one.acquire()
    one.release()
    assert len(said) == 1
    assert next(rounds, None) is None


def test_a_run_that_was_killed_on_this_machine_holds_nothing(
    make: Callable[..., Lease], s3: ObjectStore
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    s3.put("quick/lock/old.json", json.dumps(myself() | {"pid": ended.pid}).encode())
    one = make(lease_s=600.0)
    one.acquire()
    assert "quick/lock/old.json" not in s3.names()
    one.release()


def test_who_cannot_renew_its_claim_knows_that_it_lost_it(
    make: Callable[..., Lease], s3: ObjectStore
) -> None:
    one = make(lease_s=0.3)
    one.acquire()
    time.sleep(0.6)
    assert not one.lost
    s3.fault = lambda method, key: 503
    end = time.monotonic() + 20
    while not one.lost:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert "s3://bucket/quick could not be reached for" in one.lost
    s3.fault = lambda method, key: None
    time.sleep(0.2)
    # It stays lost: another run may have come and gone.
    assert one.lost
    one.release()


def test_a_store_that_refuses_or_is_not_there_says_so(make: Callable[..., Lease], s3: ObjectStore) -> None:
    s3.fault = lambda method, key: 403 if method == "PUT" else None
    with pytest.raises(ResultsError, match=r"cannot write s3://bucket/quick/lock/.*: refused"):
        make().acquire()
    with pytest.raises(ResultsError, match="there is no bucket 'nothing'"):
        Lease(open_place("s3://nothing/quick")).acquire()


def test_the_lock_of_a_run_is_a_lease_there(s3: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.02)
    monkeypatch.setattr(lease, "PAUSE_S", 0.02)
    with RunLock("s3://bucket/quick") as lock:
        assert len(claims(s3)) == 1
        assert lock.lost == ""
        with pytest.raises(ResultsError, match="in use by another run"), RunLock("s3://bucket/quick"):
            pass
    assert not claims(s3)


def test_holders_are_read_with_care() -> None:
    assert describe("") == describe("[1]") == describe('{"pid": 1}') == "just started"
    assert not is_dead("")
    assert not is_dead(json.dumps(myself()))
    assert not is_dead(another_machine().decode())
    # Of another user: it cannot be asked, and so it lives.
    assert not is_dead(json.dumps(myself() | {"pid": 1}))
