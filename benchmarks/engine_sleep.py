"""Suites whose trials sleep: the engine as it is, but for the training. Imported by engine.py."""

import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

from rich.console import Console

from bench.plan import make_plan
from bench.plan.plan import Plan
from bench.results.place import open_place
from bench.run import trainable
from bench.run.cluster import Session, ray_session
from bench.run.early import Early
from bench.run.engine import RunOptions, run_suite
from bench.run.job import Job, WorkerConfig
from bench.suite import load_suite
from medseg.data import cache_dir
from medseg.training.outcome import Epoch, TrialResult

SLOTS, EPOCHS = 2, 2
# Workers inherit them.
SECONDS, DIARY = "ENGINE_TRIAL_S", "ENGINE_DIARY"


@dataclass(frozen=True)
class Span:
    """When a trial slept, in which process, and what it held."""

    worker: int
    begin: float
    end: float
    gpus: float = 0.0


@dataclass(frozen=True)
class Measured:
    """What came of a run.

    Args:
        spans: Of all trials, in the order of their beginning.
        up: When Ray was up.
    """

    spans: list[Span]
    up: float

    @property
    def total_s(self) -> float:
        """From when Ray was up to the end of the last trial."""
        return max(span.end for span in self.spans) - self.up

    @property
    def busy(self) -> float:
        """Share of the slots' time in which trials slept, from the beginning of the first to the end of the last."""
        whole = max(span.end for span in self.spans) - self.spans[0].begin
        return sum(span.end - span.begin for span in self.spans) / (SLOTS * whole)

    @property
    def per_trial_s(self) -> float:
        """Seconds of the run per trial, from when every slot has a worker."""
        workers = [span.worker for span in self.spans]
        rest = self.spans[max(workers.index(worker) for worker in set(workers)) :]
        return (rest[-1].begin - rest[0].begin) / (len(rest) - 1)

    @property
    def shares(self) -> str:
        """Trials of each worker."""
        return " + ".join(
            map(str, sorted(Counter(span.worker for span in self.spans).values(), reverse=True))
        )


def sleep_trial(seconds: float, gpus: float = 0.0) -> Iterator[int]:
    """Sleeps as long as a trial takes, epoch by epoch, and writes the diary."""
    begin = time.time()
    for epoch in range(1, EPOCHS + 1):
        time.sleep(seconds / EPOCHS)
        yield epoch
    line = json.dumps([os.getpid(), begin, time.time(), gpus]) + "\n"
    with open(os.environ[DIARY], "a", encoding="utf-8") as diary:
        diary.write(line)


def events(job: Job, worker: WorkerConfig, *_: Any, **__: Any) -> Generator[Epoch, None, TrialResult]:
    """Stands for `bench.run.process.start`."""
    started, rate = datetime.now(UTC), job.spec.train.learning_rate
    for epoch in sleep_trial(float(os.environ[SECONDS]), worker.gpus):
        yield Epoch(epoch, epoch, 0.5, rate, rate, rate, 0.0)
    seconds = (datetime.now(UTC) - started).total_seconds()
    summary = {"value": 1 - abs(rate - 4e-3), "started_at": started, "device_s": seconds, "wall_s": seconds}
    return TrialResult("complete", summary=summary)


class SleepingRunner(trainable.TrialRunner):
    """The engine's worker: all that it does is done, but for the training."""

    def step(self) -> dict[str, Any]:
        """As in the engine."""
        trainable.start = events
        return super().step()


@contextmanager
def diary(seconds: float) -> Iterator[Path]:
    """Tells the workers how long to sleep, and where to say so."""
    with tempfile.TemporaryDirectory(prefix="engine-") as folder:
        path = Path(folder) / "diary"
        path.touch()
        with mock.patch.dict(os.environ, {SECONDS: str(seconds), DIARY: str(path)}):
            yield path


def read(path: Path) -> list[Span]:
    """Reads a diary."""
    spans = [Span(*json.loads(line)) for line in path.read_text().splitlines()]
    return sorted(spans, key=lambda span: span.begin)


def measure_engine(studies: int, trials: int, seconds: float, sampler: str = "tpe") -> Measured:
    """Runs a suite on a Ray of its own.

    Args:
        studies: Number of studies.
        trials: Of each study; the last is its final one.
        seconds: That a trial takes.
        sampler: Of the studies.
    """
    with diary(seconds) as path:
        plan = plan_of(suite_text(studies, trials, sampler), path)
        with Early(ray_session(SLOTS, verbose=False)) as ray:
            ray.result()
            up = time.time()
            run(plan, path, ray)
        return Measured(read(path), up)


def plan_of(suite: str, path: Path) -> Plan:
    """Returns a suite's plan."""
    file = path.with_name("sleep.yaml")
    file.write_text(suite)
    return make_plan(load_suite(file), {}, cache_dir())


def run(plan: Plan, path: Path, ray: Early[Session]) -> None:
    """Runs a plan as `bench run` does: search with its mirror, queues, Tune, results store, display."""
    options = RunOptions(results=open_place(path.with_name("results")), cache=cache_dir())
    with mock.patch("bench.run.tuner.TrialRunner", SleepingRunner):
        summary = run_suite(plan, options, ray, Console(file=StringIO(), width=120))
    assert summary.complete == summary.planned, summary


def suite_text(studies: int, trials: int, sampler: str) -> str:
    """Returns a suite of so many studies, each of `trials` - 1 tuning trials and a final one."""
    models = "\n".join(
        f"  - {{name: unet, label: net {n}, options: {{features: [4, {n + 5}]}}}}" for n in range(studies)
    )
    return f"""
suite: sleep
tasks: [{{name: phantom-lung, image_size: [32, 32], phantom: {{patients: 12, seed: 5}}}}]
models:
{models}
losses: [ce_dice]
train: {{epochs: {EPOCHS}, steps_per_epoch: 4, batch_size: 4, learning_rate: 1e-2}}
tune:
  sampler: {sampler}
  budget: {{trials: {trials - 1}}}
  space: {{train.learning_rate: {{low: 1e-4, high: 2e-2, log: true}}}}
resources: {{cpus: 1, memory_gb: 0.1}}
"""
