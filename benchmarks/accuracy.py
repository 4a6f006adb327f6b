"""Accuracy of the shipped CPU-sized U-Net on real data: what it reaches, and how much seeds and folds differ.

Each trial is that of `suites/real-unet.yaml`, one per core, trained from nothing. ACDC: its own test patients, three
seeds. X-rays: five folds by patient; each patient is tested once, by a network that never saw them.

    python benchmarks/accuracy.py --acdc PATH --covid PATH [--processes 2]
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from bench.suite import load_suite
from bench.suite.resolve import task_spec, train_config
from medseg.config import Component
from medseg.data import cache_dir, index_dataset
from medseg.tasks import TaskSpec
from medseg.training.config import TrialSpec

SUITE = Path(__file__).parents[1] / "suites" / "real-unet.yaml"
FOLDS = 5


def main() -> None:
    """Prints Dice per trial and label, and the mean with its spread."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--acdc", type=Path, help="root of ACDC")
    parser.add_argument("--covid", type=Path, help="root of the COVID-19 Radiography Database")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="for ACDC")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    for root, jobs in (
        (arguments.acdc, acdc_trials(arguments.seeds)),
        (arguments.covid, covid_trials(arguments.covid) if arguments.covid else []),
    ):
        if root:
            with multiprocessing.get_context("spawn").Pool(arguments.processes, maxtasksperchild=1) as pool:
                report(jobs, pool.imap(run_one, [(spec, root) for spec in jobs]))


def base_trials() -> dict[str, TrialSpec]:
    """Returns the suite's final trial on each of its tasks, by data set."""
    suite = load_suite(SUITE).suite
    (model,), (loss,) = suite.models, suite.losses
    tasks = [task_spec(entry) for entry in suite.tasks]
    return {
        task.dataset: TrialSpec(
            task=task,
            model=Component(name=model.name, options=model.options),
            loss=Component(name=loss.name, options=loss.options),
            train=train_config(suite, model),
            phase="final",
        )
        for task in tasks
    }


def acdc_trials(seeds: list[int]) -> list[TrialSpec]:
    """Returns a trial per seed."""
    return [base_trials()["acdc"].model_copy(update={"seed": seed}) for seed in seeds]


def covid_trials(root: Path) -> list[TrialSpec]:
    """Returns a trial per fold of the patients, each of which is its test part."""
    base = base_trials()["covid"]
    patients = index_dataset(base.task, find(base.task, root), cache_dir()).patients
    order = np.random.default_rng(0).permutation(len(patients))
    trials = []
    for fold in range(FOLDS):
        held_out = tuple(patients[index] for index in order[fold::FOLDS])
        split = base.task.split.model_copy(update={"test": held_out})
        trials.append(
            base.model_copy(update={"task": base.task.model_copy(update={"split": split}), "seed": fold})
        )
    return trials


def find(task: TaskSpec, root: Path) -> Path:
    """Returns the folder of a data set below a root."""
    from medseg.data import resolve_root

    return resolve_root(task, {task.dataset: root}, cache_dir())


def run_one(job: tuple[TrialSpec, Path]) -> dict[str, object]:
    """Runs one of the jobs of the pool."""
    return run(*job)


def run(spec: TrialSpec, root: Path) -> dict[str, object]:
    """Trains one trial on one core; returns its test rows and its cost."""
    import torch

    from medseg.training.trial import TrialFiles, open_data, run_trial

    torch.set_num_threads(1)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        events = run_trial(
            spec, open_data(spec.task, root, cache_dir()), TrialFiles(Path(folder) / "last.safetensors")
        )
        while True:
            try:
                next(events)
            except StopIteration as end:
                result = end.value
                break
    rows = [row for row in result.cases if row["part"] == "test" and row["metric"] == "dice"]
    return {"rows": rows, "minutes": (time.perf_counter() - started) / 60, "score": result.summary["value"]}


def report(trials: list[TrialSpec], results: Iterable[dict[str, object]]) -> None:
    """Prints a line per trial, as it is known, and the mean over patients."""
    task = trials[0].task
    print(f"{task.name}: test Dice, mean over patients; unet {trials[0].model.options['features']}")
    means, every = [], defaultdict(list)
    for spec, result in zip(trials, results, strict=True):
        patients = by_patient(result["rows"])
        means.append(statistics.mean(patients.values()))
        for patient, value in patients.items():
            every[patient].append(value)
        labels = {
            label: statistics.mean(row["value"] for row in result["rows"] if row["label"] == label)
            for label in task.labels
        }
        shown = ", ".join(f"{label} {value:.3f}" for label, value in labels.items())
        print(
            f"  seed {spec.seed}: {means[-1]:.3f} ({shown}); validation {result['score']:.3f}; "
            f"{len(patients)} patients; {result['minutes']:.1f} min",
            flush=True,
        )
    whole = [statistics.mean(values) for values in every.values()]
    print(f"  all: {statistics.mean(whole):.3f} over {len(whole)} patients, lowest trial {min(means):.3f}")
    print("  " + ", ".join(f"{patient} {statistics.mean(v):.3f}" for patient, v in sorted(every.items())))


def by_patient(rows: list[dict[str, object]]) -> dict[str, float]:
    """Returns the mean over labels and images of each patient."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        found[row["patient"]][row["label"]].append(row["value"])
    return {
        patient: statistics.mean(statistics.mean(values) for values in labels.values())
        for patient, labels in found.items()
    }


if __name__ == "__main__":
    main()
