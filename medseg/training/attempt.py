"""One go at a trial: built, continued from its checkpoint, trained, evaluated."""

import hashlib
import logging
import math
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime

import torch
from torch.nn.modules.dropout import _DropoutNd

from medseg.errors import ConfigError, DataError
from medseg.losses import build_loss, resolve_options
from medseg.models import build_model
from medseg.training import launch
from medseg.training.agree import ENDS
from medseg.training.averages import selection_score
from medseg.training.checkpoint import load_state, save_state, save_weights
from medseg.training.config import TrialSpec
from medseg.training.evaluation import Evaluation
from medseg.training.loop import Loop
from medseg.training.monitor import Meter, Readings, add_up
from medseg.training.outcome import (
    Epoch,
    Row,
    Status,
    TrialResult,
    Validation,
)
from medseg.training.placement import why_compiled
from medseg.training.predictions import PredictionWriter
from medseg.training.processes import make_accelerator
from medseg.training.records import summarise
from medseg.training.sampling import INITIAL_WEIGHTS, derive_seed
from medseg.training.subset import validation_subset
from medseg.training.sync_norm import unsynchronised
from medseg.training.trial_data import Again, TrialData, TrialFiles, class_counts
from medseg.training.unused import may_leave_unused

log = logging.getLogger(__name__)
# In units of what the last checkpoint took.
LEAST_TIME_BETWEEN = 20


