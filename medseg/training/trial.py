"""One training run from its description to case rows."""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from medseg.data import DataSet, Prepared, Split, index_dataset, make_split, prepare, resolve_root
from medseg.losses import build_loss, resolve_options
from medseg.models import build_model, count_parameters
from medseg.tasks import TaskSpec
from medseg.training.checkpoint import load_state, save_state, save_weights
from medseg.training.config import TrialSpec
from medseg.training.evaluate import evaluate_cases, predictor, selection_score
from medseg.training.loop import Loop, make_accelerator
from medseg.training.outcome import Epoch, InterruptedTrialError, Row, TrialResult
from medseg.training.sampling import derive_seed

PACKAGES = ("torch", "accelerate", "numpy", "scipy", "nibabel", "medseg-bench")
INITIAL_WEIGHTS = 0


@dataclass(frozen=True)
class TrialData:
    """A task's data, ready to train on."""

    dataset: DataSet
    split: Split
    prepared: Prepared


@dataclass(frozen=True)
class TrialFiles:
    """Where a trial keeps what outlives an interruption.

    Args:
        checkpoint: Last state; removed once the trial is complete.
        weights: Best weights (safetensors), kept after completion; none keeps nothing.
        checkpoint_every_s: A crash loses at most about this much training.
    """

    checkpoint: Path
    weights: Path | None = None
    checkpoint_every_s: float = 30.0


def open_data(task: TaskSpec, root: Path | None, cache: Path, beside: Path | None = None) -> TrialData:
    """Indexes, splits and prepares a task's data; what was done before is reused.

    Args:
        task: The task.
        root: Folder of its data set; found by MEDSEG_DATA or generated where there is none.
        cache: Where derived data are kept.
        beside: Where else to look for files that the task names: the suite's folder.

    Raises:
        DataError: If the data are missing or not what the task declares.
    """
    found = resolve_root(task, {task.dataset: root} if root else {}, cache)
    dataset = index_dataset(task, found, cache, beside=beside)
    return TrialData(dataset, make_split(task, dataset, beside), prepare(task, dataset, cache))


def run_trial(
    spec: TrialSpec,
    data: TrialData,
    files: TrialFiles,
    should_stop: Callable[[], bool] = lambda: False,
    use_cpu: bool = False,
) -> Generator[Epoch, None, TrialResult]:
    """Trains one trial, continuing from its checkpoint where there is one.

    Args:
        spec: The trial.
        data: Its task's data.
        files: Where checkpoint and weights go.
        should_stop: Asked before every step; once true the trial saves itself and stops.
        use_cpu: Stay on the CPU although a GPU is there.

    Yields:
        A report per epoch.

    Returns:
        The rows of a complete trial.

    Raises:
        InterruptedTrialError: If stopped; the checkpoint is saved.
        DivergedError: If a loss is not finite.
        MedsegError: If the data or the model do not fit.
    """
    started = datetime.now(UTC)
    clock = time.perf_counter()
    task = spec.task
    train, validation, test = data.split.patients(spec.fold)
    torch.manual_seed(derive_seed(spec.seed, INITIAL_WEIGHTS))
    model = build_model(spec.model, task.channels, task.out_channels, task.image_size)
    train_slices = _slices(data, train)
    balanced = resolve_options(spec.loss).get("weights") == "balanced"
    frequencies = class_counts(data.prepared, train_slices) if balanced else None
    loss = build_loss(spec.loss, task.out_channels, frequencies)
    accelerator = make_accelerator(spec.train.precision, use_cpu)

    def rows(patients: tuple[str, ...], part: str, metrics: tuple[str, ...]) -> list[Row]:
        wanted = set(patients)
        cases = [case for case in data.dataset.cases if case.patient in wanted]
        predict = predictor(loop.model, loop.loss)  # type: ignore[arg-type]
        return list(evaluate_cases(predict, task, data.prepared, cases, part, metrics, accelerator.device))

    def validate() -> float:
        metric = task.selection_metric
        return selection_score(rows(validation, "validation", (metric,)), metric)

    loop = Loop(spec, model, loss, data.prepared, train_slices, validate, accelerator)
    earlier = load_state(files.checkpoint)
    if earlier is not None:
        loop.restore(earlier)
    earlier_s = loop.progress.wall_s
    try:
        yield from _train(loop, files, should_stop)
    finally:
        loop.feed.close()

    loop.load_weights(loop.best_weights)
    loop.model.eval()
    cases = rows(validation, "validation", task.metrics)
    if spec.phase == "final":
        cases += rows(test, "test", task.metrics)
    if files.weights is not None:
        save_weights(loop.best_weights, files.weights)
    summary = _summary(loop, started, earlier_s + time.perf_counter() - clock)
    accelerator.free_memory()
    files.checkpoint.unlink(missing_ok=True)
    return TrialResult("complete", summary=summary, cases=cases, curves=list(loop.progress.curves))


def _train(loop: Loop, files: TrialFiles, should_stop: Callable[[], bool]) -> Generator[Epoch, None, None]:
    saved = time.monotonic()
    try:
        for epoch in loop.epochs(should_stop):
            if time.monotonic() - saved > files.checkpoint_every_s:
                save_state(loop.state(), files.checkpoint)
                saved = time.monotonic()
            yield epoch
    except InterruptedTrialError:
        save_state(loop.state(), files.checkpoint)
        raise


def class_counts(prepared: Prepared, slices: list[int]) -> list[float]:
    """Counts the pixels of each class in the training slices, background first."""
    return [float(count) for count in prepared.counts[slices].sum(axis=0)]


def _slices(data: TrialData, patients: tuple[str, ...]) -> list[int]:
    wanted = set(patients)
    indices: list[int] = []
    for case in data.dataset.cases:
        if case.patient in wanted:
            part = data.prepared.slices(case.id)
            indices.extend(range(part.start, part.stop))
    return indices


def _summary(loop: Loop, started: datetime, wall_s: float) -> Row:
    progress, device = loop.progress, loop.accelerator.device
    return {
        "value": progress.best_score,
        "metric": loop.spec.task.selection_metric,
        "parameters": count_parameters(loop.accelerator.unwrap_model(loop.model)),
        "epochs": loop.config.epochs,
        "best_epoch": progress.best_epoch,
        "steps": progress.step,
        "batch_size": loop.config.batch_size,
        "precision": loop.config.precision,
        "wall_s": wall_s,
        "train_s": progress.train_s,
        "device_s": progress.wall_s,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "versions": _versions(),
        "started_at": started,
        "finished_at": datetime.now(UTC),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
