"""From a model to case rows: predict slices, go back to the native grid, measure."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medseg.data import Case, Prepared
from medseg.metrics import METRICS, diagonal_mm, evaluate_case, unmeasured_case
from medseg.tasks import TaskSpec
from medseg.training.outcome import Row

Predict = Callable[[Tensor], Tensor]


class HasProbabilities(Protocol):
    """A loss that says how its logits become probabilities."""

    def probabilities(self, logits: Tensor) -> Tensor: ...


def predictor(model: nn.Module, loss: HasProbabilities) -> Predict:
    """Returns a function from images (B, C, H, W) to float32 probabilities (B, out_channels, H, W)."""

    def predict(images: Tensor) -> Tensor:
        return loss.probabilities(model(images)).float()

    return predict


def predict_cases(
    predict: Predict, prepared: Prepared, cases: Iterable[Case], device: torch.device, batch_size: int
) -> Iterator[tuple[Case, NDArray[np.uint8]]]:
    """Predicts cases as class indices on their native grids.

    Probabilities, not labels, are brought back to the native grid; the decision is the last step. Batches go on
    over cases, since an X-ray has one slice; a large volume is decided a batch of slices at a time.

    Yields:
        Each case with its class indices, the shape of its reference label.
    """
    waiting: list[tuple[Case, int, int]] = []
    found: dict[str, list[NDArray[np.uint8]]] = defaultdict(list)
    for case in cases:
        part = prepared.slices(case.id)
        for start in range(part.start, part.stop):
            waiting.append((case, start, start - part.start))
            if len(waiting) == batch_size:
                yield from _predicted(predict, prepared, waiting, found, device)
                waiting = []
    if waiting:
        yield from _predicted(predict, prepared, waiting, found, device)


def _predicted(
    predict: Predict,
    prepared: Prepared,
    slices: list[tuple[Case, int, int]],
    found: dict[str, list[NDArray[np.uint8]]],
    device: torch.device,
) -> Iterator[tuple[Case, NDArray[np.uint8]]]:
    """Predicts one batch of slices; yields the cases that it completes, and keeps what is found of the last."""
    images = prepared.images[[index for _, index, _ in slices]]
    with torch.inference_mode():
        probabilities = predict(torch.from_numpy(images).to(device).float()).cpu().numpy()
    for case, group in groupby(enumerate(slices), key=lambda item: item[1][0]):
        rows = list(group)
        first = rows[0][1][2]
        some = probabilities[[row for row, _ in rows]]
        found[case.id].append(decide(prepared.to_native(case.id, some, first)))
        if rows[-1][1][1] + 1 == prepared.slices(case.id).stop:
            yield case, np.concatenate(found.pop(case.id)).reshape(case.shape)


def decide(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Turns probabilities (C, *grid) into class indices: threshold 1/2 for one channel, else the largest."""
    if len(probabilities) == 1:
        return np.asarray(probabilities[0] >= 0.5, dtype=np.uint8)
    return np.asarray(probabilities.argmax(axis=0), dtype=np.uint8)


def evaluate_cases(
    predict: Predict,
    task: TaskSpec,
    prepared: Prepared,
    cases: Iterable[Case],
    part: str,
    metrics: Sequence[str],
    device: torch.device,
    batch_size: int = 32,
) -> Iterator[Row]:
    """Yields one row per case, label and metric. A case that cannot be measured becomes `failed` rows."""
    for case, prediction in predict_cases(predict, prepared, cases, device, batch_size):
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
            values = evaluate_case(reference, prediction, spacing, labels, metrics)
        except ValueError:
            values = unmeasured_case(labels, metrics, "failed")
        for value in values:
            spec = METRICS.load(value.metric)
            yield common | {
                "label": value.label,
                "metric": value.metric,
                "definition": value.definition,
                "value": value.value,
                "status": value.status,
                "unit": task.unit if spec.distance else "",
            }


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
