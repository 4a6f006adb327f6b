import threading
from contextlib import contextmanager

import pytest

from bench.run.early import Early


class Slow:
    """A context that is entered once it may be; remembers in which threads."""

    def __init__(self, error: Exception | None = None):
        self.may, self.error, self.threads = threading.Event(), error, []

    @contextmanager
    def session(self):
        self.may.wait(10)
        self.threads.append(threading.current_thread())
        if self.error is not None:
            raise self.error
        yield "ray"
        self.threads.append(threading.current_thread())


def test_it_starts_beside_other_work_and_is_waited_for():
    slow = Slow()
    with Early(slow.session()) as early:
        early.start()
        assert not slow.threads
        slow.may.set()
        assert early.result() == "ray"
        assert early.result() == "ray"


def test_it_ends_in_the_thread_that_started_it_which_lives_as_long():
    slow = Slow()
    slow.may.set()
    with Early(slow.session()) as early:
        early.result()
        assert slow.threads[0].is_alive()
        assert slow.threads[0] is not threading.current_thread()
    assert slow.threads[0] is slow.threads[1]
    assert not slow.threads[0].is_alive()


def test_what_was_never_needed_is_never_started():
    slow = Slow()
    with Early(slow.session()) as early:
        assert not early.started
    assert not slow.threads


def test_its_error_is_raised_where_it_is_waited_for():
    slow = Slow(OSError("no room"))
    slow.may.set()
    with pytest.raises(OSError, match="no room"), Early(slow.session()) as early:
        early.result()


def test_an_error_elsewhere_does_not_wait_for_it_and_it_ends_by_itself():
    slow = Slow()
    early = Early(slow.session())

    def fail():
        with early:
            early.start()
            raise ValueError("wrong suite")

    with pytest.raises(ValueError, match="wrong suite"):
        fail()
    assert not slow.threads
    slow.may.set()
    early._thread.join(10)
    assert len(slow.threads) == 2
