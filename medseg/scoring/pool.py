"""The same function over many cases, in processes where that pays."""

import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing.context import BaseContext
from typing import TypeVar

from medseg.errors import MedsegError

Item = TypeVar("Item")
Result = TypeVar("Result")

ALONE_S = 0.5
WORTH_S = 1.5
"""Processes are started after so long, if the rest would take longer than this: they need half a second to start."""
CHUNK_S = 0.2
"""A process is given cases for about so long at once, and so long at most Ctrl-C waits where cases are small."""


class WorkerLostError(MedsegError):
    """A worker process ended by itself: killed, most likely for want of memory."""


def cores() -> int:
    """Returns how many cores this process may use."""
    # macOS has no affinity to ask for.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_cases(
    function: Callable[[Item], Result], items: Sequence[Item], processes: int | None = None
) -> Generator[Result, None, None]:
    """Yields a function's results in the order of the items.

    The first items are done here; if much is left then, processes do the rest. They end when they are done, when the
    generator is closed, and when this process is gone, however it ended.

    Args:
        function: Of a module, or a `partial` of one; what it takes and gives can be pickled.
        items: What it is called with.
        processes: At most; all cores by default.

    Raises:
        WorkerLostError: If a process was killed.
        Exception: What the function raises.
    """
    most = processes or cores()
    start = time.monotonic()
    for done, item in enumerate(items):
        elapsed = time.monotonic() - start
        left = len(items) - done
        if done and most > 1 and left > 1 and elapsed > ALONE_S and elapsed / done * left > WORTH_S:
            yield from _in_processes(function, items[done:], min(most, left), elapsed / done)
            return
        yield function(item)


def _in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], processes: int, each_s: float
) -> Generator[Result, None, None]:
    chunk = max(1, min(int(CHUNK_S / each_s), math.ceil(len(items) / (4 * processes))))
    pool = ProcessPoolExecutor(processes, mp_context=_context(function), initializer=_live_with_parent)
    try:
        with _undisturbed():
            results = pool.map(function, items, chunksize=chunk)
        yield from results
    except BrokenProcessPool as error:
        raise WorkerLostError(
            "a worker process was killed, most likely for want of memory; fewer at once (-j 1) need less"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _context(function: Callable[[Item], Result]) -> BaseContext:
    """Returns a way to start processes that copies no threads: the libraries are imported once, then forked."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    bare = function.func if isinstance(function, partial) else function
    context.set_forkserver_preload([bare.__module__])
    return context


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Starts processes as a whole: signals are put off until the block is left, and Ctrl-C never reaches them.

    Ctrl-C goes to all processes of a terminal, and the first one ends the others. They inherit that it is blocked,
    from their first moment on. A pool that is interrupted while it starts would leave workers that nobody waits for.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    came: list[int] = []
    here = threading.current_thread() is threading.main_thread()
    kinds = (signal.SIGINT, signal.SIGTERM) if here else ()
    handlers = {kind: handler for kind in kinds if (handler := signal.getsignal(kind)) is not None}
    for kind in handlers:
        signal.signal(kind, lambda number, frame: came.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for kind, handler in handlers.items():
            signal.signal(kind, handler)
        for number in came[:1]:
            signal.raise_signal(number)


def _live_with_parent() -> None:
    """Ends this worker when the process that asked for it is gone: killed, it cannot tell its workers."""
    # For servers that somebody else started, and where signals cannot be blocked.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        # Waits for a pipe whose other end only the parent holds; os.getppid() is the fork server.
        parent.join()
        os._exit(1)
