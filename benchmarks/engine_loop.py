"""Ten trials by `bench run` and the same ten in a bare loop. Imported by engine.py.

Both train the same in one process with one thread. The loop does five trials before `bench run` and five after it:
a machine that slows down in between is nobody's advantage.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import pandas as pd

from bench.plan import make_plan
from bench.results.store import Store
from bench.suite import load_suite
from medseg.data import cache_dir
from medseg.training.config import TrialSpec

SEEDS = 10
PER_EPOCH_S, EPOCHS = 3.0, 10
SUITE = """
suite: loop
tasks: [{name: phantom-cardiac, image_size: [64, 64], spacing_mm: [2.4, 2.4]}]
models: [{name: unet, options: {features: [8, 16, 32, 64]}}]
losses: [ce_dice]
train: {epochs: %d, steps_per_epoch: %d, batch_size: 8}
final: {folds: [0], seeds: %s}
resources: {cpus: 1, memory_gb: 1}
"""


def measure_loop(share: float) -> None:
    """Prints how long both take from the beginning of the first trial to the end of the last."""
    print(
        f"\nten trials of about {30 * share:.0f} s: `bench run` against a bare loop (bar: at most 5% slower)"
    )
    with tempfile.TemporaryDirectory(prefix="engine-") as name:
        suite = Path(name) / "loop.yaml"
        epochs = max(1, round(EPOCHS * share))
        suite.write_text(SUITE % (epochs, _steps(suite), list(range(SEEDS))))
        specs = _specs(suite)
        with BareLoop() as loop:
            before = loop.run(specs[: SEEDS // 2])
            started = time.time()
            rows = _bench_run(suite)
            whole = time.time() - started
            after = loop.run(specs[SEEDS // 2 :])
    bare = before["s"] + after["s"]
    run = (rows["finished_at"].max() - rows["started_at"].min()).total_seconds()
    same = sorted(before["values"] + after["values"]) == sorted(rows["value"])
    print(f"  bare loop {bare:6.1f} s ({before['s']:.1f} before, {after['s']:.1f} after)")
    print(f"  bench run {run:6.1f} s, {run / bare - 1:+.1%}; {whole:.1f} s with its start-up and end")
    print(f"  the ten scores are {'the same' if same else 'NOT the same'}", flush=True)


def _steps(suite: Path) -> int:
    """Returns how many steps take as long as an epoch should."""
    suite.write_text(SUITE % (3, 40, [0]))
    with BareLoop() as loop:
        return max(1, round(40 * 3 * PER_EPOCH_S / loop.run(_specs(suite))["s"]))


def _specs(suite: Path) -> list[TrialSpec]:
    (study,) = make_plan(load_suite(suite), {}, cache_dir()).studies
    return list(study.final_specs(study.default_setting()))


class BareLoop:
    """A process that trains one trial after the other and waits for more."""

    def __enter__(self) -> Self:
        # As `bench run` sets it for its workers.
        one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, **one, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(self, specs: list[TrialSpec]) -> dict[str, Any]:
        """Runs trials; returns seconds and scores."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([spec.model_dump(mode="json") for spec in specs]) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found


def _bench_run(suite: Path) -> pd.DataFrame:
    subprocess.run(
        [sys.executable, "-m", "bench", "run", suite.name, "--cpus", "1"],
        cwd=suite.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return Store(suite.parent / "results" / "loop").trials()


def serve() -> None:
    """Runs the trials that come as a line of JSON, and answers with one, until no more come."""
    # What is imported here is start-up: a worker's, too, has it behind it when its first trial begins.
    import torch

    import medseg.training.trial  # noqa: F401

    torch.set_num_threads(1)
    for line in sys.stdin:
        specs = [TrialSpec.model_validate(spec) for spec in json.loads(line)]
        started = time.time()
        values = [_train(spec) for spec in specs]
        print(json.dumps({"s": time.time() - started, "values": values}), flush=True)


def _train(spec: TrialSpec) -> float:
    from medseg.training.trial import TrialFiles, open_data, run_trial

    with tempfile.TemporaryDirectory(prefix="engine-") as folder:
        files = TrialFiles(Path(folder) / "checkpoint", weights=Path(folder) / "weights")
        trial = run_trial(spec, open_data(spec.task, None, cache_dir()), files, use_cpu=True)
        while True:
            try:
                next(trial)
            except StopIteration as end:
                return float(end.value.summary["value"])


if __name__ == "__main__":
    serve()
