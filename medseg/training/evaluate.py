"""From a model to case rows: predict slices, go back to the native grid, measure."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
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


def predict_case(
    predict: Predict, prepared: Prepared, case_id: str, device: torch.device, batch_size: int
) -> NDArray[np.uint8]:
    """Predicts one case as class indices on its native grid.

    Probabilities, not labels, are brought back to the native grid; the decision is the last step.

    Returns:
        Class indices, the shape of the case's reference label.
    """
    images = prepared.images[prepared.slices(case_id)]
    parts = []
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            batch = torch.from_numpy(np.array(images[start : start + batch_size])).to(device)
            parts.append(predict(batch.float()).cpu().numpy())
    return decide(prepared.to_native(case_id, np.concatenate(parts)))


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
    for case in cases:
        reference = prepared.reference(case.id)
        spacing = prepared.spacing_mm(case.id)
        prediction = predict_case(predict, prepared, case.id, device, batch_size)
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
