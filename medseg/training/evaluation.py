"""Predicts and measures the cases of some patients with the weights that a training holds."""

import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from medseg.components import one_line
from medseg.data import Case
from medseg.errors import MedsegError
from medseg.training.agree import agree, wish_to_end
from medseg.training.evaluate import Predict, PredictionTimer, evaluate_cases, predictor
from medseg.training.infer import mirrored, windowed
from medseg.training.loop import Loop
from medseg.training.outcome import PredictionMemoryError, Row, is_out_of_memory
from medseg.training.predictions import PredictionWriter
from medseg.training.trial_data import TrialData

log = logging.getLogger(__name__)


class Evaluation:
    """Predicts as many slices at a time as fit, shared among the processes of a trial.

    Args:
        loop: Holds the network, its loss and the processes.
        data: The task's data.
        note: Told what happens, in words.
    """

    def __init__(self, loop: Loop, data: TrialData, note: Callable[[str], None]):
        self._loop, self._data, self._note = loop, data, note
        # Without gradients twice as many slices fit wherever one training step did.
        self._batch = self._at_once = 2 * loop.progress.micro_batch
        self.should_stop: Callable[[], bool] = lambda: False
        """Asked after every case."""
        self.case_s: float | None = None
        """Mean seconds to predict a case when rows were last made; of this process where several share them."""

    def rows(
        self,
        patients: Sequence[str],
        part: str,
        metrics: Sequence[str],
        flips: Sequence[str] = (),
        writer: PredictionWriter | None = None,
        alone: bool = False,
    ) -> tuple[list[Row], bool]:
        """Returns the rows of these patients' cases, and whether each case was predicted as one class.

        Args:
            patients: Whose cases.
            part: "validation" or "test".
            metrics: What is measured.
            flips: Axes along which predictions are mirrored and averaged.
            writer: Keeps the predictions, and what the probabilities said.
            alone: The first process does it all, since it has the writer; else they share the cases out.

        Raises:
            InterruptedTrialError: If `should_stop` says so.
            PredictionMemoryError: If a single slice does not fit.
        """
        loop, wanted = self._loop, set(patients)
        cases: list[Case] = [case for case in self._data.dataset.cases if case.patient in wanted]
        mine = (cases if loop.processes.first else []) if alone else loop.processes.share(cases)
        found: list[tuple[str, list[Row], bool]] = []
        problems: list[str] = []
        wish: MedsegError | None = None
        timer = PredictionTimer()
        for measured in evaluate_cases(
            self._predict(flips),
            loop.spec.task,
            self._data.prepared,
            mine,
            part,
            metrics,
            loop.accelerator.device,
            self._batch,
            calibrate=writer is not None,
            timer=timer,
        ):
            if writer is not None and measured.prediction is not None:
                writer.write(measured.case, measured.prediction, part, measured.calibration)
            found.append((measured.case.id, measured.rows, measured.constant))
            if measured.problem:
                problems.append(f"{measured.case.id}: {measured.problem}")
            wish = wish_to_end(self.should_stop, "stopped in an evaluation, checkpoint saved")
            if wish is not None:
                break
        agree(loop.processes, wish)
        self.case_s = timer.seconds / timer.cases if timer.cases else None
        if problems:
            log.warning(
                "%d of %d %s cases could not be measured in full, first %s",
                len(problems),
                len(mine),
                part,
                problems[0],
            )
        by_case = {case: (rows, constant) for case, rows, constant in loop.processes.gather(found)}
        ordered = [by_case[case.id] for case in cases]
        return [row for rows, _ in ordered for row in rows], all(constant for _, constant in ordered)

    def _predict(self, flips: Sequence[str]) -> Predict:
        """Returns the prediction of whole images by the weights that the model holds."""
        spec = self._loop.spec
        single = self._as_many_as_fit(predictor(self._loop.module, self._loop.loss))  # type: ignore[arg-type]
        predict = mirrored(single, flips)
        if spec.network_size == spec.task.image_size:
            return predict
        return windowed(predict, spec.network_size, spec.train.window_overlap, self._batch)

    def _as_many_as_fit(self, predict: Predict) -> Predict:
        """Predicts fewer slices at a time once memory runs out; training is not affected."""

        def some(images: Tensor) -> Tensor:
            while True:
                try:
                    parts = [predict(part) for part in torch.split(images, self._at_once)]
                    return parts[0] if len(parts) == 1 else torch.cat(parts)
                except (MemoryError, RuntimeError) as error:
                    if not is_out_of_memory(error):
                        raise
                    if self._at_once == 1:
                        raise PredictionMemoryError(
                            f"predicting a single slice does not fit: {one_line(error)}"[:500]
                        ) from error
                self._at_once = min(self._at_once, len(images)) // 2 or 1
                self._note(f"out of memory in prediction: goes on with {_slices(self._at_once)} at once")

        return some


def _slices(count: int) -> str:
    return "1 slice" if count == 1 else f"{count} slices"
