"""How long results of many trials take to open, before and after `bench compact`, and what that costs.

    python benchmarks/leaderboard_compaction.py --trials 100000 [--loose] [--keep FOLDER]

Trials are made up: two tasks of ten entries, 15 final trials each, all others tuning trials. Files of trials are made
by patching those of one trial per study, since to write a hundred thousand of them by Arrow takes longer than to
compact them.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.results.compaction import compact
from bench.results.place import open_place
from bench.results.schema import TRIALS, make_table
from bench.results.store import Store

TASKS, ENTRIES, FOLDS, SEEDS = ("lung", "heart"), 10, 5, 3
VALIDATION, TEST, EPOCHS = 10, 40, 20
METRICS = ("dice", "iou", "hd95", "nsd")
CODE = "c0de" * 16
START = datetime(2026, 1, 1, tzinfo=UTC)
# What is patched: as long as what takes its place, and nowhere else in a file.
TRIAL, SETTING, VALUE = "TRIALTRIALTRIALX", "SETTINGSETTINGSX", 0.123456789012345
# No two trials have one spec; it is the largest text of a row.
SPEC = json.dumps({f"train.option_{number}": f"{TRIAL}{number / 7}" for number in range(60)})


def main() -> None:
    """Makes results, and opens them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--loose", action="store_true", help="open them before they are compacted, too")
    parser.add_argument("--keep", type=Path, help="make them there, and leave them")
    asked = parser.parse_args()
    root = asked.keep or Path(tempfile.mkdtemp(prefix="bench-compaction-"))
    try:
        timed(f"make {asked.trials:,} trials", lambda: make(root, asked.trials))
        if asked.loose:
            timed("open, not compacted", lambda: leaderboard(root))
        print(timed("compact", lambda: compact(open_place(root))))
        files = [path for path in root.rglob("*.parquet") if path.is_file()]
        print(f"{len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:,.0f} MB")
        print(f"most memory so far {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:,.0f} MB")
        store = Store(root)
        trials = timed("read the table of trials", store.trials)
        finals = list(trials.loc[trials["phase"] == "final", "trial"])
        timed("read the test cases of final trials", lambda: store.case_table(finals, "test"))
        timed("read all cases", lambda: store.case_table(None, "validation"))
        timed("bench leaderboard", lambda: leaderboard(root))
        timed("bench compact, nothing to do", lambda: compact(open_place(root)))
    finally:
        if asked.keep is None:
            shutil.rmtree(root)


def timed(what: str, call: Any) -> Any:
    """Calls, and prints how long it took."""
    start = time.perf_counter()
    found = call()
    print(f"{time.perf_counter() - start:8.2f} s  {what}", flush=True)
    return found


def leaderboard(root: Path) -> None:
    """Runs the command, as a user does."""
    command = [sys.executable, "-m", "bench", "leaderboard", str(root), "--format", "json", "-o", "/dev/null"]
    subprocess.run(command, check=True)


def make(root: Path, trials: int) -> None:
    """Writes the parts of so many trials."""
    rng = np.random.default_rng(0)
    studies = [(task, entry) for task in TASKS for entry in range(ENTRIES)]
    finals = [(*study, fold, seed) for study in studies for fold in range(FOLDS) for seed in range(SEEDS)]
    store, number = Store(root), 0
    for task, entry, fold, seed in finals:
        row = trial_row(f"{number:016x}", task, entry, "final", fold=fold, seed=seed, minutes=trials + number)
        store.write(row, case_rows(row, TEST, "test", rng), curve_rows(row))
        number += 1
    for index, (task, entry) in enumerate(studies):
        row = trial_row(TRIAL, task, entry, "tune", setting=SETTING, value=VALUE)
        tables = {
            "trials": make_table("trials", [row]),
            "cases": make_table("cases", stamped(case_rows(row, VALIDATION, "validation", rng))),
            "curves": make_table("curves", stamped(curve_rows(row))),
        }
        mine = range(number + index, trials, len(studies))
        patched(root, {name: content(table) for name, table in tables.items()}, mine, rng)


def patched(root: Path, contents: dict[str, bytes], numbers: range, rng: np.random.Generator) -> None:
    """Writes files that differ in the trial, its setting and its value."""
    for number in numbers:
        trial = f"{number:016x}"
        changes = [
            (TRIAL.encode(), trial.encode()),
            (SETTING.encode(), trial[::-1].encode()),
            (np.float64(VALUE).tobytes(), rng.random(1).tobytes()),
        ]
        for name, text in contents.items():
            for old, new in changes:
                text = text.replace(old, new)
            attempt = "" if name == "trials" else "-1"
            (root / name / f"{trial}-{CODE[:8]}{attempt}.parquet").write_bytes(text)


def content(table: Any) -> bytes:
    """Returns a table as a file that can be patched."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="none")
    return bytes(sink.getvalue().to_pybytes())


def trial_row(
    trial: str, task: str, entry: int, phase: str, minutes: int = 0, **changes: Any
) -> dict[str, Any]:
    """Returns a row as a run writes it."""
    then = START + timedelta(minutes=minutes)
    words = {field.name: "" for field in TRIALS if not field.nullable and pa.types.is_string(field.type)}
    return {
        **words,
        **{field.name: None for field in TRIALS if field.nullable},
        "trial": trial,
        "suite": "scale",
        "study": f"{task}-{entry}",
        "phase": phase,
        "number": -1 if phase == "final" else 0,
        "setting_json": json.dumps({"train.learning_rate": 0.001, "train.weight_decay": 0.01}),
        "spec_json": SPEC,
        "task": task,
        "model": f"model-{entry}",
        "loss": "dice",
        "entry": f"model-{entry} + dice",
        "fold": 0,
        "seed": 0,
        "status": "complete",
        "attempt": 1,
        "metric": "dice",
        "epochs": EPOCHS,
        "batch_size": 8,
        "code": CODE,
        "versions_json": json.dumps({"torch": "2.13"}),
        "started_at": then,
        "finished_at": then + timedelta(seconds=30),
        "value": 0.8,
        "parameters": 482_000,
        "device_s": 30.0,
        **changes,
    }


def case_rows(row: dict[str, Any], count: int, part: str, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Returns the case rows of a trial."""
    return [
        {
            "trial": row["trial"],
            "part": part,
            "case": f"case-{case:04d}",
            "patient": f"patient-{case:04d}",
            "subgroup": "",
            "phase": "",
            "label": "all" if metric == "pixel_accuracy" else "organ",
            "metric": metric,
            "definition": f"{metric}/v1",
            "value": float(rng.normal(0.8, 0.05)),
            "status": "ok",
            "unit": "mm" if metric == "hd95" else "",
            "diagonal": 300.0,
        }
        for case in range(count)
        for metric in METRICS
    ]


def curve_rows(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the curve of a trial."""
    rates = {"train_loss": 0.5, "learning_rate": 0.001, "score": 0.7, "wall_s": 1.0}
    return [{"trial": row["trial"], "epoch": epoch + 1, "step": epoch, **rates} for epoch in range(EPOCHS)]


def stamped(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns rows as the store stamps them."""
    return [{**row, "code": CODE, "attempt": 1} for row in rows]


if __name__ == "__main__":
    main()
