"""From a model to case rows: predict slices, go back to the native grid, measure."""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from threading import Lock
from typing import Any, ParamSpec, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medseg.data import Case, Prepared
from medseg.metrics import METRICS, MetricValue, diagonal_mm, unmeasured_case
from medseg.metrics.reliability import CaseCalibration
from medseg.tasks import TaskSpec
from medseg.training.decide import Decided, decide_slices, join
from medseg.training.measure import measure_case
from medseg.training.outcome import Row

Predict = Callable[[Tensor], Tensor]
Images = NDArray[np.float16]
Floats = NDArray[np.float32]
P = ParamSpec("P")
R = TypeVar("R")
# Cases that may wait for the host before the GPU waits for it.
MOST_WAITING = 16


class HasProbabilities(Protocol):
    """A loss that says how its logits become probabilities."""

    def probabilities(self, logits: Tensor) -> Tensor: ...


def predictor(model: nn.Module, loss: HasProbabilities) -> Predict:
    """Returns a function from images (B, C, H, W) to float32 probabilities (B, out_channels, H, W)."""

    def predict(images: Tensor) -> Tensor:
        return loss.probabilities(model(images)).float()

    return predict


@dataclass(frozen=True)
class Measured:
    """A case that was predicted and measured.

    Args:
        case: The case.
        prediction: Class indices on its native grid, uint8; none where its probabilities are not any.
        rows: One per label and metric.
        calibration: What the probabilities said, where that was asked for.
        problem: Why values or calibration are lacking; empty if nothing is wrong.
    """

    case: Case
    prediction: NDArray[np.uint8] | None
    rows: list[Row]
    calibration: CaseCalibration | None = None
    problem: str = ""

    @property
    def constant(self) -> bool:
        """Whether the whole case was predicted as one class, or as none."""
        return self.prediction is None or bool(self.prediction.min() == self.prediction.max())


class PredictionTimer:
    """Adds up what it takes to predict cases: the network, and the way back to the native grid; no metrics."""

    def __init__(self) -> None:
        self.seconds, self.cases = 0.0, 0
        self._lock = Lock()

    def of(self, function: Callable[P, R]) -> Callable[P, R]:
        """Returns a function that does the same, timed; threads may call it at once."""

        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                with self._lock:
                    self.seconds += time.perf_counter() - began

        return timed


def evaluate_cases(
    predict: Predict,
    task: TaskSpec,
    prepared: Prepared,
    cases: Iterable[Case],
    part: str,
    metrics: Sequence[str],
    device: torch.device,
    batch_size: int = 32,
    calibrate: bool = False,
    timer: "PredictionTimer | None" = None,
) -> Iterator[Measured]:
    """Predicts and measures cases, in their order. A case that cannot be measured, or was predicted as NaN,
    has `failed` rows; if only its calibration cannot be, only those rows are.

    Probabilities, not labels, are brought back to the native grid; the decision is the last step. Batches go on
    over cases, since an X-ray has one slice; a large volume is decided a batch of slices at a time. Beside a GPU,
    threads do what is left to the host while the next batch is predicted. Calibration is measured if a metric
    needs it, or if `calibrate` says so. `timer` is told what predictions take.
    """
    timer = timer or PredictionTimer()
    calibrate = calibrate or any(METRICS.load(name).needs_probabilities for name in metrics)

    def measure(case: Case, chunks: list[Future[Decided]]) -> Measured:
        whole = join(case, [chunk.result() for chunk in chunks])
        values, problem = _values(task, prepared, case, whole, metrics)
        rows = _rows(task, prepared, case, part, values)
        return Measured(case, whole.labels, rows, whole.calibration, problem)

    with _executor(device) as executor:
        chunks: dict[str, list[Future[Decided]]] = defaultdict(list)
        waiting: deque[Future[Measured]] = deque()
        there, decide = timer.of(_on_device(predict, device)), timer.of(decide_slices)
        predicted = _predicted(there, prepared, cases, batch_size)
        for case, first, probabilities, last in predicted:
            decided = executor.submit(decide, task, prepared, case.id, probabilities, first, calibrate)
            chunks[case.id].append(decided)
            timer.cases += last
            if last:
                waiting.append(executor.submit(measure, case, chunks.pop(case.id)))
            while waiting and (waiting[0].done() or len(waiting) > MOST_WAITING):
                yield waiting.popleft().result()
        for measured in waiting:
            yield measured.result()


def _on_device(predict: Predict, device: torch.device) -> Callable[[Images], Floats]:
    """Returns the same prediction from arrays to arrays; when it returns the device is done."""

    def arrays(images: Images) -> Floats:
        with torch.inference_mode():
            found: Floats = predict(torch.from_numpy(images).to(device).float()).cpu().numpy()
        return found

    return arrays


def _predicted(
    predict: Callable[[Images], Floats], prepared: Prepared, cases: Iterable[Case], batch_size: int
) -> Iterator[tuple[Case, int, NDArray[np.float32], bool]]:
    """Yields a case, its first slice in this batch, the probabilities of some slices, and whether that was all."""
    slices: list[tuple[Case, int]] = []
    for case in cases:
        part = prepared.slices(case.id)
        slices += [(case, index) for index in range(part.start, part.stop)]
    for start in range(0, len(slices), batch_size):
        batch = slices[start : start + batch_size]
        images = prepared.images[[index for _, index in batch]]
        probabilities = predict(images)
        for _, group in groupby(enumerate(batch), key=lambda item: item[1][0].id):
            rows = list(group)
            case, first = rows[0][1]
            part = prepared.slices(case.id)
            some = probabilities[rows[0][0] : rows[-1][0] + 1]
            yield case, first - part.start, some, rows[-1][1][1] + 1 == part.stop


class _AtOnce(Executor):
    """Does what it is given in the calling thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


def _executor(device: torch.device) -> Executor:
    return ThreadPoolExecutor(max(1, torch.get_num_threads())) if device.type == "cuda" else _AtOnce()


def _values(
    task: TaskSpec, prepared: Prepared, case: Case, found: Decided, metrics: Sequence[str]
) -> tuple[list[MetricValue], str]:
    """Returns the values of a case, and what is wrong with it."""
    labels, tolerances = tuple(task.labels), task.tolerances()
    if found.labels is None:
        return unmeasured_case(labels, metrics, "failed", tolerance_mm=tolerances), found.problem
    maps = prepared.reference(case.id), found.labels, prepared.spacing_mm(case.id)
    values, problem = measure_case(*maps, labels, metrics, tolerances, found.calibration)
    # Why there is no calibration says more than that a metric needs one.
    return values, found.problem or problem


def _rows(
    task: TaskSpec, prepared: Prepared, case: Case, part: str, values: Iterable[MetricValue]
) -> list[Row]:
    common: Row = {
        "part": part,
        "case": case.id,
        "patient": case.patient,
        "subgroup": case.subgroup,
        "phase": case.phase,
        "diagonal": diagonal_mm(case.shape, prepared.spacing_mm(case.id)),
    }
    return [
        common
        | {
            "label": value.label,
            "metric": value.metric,
            "definition": value.definition,
            "value": value.value,
            "status": value.status,
            "unit": METRICS.load(value.metric).unit(task.unit),
        }
        for value in values
    ]