class Attempt:
    """One go at a trial.

    Args:
        spec: The trial.
        data: Its task's data.
        files: Where checkpoint and weights go.
        use_cpu: Stay on the CPU although a GPU is there.
        again: What earlier attempts left to take into account.
    """

    def __init__(
        self,
        spec: TrialSpec,
        data: TrialData,
        files: TrialFiles,
        use_cpu: bool = False,
        again: Again = Again(),  # noqa: B008 - frozen
    ):
        self.spec, self.data, self.files = spec, data, files
        self._started, self._clock = datetime.now(UTC), time.perf_counter()
        self._saved, self._saving_s = time.monotonic(), 0.0
        self._case_s: float | None = None
        task = spec.task
        train, self.validation, self.test = data.split.patients(spec.fold)
        network = (spec.model, task.channels, task.out_channels, spec.network_size)
        unused = launch.count() > 1 and may_leave_unused(*network)
        accelerator = make_accelerator(spec.train.precision, use_cpu, unused)
        self._meter = Meter(accelerator.device)
        torch.manual_seed(derive_seed(spec.seed, INITIAL_WEIGHTS))
        model = build_model(*network)
        slices = data.slices(train)
        balanced = resolve_options(spec.loss).get("weights") == "balanced"
        frequencies = class_counts(data.prepared, slices) if balanced else None
        loss = build_loss(spec.loss, task.out_channels, frequencies)
        self.loop = Loop(
            spec,
            model,
            loss,
            data.prepared,
            slices,
            self._validate,
            accelerator,
            self._save_is_due,
            self._save,
        )
        self.watched = validation_subset(
            self.validation, data.slices_per_patient(), spec.train.validation_slices, spec.fold
        )
        earlier = load_state(files.checkpoint)
        if earlier is not None:
            if earlier["trial"] != self._identity():
                raise ConfigError(str(files.checkpoint), "is the checkpoint of another trial")
            self.loop.restore(earlier)
        progress = self.loop.progress
        if again.most_at_once is not None:
            progress.micro_batch = min(progress.micro_batch, again.most_at_once)
        if len(set(self.loop.processes.gather([progress.step]))) > 1:
            raise ConfigError(
                str(files.checkpoint),
                "the processes of a trial must see one checkpoint; they see different ones",
            )
        if not data.prepared.counts[slices, 1:].any():
            raise DataError(
                f"{task.name}: no training slice of fold {spec.fold} holds any of {', '.join(task.labels)}; do "
                "labels name the values of the files?"
            )
        self._earlier_s = max(progress.elapsed_s, again.spent_s)
        self._earlier: Readings = {}
        if earlier is not None:
            self._earlier = {"peak_memory_mb": progress.peak_memory_mb, "energy_j": progress.energy_j}
        self.evaluation = Evaluation(self.loop, data, self.note)
        self._say_what_was_decided()

    def note(self, text: str, said: bool = False) -> None:
        """Says what was decided or what happened, once: in the trial's row and, unless said already, in the log."""
        if text not in self.loop.progress.notes:
            self.loop.progress.notes.append(text)
            if not said:
                log.info(text)

    def train(self, should_stop: Callable[[], bool]) -> Generator[Epoch, None, None]:
        """Trains what is left. A stop or a limit of time leaves the last state on the disk."""
        self.evaluation.should_stop = should_stop
        try:
            for epoch in self.loop.epochs(should_stop):
                self._account()
                if self._save_is_due():
                    self._save()
                yield epoch
            # What follows may take long, and needs nothing but this.
            self._save()
        except ENDS:
            self._save()
            raise

    def evaluate(self) -> TrialResult:
        """Evaluates the weights that validation chose, keeps them, and returns the complete trial."""
        loop, task, train = self.loop, self.spec.task, self.spec.train
        loop.load_weights(loop.best_weights)
        loop.model.eval()
        flips = task.flips if train.mirror_tta else ()
        alone = self.files.predictions is not None
        rows = self.evaluation.rows
        with self._writer() as writer:
            cases, _ = rows(self.validation, "validation", task.metrics, flips, writer, alone)
            value = selection_score(cases, task.selection_metric, task.empty_policy)
            if self.spec.phase == "final":
                cases += rows(self.test, "test", task.metrics, flips, writer, alone)[0]
            if writer is not None:
                writer.commit(self.spec.model_dump(mode="json", exclude={"task"}))
        self._case_s = self.evaluation.case_s
        if self.files.weights is not None and loop.processes.first:
            save_weights(loop.best_weights, self.files.weights)
        return self.result("complete", value=value, cases=cases)

    def result(
        self, status: Status, detail: str = "", value: float = math.nan, cases: Sequence[Row] = ()
    ) -> TrialResult:
        """Returns what the trial leaves as it stands."""
        self._account()
        summary = summarise(self.loop, value, self._started, self._case_s)
        return TrialResult(status, detail, summary, list(cases), list(self.loop.progress.curves))

    @property
    def elapsed_s(self) -> float:
        """Seconds since the trial began, with those of earlier attempts."""
        return self._earlier_s + time.perf_counter() - self._clock

    def close(self) -> None:
        """Frees what lives on the device."""
        self.loop.batches.close()
        self.loop.accelerator.free_memory()
        if self.loop.compiled:
            # A worker runs trial after trial, and torch compiles a class of model only so many times.
            torch.compiler.reset()

    def _say_what_was_decided(self) -> None:
        spec, loop = self.spec, self.loop
        if loop.accelerator.device.type == "cuda" or spec.train.compile == "on":
            self.note(why_compiled(spec.train, loop.accelerator.device))
        if len(self.watched) < len(self.validation):
            self.note(
                f"{len(self.watched)} of {len(self.validation)} validation patients are predicted after an epoch"
            )
        if loop.processes.count > 1:
            self._say_what_differs()

    def _say_what_differs(self) -> None:
        """Notes what is not as in one process."""
        if not getattr(self.loop.loss, "exact_across_processes", False):
            self.note(f"{self.spec.loss.name} is taken per process, not over the whole batch")
        alone = unsynchronised(self.loop.module)
        if alone:
            self.note(f"norms that each process keeps to itself: {', '.join(alone)}")
        if any(isinstance(part, _DropoutNd) and part.p > 0 for part in self.loop.module.modules()):
            self.note("dropout draws other masks than one process would")

    def _writer(self) -> AbstractContextManager[PredictionWriter | None]:
        if self.files.predictions is None or not self.loop.processes.first:
            return nullcontext()
        return PredictionWriter(self.files.predictions, self.spec.task, self.data.dataset, self.data.prepared)

    def _validate(self) -> Validation:
        task = self.spec.task
        rows, constant = self.evaluation.rows(self.watched, "validation", (task.selection_metric,))
        return Validation(selection_score(rows, task.selection_metric, task.empty_policy), constant)

    def _identity(self) -> str:
        return hashlib.sha256(self.spec.model_dump_json().encode()).hexdigest()

    def _save_is_due(self) -> bool:
        if not self.loop.processes.first:
            return False
        # A large network on a slow disk must not spend its time on checkpoints.
        every = self.files.checkpoint_every_s and max(
            self.files.checkpoint_every_s, LEAST_TIME_BETWEEN * self._saving_s
        )
        return time.monotonic() - self._saved > every

    def _save(self) -> None:
        self._account()
        started = time.monotonic()
        if self.loop.processes.first:
            save_state(self.loop.state() | {"trial": self._identity()}, self.files.checkpoint)
        self._saved = time.monotonic()
        self._saving_s = self._saved - started

    def _account(self) -> None:
        progress, readings = self.loop.progress, add_up(self._earlier, self._meter.readings())
        progress.peak_memory_mb = readings["peak_memory_mb"] or 0.0
        progress.energy_j = readings["energy_j"]
        progress.elapsed_s = self.elapsed_s
