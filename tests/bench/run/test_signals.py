"""Flags by which a run speaks to its workers, in a folder and in an object store."""

import os
import time

import pytest

from bench.run import signals
from bench.run.interrupt import StopRequest
from bench.run.signals import Signals

RUN = "1234"


@pytest.fixture(params=["folder", "bucket"])
def where(request, tmp_path, monkeypatch):
    monkeypatch.setattr(signals, "POLL_S", 0.0)
    monkeypatch.setattr(signals, "REMOTE_POLL_S", 0.0)
    if request.param == "folder":
        return tmp_path / "results"
    request.getfixturevalue("s3")
    return "s3://bucket/results"


def soon(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
    return True


def test_a_stop_reaches_every_worker_until_it_is_cleared(where):
    driver, worker = Signals(where, RUN), Signals(where, RUN)
    assert not worker.stop_requested()
    driver.request_stop()
    assert soon(worker.stop_requested)
    driver.clear()
    assert soon(lambda: not worker.stop_requested())
    assert not Signals(where, RUN).stop_requested()


def test_one_trial_is_pruned_and_not_the_others(where):
    driver, worker = Signals(where, RUN), Signals(where, RUN)
    driver.prune("a")
    driver.prune("b")
    assert [worker.pruned(trial) for trial in "abc"] == [True, True, False]
    driver.clear()
    assert not any(worker.pruned(trial) for trial in "abc")


def test_a_stop_is_looked_for_now_and_then_only(tmp_path):
    worker = Signals(tmp_path, RUN)
    assert not worker.stop_requested()
    Signals(tmp_path, RUN).request_stop()
    worker._polled_at = time.monotonic() + 100
    assert not worker.stop_requested()


def test_no_step_waits_for_an_object_store(s3):
    worker = Signals("s3://bucket/results", RUN)
    s3.fault = lambda method, key: time.sleep(0.5)
    assert not worker.stop_requested()
    assert worker._poll.is_alive()
    assert not worker.stop_requested()
    worker._poll.join()


def test_a_store_that_cannot_be_reached_says_nothing(s3):
    worker = Signals("s3://bucket/results", RUN)
    s3.fault = lambda method, key: 503
    assert not worker.pruned("a")
    worker.stop_requested()
    worker._poll.join()
    assert not worker._stop


def test_a_run_that_lost_the_results_stops_its_own_workers_and_no_others(where):
    lost, other = Signals(where, "lost"), Signals(where, "other")
    with StopRequest(lost, lambda: None) as stop:
        with StopRequest(other, lambda: None):
            other.prune("a")
            stop.request("failure")
            assert soon(Signals(where, "lost").stop_requested)
            assert not other._is_set(other._stop_flag())
            assert not lost.pruned("a")
            lost.clear()
            assert other.pruned("a")
            other.request_stop()
        # The worker of the one that lost may look only now.
        lost.request_stop()
        other.clear()
        assert soon(Signals(where, "lost").stop_requested)
    assert not Signals(where, RUN).place.files("signals")


def test_flags_of_runs_long_gone_are_removed(tmp_path):
    dead, young = Signals(tmp_path, "dead"), Signals(tmp_path, "young")
    dead.prune("a")
    for path in (tmp_path / "signals").iterdir():
        os.utime(path, (1, 1))
    young.prune("a")
    Signals(tmp_path, RUN).clear()
    assert [dead.pruned("a"), young.pruned("a")] == [False, True]
