import os
import signal
import threading

import pytest

from bench.run.interrupt import StopRequest


class Flags:
    """Signals that remember what they were told."""

    def __init__(self, broken: bool = False):
        self.broken, self.stops, self.clears = broken, 0, 0
        self.told = threading.Event()

    def request_stop(self) -> None:
        self.stops += 1
        self.told.set()
        if self.broken:
            raise OSError(30, "Read-only file system")

    def clear(self) -> None:
        self.clears += 1
        if self.broken and self.clears > 1:
            raise OSError(30, "Read-only file system")


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_workers_to_stop_and_the_second_stops_now(kind):
    flags, said = Flags(), []
    with StopRequest(flags, lambda: said.append(1)) as stop:
        assert not stop.requested
        os.kill(os.getpid(), kind)
        assert stop.reason == "interrupted"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), kind)
    assert (flags.stops, said) == (1, [1])


def test_flags_of_an_earlier_run_are_cleared_before_and_its_own_after():
    flags = Flags()
    with StopRequest(flags, lambda: None):
        assert flags.clears == 1
    assert flags.clears == 2


def test_handlers_are_put_back_and_taken_again():
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest(Flags(), lambda: None) as stop:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stop.listen()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested
    assert signal.getsignal(signal.SIGTERM) is before


def test_time_that_is_up_is_a_request_and_a_signal_then_stops_now():
    flags = Flags()
    with StopRequest(flags, lambda: None, limit_s=0.01) as stop:
        assert flags.told.wait(10)
        assert stop.reason == "time is up"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_limit_that_was_not_reached_leaves_nothing_behind():
    with StopRequest(Flags(), lambda: None, limit_s=1000) as stop:
        pass
    assert not stop.requested
    assert not any(
        isinstance(thread, threading.Timer) and thread.is_alive() for thread in threading.enumerate()
    )


def test_the_first_reason_counts():
    with StopRequest(Flags(), lambda: None) as stop:
        stop.request("failure")
        stop.request("time is up")
    assert stop.reason == "failure"


def test_a_place_that_cannot_be_written_hides_no_reason():
    with StopRequest(Flags(broken=True), lambda: None) as stop:
        stop.request("failure")
    assert stop.reason == "failure"
