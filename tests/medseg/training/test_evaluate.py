import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from medseg.data import index_dataset, prepare, resolve_root
from medseg.metrics.calibration import CaseCalibration, ece, nll
from medseg.tasks import TASKS, PhantomSpec
from medseg.training import evaluate
from medseg.training.decide import decide
from medseg.training.evaluate import PredictionTimer, evaluate_cases

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


def test_the_time_of_predictions_is_told_without_that_of_metrics(data, monkeypatch):
    task, dataset, prepared = data
    now = [0.0]
    monkeypatch.setattr(evaluate.time, "perf_counter", lambda: now[0])

    def predict(images):
        now[0] += 3.0
        return predict_of(task)(images)

    def measure_case(*arguments):
        now[0] += 100.0
        return [], ""

    monkeypatch.setattr(evaluate, "measure_case", measure_case)
    timer, batch = PredictionTimer(), len(prepared.labels)
    found = evaluate_cases(predict, task, prepared, dataset.cases, "test", (), CPU, batch, timer=timer)
    assert len(list(found)) == timer.cases == len(dataset.cases)
    assert timer.seconds == 3.0


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
    measured = next(m for m in found if m.case.id == target.id)
    assert np.isnan(measured.rows[0]["value"])
    assert measured.prediction is None
    assert measured.constant
    assert measured.problem == "probabilities must be numbers, got NaN or infinity"


def only_of(data, change):
    """Evaluates with `change` put upon the probabilities of the second case; returns that case and the others."""
    task, dataset, prepared = data
    target = dataset.cases[1]
    images = torch.from_numpy(np.array(prepared.images[prepared.slices(target.id)])).float()

    def changed(batch):
        probabilities = predict_of(task)(batch)
        if any(torch.equal(image, images[0]) for image in batch):
            probabilities = change(probabilities)
        return probabilities

    def evaluated(metrics, **more):
        cases = [dataset.cases[0], target]
        found = evaluate_cases(changed, task, prepared, cases, "test", metrics, CPU, 1, **more)
        first, second = found
        return second, first

    return evaluated


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda p: torch.cat([p, p], 1), r"probabilities must have \d channels, got shape \(1, "),
        (lambda p: p[..., :-2], r"probabilities of '.*' must have shape \(1, C, 64, 64\), got "),
        (lambda p: p[0], r"probabilities of '.*' must have shape \(1, C, 64, 64\), got "),
        (lambda p: p / 0, "must be numbers, got NaN or infinity"),
        (lambda p: p[:0], "do not fill shape|must have shape"),
    ],
)
def test_probabilities_that_are_none_fail_one_case(data, change, problem):
    failed, other = only_of(data, change)(("dice", "hd"), calibrate=True)
    assert {row["status"] for row in failed.rows} == {"failed"}
    assert (failed.prediction, failed.calibration) == (None, None)
    assert re.search(problem, failed.problem)
    assert (other.problem, {row["status"] for row in other.rows} & {"failed"}) == ("", set())


def test_what_lies_beyond_0_and_1_can_be_measured_but_not_calibrated(data):
    evaluated = only_of(data, lambda p: 3 * p - 1)
    measured, _ = evaluated(("dice",), calibrate=True)
    assert {row["status"] for row in measured.rows} != {"failed"}
    assert measured.prediction is not None
    assert measured.calibration is None
    assert "must lie in 0..1, got values -" in measured.problem
    part, other = evaluated(("ece", "dice", "nll"))
    assert {row["metric"] for row in part.rows if row["status"] == "failed"} == {"ece", "nll"}
    assert [row for row in part.rows if row["metric"] == "dice"] == measured.rows
    assert [row["metric"] for row in part.rows] == [row["metric"] for row in other.rows]
    assert part.problem == measured.problem
    assert "failed" not in {row["status"] for row in other.rows}


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
def test_calibration_is_that_of_the_native_grid(data, batch_size):
    task, dataset, prepared = data
    predict = predict_of(task)
    metrics = ("ece", "brier_foreground", "nll")
    for measured in evaluate_cases(predict, task, prepared, dataset.cases, "test", metrics, CPU, batch_size):
        case = measured.case
        images = torch.from_numpy(np.array(prepared.images[prepared.slices(case.id)])).float()
        native, reference = prepared.to_native(case.id, predict(images).numpy()), prepared.reference(case.id)
        wanted = CaseCalibration.of(native, reference, decide(native))
        np.testing.assert_array_equal(measured.calibration.counts, wanted.counts)
        np.testing.assert_allclose(measured.calibration.probability, wanted.probability, rtol=1e-12)
        values = {(row["label"], row["metric"]): row["value"] for row in measured.rows}
        assert values["all", "nll"] == pytest.approx(nll(wanted), rel=1e-12)
        for index, label in enumerate(task.labels, start=1):
            assert values[label, "ece"] == pytest.approx(ece(wanted, index), rel=1e-9)


def test_calibration_is_measured_where_it_is_asked_for_only(data):
    task, dataset, prepared = data
    for metrics, calibrate, wanted in (
        (("dice",), False, False),
        (("dice",), True, True),
        (("nll",), False, True),
    ):
        found = evaluate_cases(
            predict_of(task), task, prepared, dataset.cases[:2], "test", metrics, CPU, calibrate=calibrate
        )
        assert [measured.calibration is not None for measured in found] == [wanted, wanted]


def test_rows_say_phase_unit_and_tolerance(data):
    task, dataset, prepared = data
    metrics = ["dice", "hd", "nsd", "rvd", *(["volume_ml"] if task.unit == "mm" else [])]
    tolerance = dict.fromkeys(task.labels, 2.0) | {next(iter(task.labels)): 3.5}
    declared = task.model_copy(update={"tolerance_mm": tolerance})
    for measured in evaluate_cases(predict_of(task), declared, prepared, dataset.cases, "test", metrics, CPU):
        units = {row["metric"]: row["unit"] for row in measured.rows}
        wanted = {"dice": "", "hd": task.unit, "nsd": "", "rvd": "", "volume_ml": "mL"}
        assert units == {name: wanted[name] for name in metrics}
        assert {row["phase"] for row in measured.rows} == {measured.case.phase}
        for row in measured.rows:
            if row["metric"] == "nsd":
                assert f"tau={tolerance[row['label']]:g}/" in row["definition"]
    assert {case.phase for case in dataset.cases} == ({"ED", "ES"} if task.unit == "mm" else {""})


def test_a_failed_case_keeps_its_definitions(data):
    task, dataset, prepared = data
    declared = task.model_copy(update={"tolerance_mm": 2.0})

    def broken(images):
        return torch.full((len(images), task.out_channels, *images.shape[2:]), torch.nan)

    (failed,) = evaluate_cases(broken, declared, prepared, dataset.cases[:1], "test", ("nsd", "nll"), CPU)
    (measured,) = evaluate_cases(
        predict_of(task), declared, prepared, dataset.cases[:1], "test", ("nsd", "nll"), CPU
    )
    same = ("case", "phase", "label", "metric", "definition", "unit", "diagonal")
    assert [[row[key] for key in same] for row in failed.rows] == [
        [row[key] for key in same] for row in measured.rows
    ]
    assert {row["status"] for row in failed.rows} == {"failed"}
