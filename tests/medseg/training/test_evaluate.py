from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from medseg.data import index_dataset, prepare, resolve_root
from medseg.tasks import TASKS, PhantomSpec
from medseg.training import evaluate
from medseg.training.evaluate import decide, evaluate_cases

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["phantom-cardiac", "phantom-lung"])
def data(request, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    base = TASKS.load(request.param)
    task = base.model_copy(update={"image_size": (64, 64), "phantom": PhantomSpec(patients=5, seed=3)})
    dataset = index_dataset(task, resolve_root(task, {}, cache), cache)
    return task, dataset, prepare(task, dataset, cache)


def predict_of(task):
    """A function of each pixel alone, so that every batching must give the same."""
    thresholds = torch.linspace(-1, 1, task.out_channels)[None, :, None, None]
    if task.out_channels == 1:
        return lambda images: torch.sigmoid(images - thresholds)
    return lambda images: torch.softmax(-(images - thresholds).abs(), dim=1)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 1000])
def test_batches_go_over_cases_and_change_nothing(data, batch_size):
    task, dataset, prepared = data
    predict = predict_of(task)
    found = list(evaluate_cases(predict, task, prepared, dataset.cases, "test", (), CPU, batch_size))
    assert [measured.case.id for measured in found] == [case.id for case in dataset.cases]
    for case, labels in ((measured.case, measured.prediction) for measured in found):
        images = torch.from_numpy(np.array(prepared.images[prepared.slices(case.id)])).float()
        wanted = decide(prepared.to_native(case.id, predict(images).numpy()))
        assert labels.shape == case.shape
        np.testing.assert_array_equal(labels, wanted)


def test_batches_are_full(data):
    task, dataset, prepared = data
    sizes = []

    def watched(images):
        sizes.append(len(images))
        return predict_of(task)(images)

    list(evaluate_cases(watched, task, prepared, dataset.cases, "test", (), CPU, 4))
    total = len(prepared.labels)
    assert sizes == [4] * (total // 4) + [total % 4] * (total % 4 > 0)


def test_what_the_network_could_do_best_scores_high(data):
    task, dataset, prepared = data
    order = iter(torch.from_numpy(prepared.labels.astype(np.int64)))

    def perfect(images):
        labels = torch.stack([next(order) for _ in images])
        if task.out_channels == 1:
            return labels[:, None].float()
        return torch.nn.functional.one_hot(labels, task.out_channels).permute(0, 3, 1, 2).float()

    found = list(evaluate_cases(perfect, task, prepared, dataset.cases, "test", ("dice",), CPU, batch_size=5))
    rows = [row for measured in found for row in measured.rows]
    assert not any(measured.constant for measured in found)
    assert len(rows) == len(dataset.cases) * len(task.labels)
    assert np.mean([row["value"] for row in rows]) > 0.93


def test_threads_beside_a_gpu_change_nothing(data, monkeypatch):
    task, dataset, prepared = data
    predict = predict_of(task)

    def rows():
        found = evaluate_cases(predict, task, prepared, dataset.cases, "test", ("dice", "hd"), CPU, 3)
        return [repr(row) for measured in found for row in measured.rows]

    alone = rows()
    monkeypatch.setattr(evaluate, "_executor", lambda device: ThreadPoolExecutor(3))
    assert rows() == alone


def test_a_case_of_one_class_is_constant(data):
    task, dataset, prepared = data

    def background(images):
        probabilities = torch.zeros(len(images), task.out_channels, *images.shape[2:])
        probabilities[:, 0] = float(task.out_channels > 1)
        return probabilities

    found = list(evaluate_cases(background, task, prepared, dataset.cases, "test", ("dice",), CPU))
    assert all(measured.constant for measured in found)


def test_a_case_predicted_as_nan_has_failed(data):
    task, dataset, prepared = data
    target = dataset.cases[1]

    def broken(images):
        probabilities = predict_of(task)(images)
        start = prepared.slices(target.id).start
        first = torch.from_numpy(np.array(prepared.images[start])).float()
        for number, image in enumerate(images):
            if torch.equal(image, first):
                probabilities[number, :, 0, 0] = torch.nan
        return probabilities

    found = list(evaluate_cases(broken, task, prepared, dataset.cases, "test", ("dice", "hd"), CPU, 3))
    failed = {m.case.id for m in found if any(row["status"] == "failed" for row in m.rows)}
    assert failed == {target.id}
    row = next(m for m in found if m.case.id == target.id).rows[0]
    assert np.isnan(row["value"])
