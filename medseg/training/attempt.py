"""One go at a trial: built, continued from its checkpoint, trained, evaluated."""

import logging
import math
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any

import torch

from medseg.data import Case
from medseg.losses import build_loss, resolve_options
from medseg.models import build_model
from medseg.training.checkpoint import load_state, save_state, save_weights
from medseg.training.config import TrialSpec
from medseg.training.evaluate import Predict, evaluate_cases, predictor, selection_score
from medseg.training.infer import mirrored, windowed
from medseg.training.loop import Loop
from medseg.training.monitor import Meter
from medseg.training.outcome import Epoch, InterruptedTrialError, Row, Status, TrialResult, Validation
from medseg.training.placement import why_compiled
from medseg.training.predictions import PredictionWriter
from medseg.training.processes import make_accelerator
from medseg.training.records import summarise
from medseg.training.sampling import INITIAL_WEIGHTS, derive_seed
from medseg.training.subset import validation_subset
from medseg.training.trial_data import TrialData, TrialFiles, class_counts

log = logging.getLogger(__name__)


class Attempt:
    """One go at a trial.

    Args:
        spec: The trial.
        data: Its task's data.
        files: Where checkpoint and weights go.
        use_cpu: Stay on the CPU although a GPU is there.
        most_at_once: Largest micro-batch that may be tried; none: what the settings say.
    """

    def __init__(
        self,
        spec: TrialSpec,
        data: TrialData,
        files: TrialFiles,
        use_cpu: bool = False,
        most_at_once: int | None = None,
    ):
        self.spec, self.data, self.files = spec, data, files
        self._started, self._clock = datetime.now(UTC), time.perf_counter()
        self._saved = time.monotonic()
        task = spec.task
        train, self.validation, self.test = data.split.patients(spec.fold)
        accelerator = make_accelerator(spec.train.precision, use_cpu)
        self._meter = Meter(accelerator.device)
        torch.manual_seed(derive_seed(spec.seed, INITIAL_WEIGHTS))
        model = build_model(spec.model, task.channels, task.out_channels, spec.network_size)
        slices = data.slices(train)
        balanced = resolve_options(spec.loss).get("weights") == "balanced"
        frequencies = class_counts(data.prepared, slices) if balanced else None
        loss = build_loss(spec.loss, task.out_channels, frequencies)
        self.loop = Loop(
            spec, model, loss, data.prepared, slices, self._validate, accelerator, self._save_if_due
        )
        most = round(spec.train.validation_share * spec.train.steps_per_epoch * spec.train.batch_size)
        counts = {patient: len(data.slices((patient,))) for patient in self.validation}
        self.watched = validation_subset(self.validation, counts, most, spec.fold)
        earlier = load_state(files.checkpoint)
        if earlier is not None:
            self.loop.restore(earlier)
        progress = self.loop.progress
        if most_at_once is not None:
            progress.micro_batch = min(progress.micro_batch, most_at_once)
        self._earlier_s, self._earlier_j = progress.wall_s, progress.energy_j
        self._say_what_was_decided()

    def note(self, text: str) -> None:
        """Says what was decided or what happened, once: in the log and in the trial's row."""
        if text not in self.loop.progress.notes:
            log.info(text)
            self.loop.progress.notes.append(text)

    def train(self, should_stop: Callable[[], bool]) -> Generator[Epoch, None, None]:
        """Trains what is left. A stop or a limit of time leaves the last state on the disk."""
        try:
            for epoch in self.loop.epochs(should_stop):
                self._account()
                if time.monotonic() - self._saved > self.files.checkpoint_every_s:
                    self._save()
                yield epoch
        except (InterruptedTrialError, TimeoutError):
            self._save()
            raise

    def evaluate(self) -> TrialResult:
        """Evaluates the weights that validation chose, keeps them, and returns the complete trial."""
        loop, task, train = self.loop, self.spec.task, self.spec.train
        loop.load_weights(loop.best_weights)
        loop.model.eval()
        predict = self._predict(task.flips if train.mirror_tta else ())
        alone = self.files.predictions is not None
        with self._writer() as writer:
            cases, _ = self._rows(predict, self.validation, "validation", task.metrics, writer, alone)
            value = selection_score(cases, task.selection_metric)
            if self.spec.phase == "final":
                cases += self._rows(predict, self.test, "test", task.metrics, writer, alone)[0]
            if writer is not None:
                writer.commit(self.spec.model_dump(mode="json", exclude={"task"}))
        if self.files.weights is not None and loop.processes.first:
            save_weights(loop.best_weights, self.files.weights)
        return self.result("complete", value=value, cases=cases)

    def result(
        self, status: Status, detail: str = "", value: float = math.nan, cases: Sequence[Row] = ()
    ) -> TrialResult:
        """Returns what the trial leaves as it stands."""
        self._account()
        wall_s = self._earlier_s + time.perf_counter() - self._clock
        summary = summarise(self.loop, value, self._started, wall_s)
        return TrialResult(status, detail, summary, list(cases), list(self.loop.progress.curves))

    def close(self) -> None:
        """Frees what lives on the device."""
        self.loop.batches.close()
        self.loop.accelerator.free_memory()

    def _say_what_was_decided(self) -> None:
        spec, loop = self.spec, self.loop
        if loop.accelerator.device.type == "cuda" or spec.train.compile == "on":
            self.note(why_compiled(spec.train, loop.accelerator.device))
        if len(self.watched) < len(self.validation):
            self.note(
                f"{len(self.watched)} of {len(self.validation)} validation patients are predicted after an epoch"
            )
        if loop.processes.count > 1 and not getattr(loop.loss, "exact_across_processes", False):
            self.note(f"{spec.loss.name} is taken per process, not over the whole batch")

    def _writer(self) -> AbstractContextManager[PredictionWriter | None]:
        if self.files.predictions is None or not self.loop.processes.first:
            return nullcontext()
        return PredictionWriter(self.files.predictions, self.spec.task, self.data.dataset, self.data.prepared)

    def _validate(self) -> Validation:
        metric = self.spec.task.selection_metric
        rows, constant = self._rows(self._predict(()), self.watched, "validation", (metric,))
        return Validation(selection_score(rows, metric), constant)

    def _predict(self, flips: Sequence[str]) -> Predict:
        """Returns the prediction of whole images by the weights that the model holds."""
        predict = mirrored(predictor(self.loop.model, self.loop.loss), flips)  # type: ignore[arg-type]
        patch = self.spec.train.patch_size
        if patch is None or patch == self.spec.task.image_size:
            return predict
        return windowed(predict, patch, self.spec.train.window_overlap, self._at_once)

    @property
    def _at_once(self) -> int:
        # Without gradients twice as many fit wherever one training step did.
        return 2 * self.loop.progress.micro_batch

    def _rows(
        self,
        predict: Predict,
        patients: Sequence[str],
        part: str,
        metrics: Sequence[str],
        writer: PredictionWriter | None = None,
        alone: bool = False,
    ) -> tuple[list[Row], bool]:
        """Returns the rows of these patients' cases, and whether each case was predicted as one class.

        The processes share the cases out, unless the first one does it alone since it has the writer.
        """
        loop, wanted = self.loop, set(patients)
        cases: list[Case] = [case for case in self.data.dataset.cases if case.patient in wanted]
        mine = (cases if loop.processes.first else []) if alone else loop.processes.share(cases)
        found: list[tuple[str, list[Row], bool]] = []
        for measured in evaluate_cases(
            predict,
            self.spec.task,
            self.data.prepared,
            mine,
            part,
            metrics,
            loop.accelerator.device,
            self._at_once,
        ):
            if writer is not None:
                writer.write(measured.case, measured.prediction, part)
            found.append((measured.case.id, measured.rows, measured.constant))
        by_case = {case: (rows, constant) for case, rows, constant in loop.processes.gather(found)}
        ordered = [by_case[case.id] for case in cases]
        return [row for rows, _ in ordered for row in rows], all(constant for _, constant in ordered)

    def _save_if_due(self) -> None:
        # Several processes would have to meet for it; they save between epochs.
        if self.loop.processes.count > 1:
            return
        if time.monotonic() - self._saved > self.files.checkpoint_every_s:
            self.loop.flush()
            self._save()

    def _save(self) -> None:
        self._account()
        if self.loop.processes.first:
            save_state(self.loop.state(), self.files.checkpoint)
        self._saved = time.monotonic()

    def _account(self) -> None:
        progress, readings = self.loop.progress, self._meter.readings()
        progress.peak_memory_mb = max(progress.peak_memory_mb, readings["peak_memory_mb"] or 0.0)
        energy: Any = readings["energy_j"]
        if energy is not None:
            progress.energy_j = (self._earlier_j or 0.0) + energy
