"""From a model to case rows: predict slices, go back to the native grid, measure."""

import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medseg.data import Case, Prepared
from medseg.metrics import METRICS, diagonal_mm, evaluate_case, unmeasured_case
from medseg.tasks import TaskSpec
from medseg.training.outcome import Row

Predict = Callable[[Tensor], Tensor]
Decided = tuple[NDArray[np.uint8], bool]
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
        prediction: Class indices on its native grid, uint8.
        rows: One per label and metric.
    """

    case: Case
    prediction: NDArray[np.uint8]
    rows: list[Row]

    @property
    def constant(self) -> bool:
        """Whether the whole case was predicted as one class."""
        return bool(self.prediction.min() == self.prediction.max())


def evaluate_cases(
    predict: Predict,
    task: TaskSpec,
    prepared: Prepared,
    cases: Iterable[Case],
    part: str,
    metrics: Sequence[str],
    device: torch.device,
    batch_size: int = 32,
) -> Iterator[Measured]:
    """Predicts and measures cases, in their order. A case that cannot be measured, or was predicted as NaN,
    has `failed` rows.

    Probabilities, not labels, are brought back to the native grid; the decision is the last step. Batches go on
    over cases, since an X-ray has one slice; a large volume is decided a batch of slices at a time. Beside a GPU,
    threads do what is left to the host while the next batch is predicted.
    """

    def measure(case: Case, chunks: list[Future[Decided]]) -> Measured:
        decided = [chunk.result() for chunk in chunks]
        prediction = np.concatenate([labels for labels, _ in decided]).reshape(case.shape)
        finite = all(finite for _, finite in decided)
        return Measured(case, prediction, _rows(task, prepared, case, prediction, part, metrics, finite))

    with _executor(device) as executor:
        chunks: dict[str, list[Future[Decided]]] = defaultdict(list)
        waiting: deque[Future[Measured]] = deque()
        for case, first, probabilities, last in _predicted(predict, prepared, cases, device, batch_size):
            chunks[case.id].append(executor.submit(_decided, prepared, case.id, probabilities, first))
            if last:
                waiting.append(executor.submit(measure, case, chunks.pop(case.id)))
            while waiting and (waiting[0].done() or len(waiting) > MOST_WAITING):
                yield waiting.popleft().result()
        for measured in waiting:
            yield measured.result()


def _predicted(
    predict: Predict, prepared: Prepared, cases: Iterable[Case], device: torch.device, batch_size: int
) -> Iterator[tuple[Case, int, NDArray[np.float32], bool]]:
    """Yields a case, its first slice in this batch, the probabilities of some slices, and whether that was all."""
    slices: list[tuple[Case, int]] = []
    for case in cases:
        part = prepared.slices(case.id)
        slices += [(case, index) for index in range(part.start, part.stop)]
    for start in range(0, len(slices), batch_size):
        batch = slices[start : start + batch_size]
        images = prepared.images[[index for _, index in batch]]
        with torch.inference_mode():
            probabilities = predict(torch.from_numpy(images).to(device).float()).cpu().numpy()
        for _, group in groupby(enumerate(batch), key=lambda item: item[1][0].id):
            rows = list(group)
            case, first = rows[0][1]
            part = prepared.slices(case.id)
            some = probabilities[rows[0][0] : rows[-1][0] + 1]
            yield case, first - part.start, some, rows[-1][1][1] + 1 == part.stop


def _decided(prepared: Prepared, case_id: str, probabilities: NDArray[np.float32], first: int) -> Decided:
    """Returns class indices of some slices, and whether all probabilities are finite."""
    native = prepared.to_native(case_id, probabilities, first)
    return decide(native), bool(np.isfinite(probabilities).all())


class _AtOnce(Executor):
    """Does what it is given in the calling thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


def _executor(device: torch.device) -> Executor:
    return ThreadPoolExecutor(max(1, torch.get_num_threads())) if device.type == "cuda" else _AtOnce()


def decide(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Turns probabilities (C, *grid) into class indices: threshold 1/2 for one channel, else the largest."""
    if len(probabilities) == 1:
        return np.asarray(probabilities[0] >= 0.5, dtype=np.uint8)
    return np.asarray(probabilities.argmax(axis=0), dtype=np.uint8)


def _rows(
    task: TaskSpec,
    prepared: Prepared,
    case: Case,
    prediction: NDArray[np.uint8],
    part: str,
    metrics: Sequence[str],
    finite: bool,
) -> list[Row]:
    reference = prepared.reference(case.id)
    spacing = prepared.spacing_mm(case.id)
    common: Row = {
        "part": part,
        "case": case.id,
        "patient": case.patient,
        "subgroup": case.subgroup,
        "diagonal": diagonal_mm(reference.shape, spacing),
    }
    labels = tuple(task.labels)
    try:
        # NaN would be decided as background, which is no prediction.
        values = evaluate_case(reference, prediction, spacing, labels, metrics) if finite else None
    except ValueError:
        values = None
    if values is None:
        values = unmeasured_case(labels, metrics, "failed")
    return [
        common
        | {
            "label": value.label,
            "metric": value.metric,
            "definition": value.definition,
            "value": value.value,
            "status": value.status,
            "unit": task.unit if METRICS.load(value.metric).distance else "",
        }
        for value in values
    ]


def selection_score(rows: Iterable[Row], metric: str) -> float:
    """Averages one metric over cases, then patients, then labels, so that higher is better.

    A label absent from reference and prediction is left out; an infinite distance counts the image's diagonal.

    Returns:
        The score (negated where lower is better), or -inf where no value exists.
    """
    higher = METRICS.load(metric).higher_is_better
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["metric"] == metric and not math.isnan(row["value"]):
            value = row["diagonal"] if math.isinf(row["value"]) else row["value"]
            values[row["label"]][row["patient"]].append(value)
    if not values:
        return -math.inf
    score = float(np.mean([np.mean([np.mean(v) for v in by.values()]) for by in values.values()]))
    return score if higher else -score
