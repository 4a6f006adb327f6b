"""What a leaderboard of millions of case rows costs: time, peak memory, and how both grow with the rows.

``python benchmarks/leaderboard.py [--rows 10000000] [--out FOLDER]`` writes invented results of 20 entries x 50 runs
(5 folds x 10 seeds): 1,000 trials, a Parquet part each, 500 patients x 4 labels x 5 metrics at 10 million rows. Then
``bench leaderboard`` runs over them in a process of its own on two cores, with intervals, tests and 1,000 bootstrap
rankings: over one file per trial, and after ``bench compact``. The same at a quarter and at half of the rows (fewer
patients) shows the growth.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bench.plan.identity import code_fingerprint
from bench.results.compaction import compact
from bench.results.parts import write_table
from bench.results.schema import TRIALS, make_table
from bench.results.store import Store, part_name

ENTRIES, FOLDS, SEEDS = 20, 5, 10
LABELS = ("left lung", "right lung", "heart", "lesion")
METRICS = ("dice", "iou", "hd95", "nsd", "sensitivity")
FULL = 10_000_000

MEASURE = """
import json, resource, sys, time
from bench.results.store import Store
from bench.leaderboard.load import load_tasks
started = time.perf_counter()
tasks = load_tasks(Store(sys.argv[1]))
read_s = time.perf_counter() - started
rows = sum(len(cells.cells) for cells in tasks)
peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(json.dumps({"read_s": read_s, "rows": rows, "peak_gb": peak_gb}))
"""


def trial_row(entry: int, fold: int, seed: int) -> dict[str, Any]:
    """A complete final trial."""
    model, loss = f"model{entry // 4}", f"loss{entry % 4}"
    then = datetime(2026, 1, 2, tzinfo=UTC)
    row: dict[str, Any] = {field.name: None for field in TRIALS if field.nullable}
    row |= {field.name: "" for field in TRIALS if pa.types.is_string(field.type) and not field.nullable}
    row |= {field.name: 1 for field in TRIALS if pa.types.is_integer(field.type) and not field.nullable}
    return row | {
        "trial": f"{entry:02}-{fold}-{seed}",
        "suite": "scale",
        "study": f"{model}-{loss}",
        "phase": "final",
        "setting": "s0",
        "setting_json": "{}",
        "spec_json": "{}",
        "task": "chest",
        "model": model,
        "loss": loss,
        "entry": f"{model} + {loss}",
        "fold": fold,
        "seed": seed,
        "status": "complete",
        "metric": "dice",
        "code": code_fingerprint(),
        "versions_json": "{}",
        "started_at": then,
        "finished_at": then,
    }


class Cases:
    """Case rows of a trial: what all trials have in common is made once."""

    def __init__(self, patients: int):
        self.rng = np.random.default_rng(0)
        self.shape = (patients, len(LABELS), len(METRICS))
        patient, label, metric = (index.ravel() for index in np.indices(self.shape))
        names = np.array([f"p{number:05}" for number in range(patients)])
        self.size = len(patient)
        self.columns = {
            "case": [f"{name}-img" for name in names[patient]],
            "patient": names[patient].tolist(),
            "subgroup": np.array(["covid", "normal", "pneumonia"])[patient % 3].tolist(),
            "label": np.array(LABELS)[label].tolist(),
            "metric": np.array(METRICS)[metric].tolist(),
            "definition": [f"{METRICS[m]}/v1" for m in metric],
            "unit": np.where(metric == METRICS.index("hd95"), "mm", "").tolist(),
            "diagonal": [400.0] * self.size,
        }
        # A lesion that a third of the patients do not have.
        self.absent = (label == LABELS.index("lesion")) & (patient % 3 == 1)
        self.hard = self.rng.normal(0, 0.05, self.shape[:2])
        self.distance = METRICS.index("hd95")

    def table(self, row: dict[str, Any], quality: float) -> Any:
        dice = np.clip(quality + self.hard + self.rng.normal(0, 0.02, self.shape[:2]), 0.01, 0.99)
        values = np.stack([dice, dice / (2 - dice), 40 * (1 - dice), dice**0.5, dice**0.8], axis=2)
        flat, status = values.ravel(), np.full(self.size, "ok", object)
        found = self.absent & (self.rng.random(self.size) < 0.3)
        status[self.absent], status[found] = "both_empty", "reference_empty"
        flat = np.where(self.absent, np.nan, flat)
        flat = np.where(
            found, np.where(np.indices(self.shape)[2].ravel() == self.distance, np.inf, 0.0), flat
        )
        fixed = {"trial": row["trial"], "code": row["code"], "attempt": 1, "part": "test", "phase": ""}
        columns = {name: [word] * self.size for name, word in fixed.items()}
        columns |= self.columns | {"status": status.tolist(), "value": pa.array(flat)}
        schema = make_table("cases", []).schema
        return pa.table({name: columns[name] for name in schema.names}, schema=schema)


def write(root: Path, rows: int) -> None:
    """Writes the results of all trials."""
    store = Store(root)
    cases = Cases(rows // (ENTRIES * FOLDS * SEEDS * len(LABELS) * len(METRICS)))
    for entry in range(ENTRIES):
        for fold in range(FOLDS):
            for seed in range(SEEDS):
                row = trial_row(entry, fold, seed)
                store.write(row, [], [])
                write_table(store.root, "cases", f"{part_name(row)}-1", cases.table(row, 0.8 + 0.002 * entry))


@dataclass(frozen=True)
class Cost:
    """What a command cost: seconds on the clock and of processors, peak memory, and what it printed."""

    wall_s: float
    cpu_s: float
    peak_gb: float
    text: str


def measured(command: list[str]) -> Cost:
    """Runs a command on two threads of linear algebra; the process is limited to two cores already."""
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "2")
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command[:4])} ended with {process.returncode}")
    cpu_s = usage.ru_utime + usage.ru_stime
    return Cost(time.perf_counter() - started, cpu_s, usage.ru_maxrss / 1e6, text)


def report(root: Path, options: list[str]) -> None:
    """Measures reading alone, then the whole command, cold start included."""
    found = json.loads(measured([sys.executable, "-c", MEASURE, str(root)]).text)
    cost = measured([sys.executable, "-m", "bench", "leaderboard", str(root), *options])
    print(
        f"{root.name:>20} {found['rows']:>12,} rows: read in {found['read_s']:5.1f} s, {found['peak_gb']:.2f} GB; "
        f"bench leaderboard {cost.wall_s:5.1f} s ({cost.cpu_s:.1f} s of processors), {cost.peak_gb:.2f} GB",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=FULL)
    parser.add_argument("--out", type=Path, help="keep the results here, and take what is there")
    parser.add_argument("options", nargs="*", help="of bench leaderboard, after --")
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    with tempfile.TemporaryDirectory(prefix="leaderboard-") as folder:
        for rows in (args.rows // 4, args.rows // 2, args.rows):
            loose, packed = ((args.out or Path(folder)) / f"{kind}-{rows}" for kind in ("loose", "compact"))
            if not packed.exists():
                write(loose, rows)
                shutil.copytree(loose, packed)
                compact(Store(packed).root)
            for root in (loose, packed):
                report(root, args.options)


if __name__ == "__main__":
    main()
