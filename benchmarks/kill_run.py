"""One `bench run` as a process of its own whose parts can be killed. Imported by kill_campaign.py."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

KINDS = ("driver", "worker", "raylet", "gcs", "interrupt")
ENDS = ("driver", "interrupt")
"""Kinds after which the run must end."""
SURVIVAL_S = 60.0
# As Ray names them: those that run trials, and the processes of a trial of several.
WORKERS = ("ray::ResourceTrainable", "ray::TrialRunner", "ray::Rank")

# Final trials keep predictions and weights; tuning goes on beyond the sampler's random start.
LARGE = """
suite: kills
tasks:
  - {name: phantom-cardiac, image_size: [32, 32], spacing_mm: [4.8, 4.8], phantom: {patients: 10}}
  - {name: phantom-lung, image_size: [32, 32], phantom: {patients: 12, seed: 5}}
models:
  - {name: unet, options: {features: [4, 8]}}
  - {name: resunet, options: {features: [4, 8]}, train: {steps_per_epoch: 60}}
losses: [ce_dice]
train: {epochs: 3, steps_per_epoch: 20, batch_size: 4, learning_rate: 1e-2}
tune:
  budget: {trials: 20}
  epochs: 2
  space:
    train.learning_rate: {low: 1e-3, high: 2e-2, log: true}
    train.optimizer: {choices: [adam, sgd]}
    train.momentum: {low: 0.8, high: 0.99, when: {train.optimizer: sgd}}
final: {folds: [0, 1], seeds: [0, 1]}
resources: {cpus: 1, memory_gb: 0.5}
keep_predictions: true
"""
SMALL = """
suite: kills
tasks: [{name: phantom-lung, image_size: [32, 32], phantom: {patients: 12, seed: 5}}]
models: [{name: unet, options: {features: [4, 8]}}]
losses: [ce_dice]
train: {epochs: 2, steps_per_epoch: 10, batch_size: 4, learning_rate: 1e-2}
tune:
  budget: {trials: 20}
  space: {train.learning_rate: {low: 1e-3, high: 2e-2, log: true}}
final: {folds: [0], seeds: [0, 1]}
resources: {cpus: 1, memory_gb: 0.5}
"""


def write_suite(folder: Path, size: str) -> Path:
    """Writes the suite into a folder and returns its file."""
    folder.mkdir(parents=True)
    path = folder / "kills.yaml"
    path.write_text(LARGE if size == "large" else SMALL)
    return path


class BenchRun:
    """A `bench run` that has started.

    Args:
        suite: The suite's file.
        folder: Where it runs; results and its log go there.
        number: Of the run, in the log's name.
        slots: Trials at once.
    """

    def __init__(self, suite: Path, folder: Path, number: int, slots: int):
        self.number, self.log = number, folder / f"run-{number:02d}.txt"
        self._family: dict[int, psutil.Process] = {}
        self._started = time.monotonic()
        # The package beside this script, whatever else is installed.
        paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench", "run", str(suite), "--cpus", str(slots)],
                cwd=folder,
                env={**os.environ, "COLUMNS": "140", "PYTHONPATH": os.pathsep.join(filter(None, paths))},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def seconds(self) -> float:
        """Since it started."""
        return time.monotonic() - self._started

    def output(self) -> str:
        """Returns what it said so far."""
        return self.log.read_text(errors="replace")

    def wait(self, seconds: float) -> int | None:
        """Waits for its end; returns its exit code, or none while it runs."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def victims(self, kind: str) -> Sequence[psutil.Process | subprocess.Popen[bytes]]:
        """Returns the processes of a kind that are alive, by number."""
        if kind in ("driver", "interrupt"):
            return [self._process] if self._process.poll() is None else []
        return sorted((p for p in self._look() if _is(kind, _title(p))), key=lambda p: p.pid)

    def kill(self, kind: str, which: float) -> str | None:
        """Kills one of its processes; returns its name, or none where there is none of this kind."""
        self._look()
        found = self.victims(kind)
        if not found:
            return None
        victim = found[int(which * len(found))]
        name = (
            _title(victim).split()[0].rpartition("/")[2]
            if isinstance(victim, psutil.Process)
            else "bench run"
        )
        victim.send_signal(signal.SIGINT if kind == "interrupt" else signal.SIGKILL)
        return name

    def stop(self) -> None:
        """Ends all of its processes."""
        self._look()
        self._process.kill()
        self._process.wait()
        for process in self._family.values():
            if process.is_running():
                process.kill()

    def survivors(self) -> list[str]:
        """Waits for all that it started to end; returns what did not, and ends it."""
        _, alive = psutil.wait_procs(list(self._family.values()), timeout=SURVIVAL_S)
        names = [f"{_title(process)[:80]} of run {self.number}" for process in alive]
        for process in alive:
            process.kill()
        return names

    def _look(self) -> list[psutil.Process]:
        """Returns the processes that it started and that are alive, also those whose parent is dead."""
        with suppress(psutil.NoSuchProcess):
            found = psutil.Process(self._process.pid).children(recursive=True)
            self._family.update({process.pid: process for process in found})
        return [process for process in self._family.values() if process.is_running() and _title(process)]


def _is(kind: str, title: str) -> bool:
    if kind == "worker":
        return title.startswith(WORKERS)
    program = title.split(" ")[0].rpartition("/")[2]
    return program == {"raylet": "raylet", "gcs": "gcs_server"}[kind]


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
