"""What a trial costs around its steps, and what several of them get from one device. Imported by training.py."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing as mp
from training_setup import (
    LOSS,
    Bench,
    Work,
    endless,
    make_loop,
    phantom,
    phantom_arrays,
    print_table,
    synchronise,
    whole_epochs,
    work,
)

from medseg.data import cache_dir
from medseg.training.config import TrainConfig, TrialSpec
from medseg.training.outcome import Epoch, InterruptedTrialError, TrialResult
from medseg.training.trial import TrialData, TrialFiles, open_data, run_trial

SMALL = ("unet", (8, 16, 32, 64), 64, 16)
SHARE_S = 10.0


def trial_spec(one: Work, epochs: int, steps: int) -> TrialSpec:
    """Returns a trial on the generated hearts, with the default settings otherwise."""
    train = TrainConfig(batch_size=one.batch, epochs=epochs, steps_per_epoch=steps)
    return TrialSpec(task=phantom(one.size), model=one.model, loss=LOSS, train=train, phase="tune")


def measure_validation(bench: Bench) -> None:
    """The share of validation in the epochs of a trial, and what the trial spends beside its epochs."""
    one = work("unet", (4, 8), 32, 2) if bench.quick else work(*SMALL)
    spec = trial_spec(one, epochs=2, steps=5 if bench.quick else 250)
    data = open_data(spec.task, None, cache_dir())
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        result = _finish(
            run_trial(spec, data, TrialFiles(Path(folder) / "c"), use_cpu=bench.device.type == "cpu")
        )
        wall_s = time.perf_counter() - started
    summary = result.summary
    shares = [f"{summary[f'{part}_share']:.1%}" for part in ("data", "compute", "validation")]
    print_table(
        f"A trial: {one}, 2 epochs of {spec.train.steps_per_epoch} steps (bar: validation below 10%)",
        ["data", "compute", "validation", "samples/s in steps", "s in epochs", "s in all"],
        [[*shares, f"{summary['samples_per_s']:.1f}", f"{summary['device_s']:.1f}", f"{wall_s:.1f}"]],
    )


def _finish(trial: Generator[Epoch, None, TrialResult]) -> TrialResult:
    while True:
        try:
            next(trial)
        except StopIteration as done:
            result: TrialResult = done.value
            return result


def measure_start(bench: Bench) -> None:
    """Seconds from starting a process to the end of its trial's first step; the first process warms the caches."""
    script = Path(__file__).with_name("training_start.py")
    runs = []
    for _ in range(bench.rounds + 1):
        command = [sys.executable, script, bench.device.type, str(bench.cores), repr(time.time())]
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        runs.append(json.loads(answer.stdout.splitlines()[-1]))
    middle = {name: statistics.median(run[name] for run in runs[1:]) for name in runs[0]}
    print_table(
        "From a fresh process to the end of a trial's first step, seconds (bar: below 3 beyond importing torch)",
        [
            "importing torch",
            "all beyond that",
            "of it: torch._dynamo, for any optimiser",
            "Python and our imports",
            "opening data",
            "from there to the first step",
        ],
        [[f"{seconds:.2f}" for seconds in middle.values()]],
    )


def first_step(spec: TrialSpec, data: TrialData, folder: Path, device: torch.device) -> float:
    """Runs a trial up to the end of its first step; returns when that was."""
    asked: list[float] = []

    def after_the_first_step() -> bool:
        synchronise(device)
        asked.append(time.time())
        return len(asked) == 2

    trial = run_trial(spec, data, TrialFiles(folder / "c"), after_the_first_step, device.type == "cpu")
    try:
        next(trial)
    except InterruptedTrialError:
        return asked[1]
    raise RuntimeError("the trial did not stop after its first step")


def measure_sharing(bench: Bench) -> None:
    """Samples per second of all processes together, by how many share the device."""
    one = work("unet", (4, 8), 32, 2) if bench.quick else work(*SMALL)
    counts = (1, 2, 4, 8) if bench.device.type == "cuda" else (1, 2)
    alone = 0.0
    rows = []
    for count in counts:
        total = sum(_shared(one, bench, count))
        alone = alone or total
        threads = max(1, bench.cores // count)
        rows.append([count, threads, f"{total:.1f}", f"{total / count:.1f}", f"{total / alone:.2f}"])
    print_table(
        f"Processes that share the device: whole steps of {one}",
        ["processes", "threads each", "samples/s together", "each", "times one process"],
        rows,
    )


def _shared(one: Work, bench: Bench, count: int) -> list[float]:
    phantom_arrays(one.size)
    context = mp.get_context("spawn")
    barrier, answers = context.Barrier(count), context.Queue()
    workers = [
        context.Process(target=_train_beside_others, args=(one, bench, count, barrier, answers), daemon=True)
        for _ in range(count)
    ]
    for worker in workers:
        worker.start()
    rates: list[float] = [answers.get(timeout=600) for _ in workers]
    for worker in workers:
        worker.join()
    return rates


def _train_beside_others(one: Work, bench: Bench, count: int, barrier: Any, answers: Any) -> None:
    torch.set_num_threads(max(1, bench.cores // count))
    train: dict[str, Any] = {"steps_per_epoch": bench.steps, "precision": bench.precision, "compile": "off"}
    spec = endless(phantom(one.size), one.model, batch_size=one.batch, **train)
    epoch = whole_epochs(make_loop(spec, phantom_arrays(one.size), bench.device))
    epoch()
    synchronise(bench.device)
    barrier.wait(timeout=300)
    samples, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < (0.5 if bench.quick else SHARE_S):
        epoch()
        synchronise(bench.device)
        samples += bench.steps * one.batch
    answers.put(samples / elapsed)
