"""Many volumes in two processes, and the memory of one; imported by metrics.py."""

import multiprocessing
import os
import statistics
import time
import tracemalloc
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

from metrics_cases import Volume
from metrics_set import label_only_metrics, ours
from metrics_timing import Bench, Report, Row

PROCESSES = 2
MANY_S = 3.0
TIMES_THE_MAPS = 3.0


def measure_many(volumes: list[Volume], bench: Bench, report: Report) -> None:
    """Times all metrics of all labels of many volumes, in two processes that hold their halves already."""
    context = multiprocessing.get_context("spawn")
    barrier: Barrier = context.Barrier(PROCESSES + 1)
    queue: Queue[float] = context.Queue()
    workers = [
        context.Process(
            target=_work, args=(first, volumes[first::PROCESSES], bench.rounds + 1, barrier, queue)
        )
        for first in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    seconds = []
    for _ in range(bench.rounds + 1):
        barrier.wait()
        started = time.perf_counter()
        for _ in workers:
            queue.get()
        seconds.append(time.perf_counter() - started)
    for worker in workers:
        worker.join()
    seconds = seconds[1:]
    median = statistics.median(seconds)
    case, side = f"{len(volumes)} volumes", f"ours, {len(label_only_metrics())} metrics"
    row = Row(
        "many",
        case,
        side,
        median,
        min(seconds),
        max(seconds),
        ratio=median,
        bar=MANY_S,
        below=True,
        note="ratio: s",
    )
    report.add(f"{volumes[0].name}, ...: all metrics in {PROCESSES} processes", [row])


def _work(number: int, volumes: list[Volume], rounds: int, barrier: Barrier, queue: "Queue[float]") -> None:
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})
    metrics = label_only_metrics()
    for _ in range(rounds):
        barrier.wait()
        started = time.perf_counter()
        for volume in volumes:
            ours(volume, metrics)()
        queue.put(time.perf_counter() - started)


def measure_memory(volumes: list[Volume], report: Report) -> None:
    """Shows the peak of what is allocated, and of what is resident, in a fresh process and beyond the two maps."""
    context = multiprocessing.get_context("spawn")
    rows = []
    for volume in volumes:
        queue: Queue[tuple[int, int | None]] = context.Queue()
        worker = context.Process(target=_peaks, args=(volume, queue))
        worker.start()
        peaks = dict(zip(("allocated", "resident"), queue.get(), strict=True))
        worker.join()
        maps = volume.reference.nbytes + volume.prediction.nbytes
        for kind, peak in peaks.items():
            if peak is not None:
                mib = peak / 2**20
                note = f"ratio: to the maps' {maps / 2**20:.1f} MiB"
                rows.append(
                    Row(
                        "memory",
                        volume.name,
                        kind,
                        mib,
                        mib,
                        mib,
                        unit="MiB",
                        ratio=peak / maps,
                        bar=TIMES_THE_MAPS,
                        below=True,
                        note=note,
                    )
                )
    report.add("Peak memory of all metrics of a case", rows)


def _peaks(volume: Volume, queue: "Queue[tuple[int, int | None]]") -> None:
    """Reports bytes allocated and bytes resident beyond what was there; a first small case loads all code."""
    metrics = label_only_metrics()
    crop = tuple(slice(0, 8) for _ in volume.reference.shape)
    ours(Volume("", volume.reference[crop], volume.prediction[crop], volume.spacing, volume.count), metrics)()
    resident = _resident(volume, metrics)
    tracemalloc.start()
    ours(volume, metrics)()
    queue.put((tracemalloc.get_traced_memory()[1], resident))


def _resident(volume: Volume, metrics: tuple[str, ...]) -> int | None:
    """Linux tells the peak since it was told to forget the last one; elsewhere None."""
    forget = Path("/proc/self/clear_refs")
    try:
        forget.write_text("5")
        before = _status("VmRSS")
        ours(volume, metrics)()
        return _status("VmHWM") - before
    except OSError:
        return None


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key + ":")) * 1024
