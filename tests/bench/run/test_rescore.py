"""Kept predictions measured again. Nothing is trained: trials are written as a run writes them."""

import json
import math
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bench.errors import BenchError, DataMissingError, ResultsError
from bench.results.compaction import compact
from bench.results.lock import RunLock
from bench.results.place import open_place
from bench.results.store import Store
from bench.run.rescore import Options, rescore
from bench.run.rescore_metrics import Asked, comparable_metric, wanted_metrics
from bench.run.rows import UNKNOWN
from medseg.data import index_dataset, prepare, resolve_root
from medseg.metrics import METRICS, diagonal_mm, evaluate_case, unmeasured_case
from medseg.metrics.reliability import CaseCalibration
from medseg.tasks import TASKS, PhantomSpec
from medseg.training.measure import measure_case
from medseg.training.predictions import PredictionWriter

CODE = "c0de" * 16
STORED = ("dice", "hd95")
START = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", params=["phantom-cardiac", "phantom-lung"])
def data(request, cache):
    task = TASKS.load(request.param).model_copy(
        update={
            "image_size": (32, 32),
            "phantom": PhantomSpec(patients=4, seed=3),
            "metrics": STORED,
            "tolerance_mm": None,
        }
    )
    dataset = index_dataset(task, resolve_root(task, {}, cache), cache)
    return SimpleNamespace(task=task, dataset=dataset, prepared=prepare(task, dataset, cache), cache=cache)


def predicted(data, case, seed):
    rng = np.random.default_rng(seed)
    reference = data.prepared.reference(case.id)
    return np.where(rng.random(reference.shape) < 0.05, 0, np.roll(reference, seed + 1, -1)).astype(np.uint8)


def case_rows(data, case, part, values):
    return [
        {
            "part": part,
            "case": case.id,
            "patient": case.patient,
            "subgroup": case.subgroup,
            "phase": case.phase,
            "diagonal": diagonal_mm(case.shape, case.spacing_mm),
            "unit": METRICS.load(value.metric).unit(data.task.unit),
            **vars(value),
        }
        for value in values
    ]


def parts(data):
    """Every third case is for validation."""
    return [(case, "test" if place % 3 else "validation") for place, case in enumerate(data.dataset.cases)]


def write_trial(
    data, root, trial, /, seed=0, keep=True, calibrated=False, failed=None, blurred=None, **changes
):
    """Writes a trial and its predictions; returns its folder of them. A case may be failed, or its calibration."""
    folder, rows = root / "predictions" / trial, []
    labels = tuple(data.task.labels)
    with PredictionWriter(folder, data.task, data.dataset, data.prepared) as writer:
        for case, part in parts(data):
            reference, prediction = data.prepared.reference(case.id), predicted(data, case, seed)
            if case.id == failed:
                rows += case_rows(data, case, part, unmeasured_case(labels, STORED, "failed"))
                continue
            classes = np.stack([prediction == index for index in range(data.task.out_channels)])
            probabilities = (classes if len(classes) > 1 else prediction[None]).astype(np.float32)
            calibration = None
            if calibrated and case.id != blurred:
                calibration = CaseCalibration.of(probabilities, reference, prediction)
            writer.write(case, prediction, part, calibration)
            values, _ = measure_case(
                reference, prediction, case.spacing_mm, labels, STORED, None, calibration
            )
            rows += case_rows(data, case, part, values)
        if keep:
            writer.commit()
    row = {
        **UNKNOWN,
        **dict.fromkeys(("suite", "study", "setting", "model", "loss", "device", "detail", "split"), "x"),
        "setting_json": "{}",
        "versions_json": "{}",
        "spec_json": json.dumps({"task": data.task.model_dump(mode="json")}),
        "trial": trial,
        "phase": "final",
        "number": -1,
        "task": data.task.name,
        "entry": "unet + dice",
        "fold": 0,
        "seed": seed,
        "status": "complete",
        "attempt": 1,
        "metric": "dice",
        "epochs": 1,
        "batch_size": 1,
        "precision": "fp32",
        "code": CODE,
        "data": data.dataset.fingerprint,
        "started_at": START,
        "finished_at": START + timedelta(seconds=seed),
        "wall_s": 1.0,
        "device_s": 1.0,
        **changes,
    }
    assert Store(root).write(row, [{"trial": trial, **case} for case in rows], [])
    return folder


@pytest.fixture
def results(data, tmp_path):
    for seed, trial in enumerate(("a" * 16, "b" * 16)):
        write_trial(data, tmp_path, trial, seed)
    return tmp_path


def options(data, *metrics, tolerance=None, **more):
    return Options({}, data.cache, Asked(metrics or None, tolerance), **more)


def numbers(root):
    frame = Store(root).cases().drop(columns=["attempt", "code"])
    return frame.sort_values(["trial", "part", "case", "label", "definition"], ignore_index=True)


def parquet(root):
    return {path: path.read_bytes() for path in root.rglob("*.parquet")}


def test_new_metrics_are_those_of_evaluate_case(data, results):
    before = numbers(results)
    summary = rescore(results, options(data, "assd", "nsd", tolerance=2.5, processes=1))
    assert not summary.failed
    size = sum(len(data.task.labels) for _ in data.dataset.cases)
    added = {"assd/erode1/pooled/v1": size, "nsd/marching-cubes/tau=2.5/v1": size}
    assert [dict(outcome.added) for outcome in summary.outcomes] == [added, added]
    after = numbers(results)
    old = after["metric"].isin(STORED)
    assert after[old].reset_index(drop=True).equals(before)
    for seed, trial in enumerate(("a" * 16, "b" * 16)):
        for case, part in parts(data):
            reference = data.prepared.reference(case.id)
            wanted = case_rows(
                data, case, part,
                evaluate_case(
                    reference, predicted(data, case, seed), case.spacing_mm, tuple(data.task.labels),
                    ("assd", "nsd"), tolerance_mm=2.5,
                ),
            )  # fmt: skip
            found = after[~old & (after["trial"] == trial) & (after["case"] == case.id)]
            key = ["label", "metric"]
            found = found.drop(columns="trial").sort_values(key).to_dict("records")
            assert found == sorted(wanted, key=lambda row: [row[name] for name in key])


def test_a_second_time_there_is_nothing_to_do(data, results):
    rescore(results, options(data, "assd"))
    before = parquet(results)
    summary = rescore(results, options(data, "assd"))
    assert not summary.failed
    assert all(not outcome.added and outcome.same for outcome in summary.outcomes)
    assert parquet(results) == before


def test_a_dry_run_says_the_same_and_writes_nothing(data, results):
    before = parquet(results)
    with RunLock(results):
        promised = rescore(results, options(data, "assd", dry_run=True))
    assert parquet(results) == before
    assert promised == rescore(results, options(data, "assd"))


def test_by_default_it_takes_the_metrics_of_the_task_and_of_todays(data, results):
    added = {name for outcome in rescore(results, options(data)).outcomes for name in outcome.added}
    today = {METRICS.load(name).definition for name in TASKS.load(data.task.name).metrics}
    stored = {METRICS.load(name).definition for name in STORED}
    assert {name for name in today - stored if "{" not in name} <= added
    assert not added & stored


def test_a_tolerance_alone_asks_for_nsd(data, results):
    added = {
        name for outcome in rescore(results, options(data, tolerance=3.0)).outcomes for name in outcome.added
    }
    assert "nsd/marching-cubes/tau=3/v1" in added


def store_only(monkeypatch, *metrics):
    """Lets `write_trial` store other metrics than Dice."""
    monkeypatch.setattr(sys.modules[__name__], "STORED", metrics)


@pytest.mark.parametrize("stored", ["dice", "iou", "hd95", "sensitivity", "pixel_accuracy"])
def test_predictions_of_something_else_are_found_out(data, tmp_path, monkeypatch, stored):
    store_only(monkeypatch, "lesion_count_reference", stored)
    for seed, trial in enumerate("ab"):
        write_trial(data, tmp_path, trial * 16, seed)
    other = write_trial(data, tmp_path / "other", "a" * 16, seed=5)
    shutil.rmtree(tmp_path / "predictions" / ("a" * 16))
    shutil.move(other, tmp_path / "predictions" / ("a" * 16))
    shutil.rmtree(tmp_path / "other")
    before = parquet(tmp_path)
    summary = rescore(tmp_path, options(data, "assd"))
    assert summary.failed
    first, second = summary.outcomes
    assert first.conflicts
    assert first.conflicts[0].split(": ")[1].startswith(f"{METRICS.load(stored).definition} is ")
    assert not first.added
    assert set(second.added) == {"assd/erode1/pooled/v1"}
    after = parquet(tmp_path)
    changed = [path for path in before if before[path] != after[path]]
    assert [path.name[0] for path in changed] == ["b"]


def test_where_nothing_tells_whose_predictions_they_are_it_is_said(data, tmp_path, monkeypatch):
    write_trial(data, tmp_path, "a" * 16)
    store_only(monkeypatch, "lesion_count_reference")
    write_trial(data, tmp_path, "b" * 16, seed=1)
    summary = rescore(tmp_path, options(data, "assd"))
    assert not summary.failed
    assert all(outcome.added for outcome in summary.outcomes)
    assert summary.notes == (
        "1 of 2 trials hold no value that could be measured again: that the predictions are theirs was not checked",
    )


def test_the_metric_that_tells_is_one_of_the_same_definition():
    def chosen(*stored, wanted=(), tolerances=None):
        columns = ("metric", "label", "definition", "status")
        rows = [dict(zip(columns, row, strict=True)) for row in stored]
        return comparable_metric(pd.DataFrame(rows, columns=columns), wanted, tolerances)

    dice, iou = ("dice", "LV", "dice/v1", "ok"), ("iou", "LV", "iou/v1", "ok")
    hd95 = ("hd95", "LV", METRICS.load("hd95").definition, "ok")
    nsd = ("nsd", "LV", "nsd/marching-cubes/tau=2/v1", "ok")
    assert chosen(hd95, iou, dice, wanted=("hd95",)) == "dice"
    assert chosen(hd95, iou) == "iou"
    lesions = ("lesion_f1", "LV", METRICS.load("lesion_f1").definition, "ok")
    assert chosen(lesions, hd95, wanted=("lesion_f1",)) == "hd95"
    assert chosen(lesions) == "lesion_f1"
    assert chosen(hd95, iou, wanted=("hd95",)) == "hd95"
    assert chosen(nsd, tolerances={"LV": 2.0}) == "nsd"
    assert chosen(nsd, tolerances={"LV": 3.0}) is None
    assert chosen(nsd) is None
    assert chosen(("dice", "LV", "dice/v0", "ok"), hd95) == "hd95"
    assert chosen(("dice", "LV", "dice/v1", "failed")) is None
    assert (
        chosen(("ece", "LV", METRICS.load("ece").definition, "ok"), ("gone", "LV", "gone/v1", "ok")) is None
    )
    assert chosen() is None


def test_a_case_without_prediction_stays_failed(data, tmp_path):
    failed = data.dataset.cases[1].id
    write_trial(data, tmp_path, "a" * 16, failed=failed)
    summary = rescore(tmp_path, options(data, "assd"))
    assert not summary.failed
    rows = Store(tmp_path).cases()
    assert set(rows.loc[rows["case"] == failed, "status"]) == {"failed"}
    assert rows.loc[(rows["metric"] == "assd") & (rows["case"] == failed), "value"].isna().all()
    assert (rows.loc[rows["case"] != failed, "status"] != "failed").all()


def test_a_case_without_calibration_fails_in_that_alone(data, tmp_path):
    blurred = data.dataset.cases[1].id
    write_trial(data, tmp_path, "a" * 16, calibrated=True, blurred=blurred)
    summary = rescore(tmp_path, options(data, "ece", "assd", "nll"))
    assert not summary.failed
    (outcome,) = summary.outcomes
    assert (outcome.problem, outcome.conflicts) == ("", ())
    assert outcome.failures == (
        f"{blurred}: ece needs calibration: what the probabilities said, which label maps do not tell",
    )
    rows = Store(tmp_path).cases()
    failed = rows[rows["status"] == "failed"]
    assert set(zip(failed["case"], failed["metric"], strict=True)) == {(blurred, "ece"), (blurred, "nll")}
    assert len(failed) == len(data.task.labels) + 1
    assert {"dice", "hd95", "assd"} <= set(rows.loc[rows["case"] == blurred, "metric"])
    again = rescore(tmp_path, options(data, "ece", "assd", "nll"))
    assert not again.outcomes[0].added
    assert again.outcomes[0].failures == outcome.failures


def test_calibration_that_failed_does_not_make_a_prediction_none(data, tmp_path, monkeypatch):
    store_only(monkeypatch, "ece")
    blurred = data.dataset.cases[1].id
    write_trial(data, tmp_path, "a" * 16, calibrated=True, blurred=blurred)
    assert not rescore(tmp_path, options(data, "dice")).failed
    rows = Store(tmp_path).cases()
    of_case = rows[rows["case"] == blurred]
    assert set(of_case.loc[of_case["metric"] == "ece", "status"]) == {"failed"}
    assert "failed" not in set(of_case.loc[of_case["metric"] == "dice", "status"])


def test_a_damaged_prediction_leaves_its_trial_as_it_is(data, results):
    folder = results / "predictions" / ("a" * 16)
    path = next(path for path in sorted(folder.iterdir()) if path.suffix in (".gz", ".png"))
    path.write_bytes(path.read_bytes()[:30])
    summary = rescore(results, options(data, "assd"))
    assert summary.failed
    assert summary.outcomes[0].problem.startswith(f"{path}: is not a readable ")
    assert summary.outcomes[1].added
    assert set(Store(results).cases(["a" * 16])["metric"]) == set(STORED)


def test_calibration_is_read_where_it_was_kept(data, tmp_path):
    write_trial(data, tmp_path, "a" * 16, calibrated=True)
    write_trial(data, tmp_path, "b" * 16, seed=1)
    summary = rescore(tmp_path, options(data, "ece"))
    assert [bool(outcome.added) for outcome in summary.outcomes] == [True, False]
    assert summary.notes == (
        "ece left out of 1 trials: their predictions were kept without reliability.parquet",
    )
    assert (Store(tmp_path).cases(["a" * 16]).query("metric == 'ece'")["status"] != "failed").all()
    shutil.rmtree(tmp_path / "predictions" / ("a" * 16))
    with pytest.raises(BenchError, match=r"^nothing can be measured: ece left out of 1 trials"):
        rescore(tmp_path, options(data, "ece"))


def test_what_cannot_be_measured_on_a_task_is_said(data, results):
    mine = data.task.model_copy(update={"name": "mine"})
    assert wanted_metrics(mine, Asked(("nsd", "iou")), flat=False).notes == (
        f"mine: nsd left out: it needs --tolerance-mm, the distance in {mine.unit} that counts as no error",
    )
    assert wanted_metrics(mine, Asked(), flat=False).metrics == STORED
    if data.task.unit == "px":
        summary = rescore(results, options(data, "volume_ml", "iou"))
        assert summary.notes == (f"{data.task.name}: volume_ml left out: it needs volumes with millimetres",)
    with pytest.raises(BenchError, match=r"^--tolerance-mm must name each of the labels .* got LVX$"):
        rescore(results, options(data, "nsd", tolerance={"LVX": 2.0}))


def test_trials_without_predictions_are_counted(data, results):
    write_trial(data, results, "d" * 16, seed=3, keep=False)
    summary = rescore(results, options(data, "assd"))
    assert summary.finals == 3
    assert summary.notes == (
        "1 of 3 final trials kept no predictions; `keep_predictions: true` in the suite keeps those of trials that "
        "run from then on",
    )
    shutil.rmtree(results / "predictions")
    with pytest.raises(
        ResultsError, match=r"none of 3 final trials kept its predictions; `keep_predictions: true`"
    ):
        rescore(results, options(data, "assd"))


def test_tuning_and_failed_trials_are_passed_over(data, results):
    write_trial(data, results, "d" * 16, seed=3, status="crashed")
    write_trial(data, results, "e" * 16, seed=4, phase="tune", number=0)
    assert rescore(results, options(data, "assd")).finals == 2


def test_predictions_are_those_of_the_newest_code(data, results):
    write_trial(data, results, "a" * 16, seed=7, code="beef" * 16)
    summary = rescore(results, options(data, "assd"))
    assert not summary.failed
    assert "1 older results of the same trials, by other code, are left as they are" in summary.notes
    rows = Store(results).cases(["a" * 16])
    assert set(rows.loc[rows["metric"] == "assd", "code"]) == {"beef" * 16}


def test_a_trial_of_other_data_does_not_stop_the_others(data, results):
    write_trial(data, results, "d" * 16, seed=3, data="f" * 64)
    summary = rescore(results, options(data, "assd"))
    assert summary.failed
    assert [bool(outcome.added) for outcome in summary.outcomes] == [True, True, False]
    assert f"the data at {data.dataset.root} are not those of trial {'d' * 16}" in summary.outcomes[2].problem
    assert set(Store(results).cases(["d" * 16])["metric"]) == set(STORED)


def test_if_all_trials_are_of_other_data_it_is_one_clear_line(data, tmp_path):
    for trial in "de":
        write_trial(data, tmp_path, trial * 16, data="f" * 64)
    with pytest.raises(
        DataMissingError, match=r"are not those of trial d{16} \(fingerprint \w{12}, expected f{12}\)"
    ):
        rescore(tmp_path, options(data, "assd"))


def test_a_task_of_another_version_stops_its_own_trials_only(data, results):
    write_trial(data, results, "d" * 16, seed=3, spec_json=json.dumps({"task": {"name": "older"}}))
    summary = rescore(results, options(data, "assd"))
    assert [bool(outcome.added) for outcome in summary.outcomes] == [True, True, False]
    assert summary.outcomes[2].problem.startswith("its task is not one of this medseg-bench: ")


def test_damaged_rows_of_a_trial_do_not_stop_the_others(data, results):
    (path,) = (results / "cases").glob("a*")
    path.write_bytes(path.read_bytes()[:100])
    first, second = rescore(results, options(data, "assd")).outcomes
    assert first.problem.startswith(f"{path}: damaged or not Parquet")
    assert second.added


def test_the_table_of_trials_is_read_once(data, results, monkeypatch):
    looks, look = [], Store._look

    def watched(self, name, trials=None):
        looks.append((name, trials))
        return look(self, name, trials)

    monkeypatch.setattr(Store, "_look", watched)
    assert len(rescore(results, options(data, "assd")).outcomes) == 2
    assert looks == [("trials", None)]


def test_results_that_were_gathered_are_rescored_and_stay_so(data, results):
    compact(open_place(results))
    before = Store(results).cases()
    assert len(rescore(results, options(data, "assd", dry_run=True)).outcomes) == 2
    summary = rescore(results, options(data, "assd"))
    added = sum(outcome.added.total() for outcome in summary.outcomes)
    assert added > 0
    assert len(Store(results).cases()) == len(before) + added
    assert [path.name[:8] for path in (results / "trials").iterdir()] == ["compact-"]
    assert len(pd.read_parquet(results / "cases")) == len(before) + added
    again = rescore(results, options(data, "assd"))
    assert sum(outcome.same for outcome in again.outcomes) >= added


def test_data_that_are_gone_are_one_clear_line(data, results):
    nowhere = Options({data.task.dataset: Path("/nowhere")}, data.cache, Asked(("assd",)))
    with pytest.raises(DataMissingError, match=r"^no folder /nowhere for the data set"):
        rescore(results, nowhere)


def test_results_in_use_are_left_alone(data, results):
    with RunLock(results), pytest.raises(ResultsError, match="is in use by another run"):
        rescore(results, options(data, "assd"))


def test_an_interruption_leaves_whole_parts(data, results, monkeypatch):
    before, seen = parquet(results), []

    def watch(title, done, total):
        seen.append(title)
        if len(set(seen)) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rescore(results, options(data, "assd"), watch)
    after = parquet(results)
    changed = [path.name[0] for path in before if before[path] != after[path]]
    assert changed == ["a"]
    summary = rescore(results, options(data, "assd"))
    assert [bool(outcome.added) for outcome in summary.outcomes] == [False, True]


def test_values_do_not_depend_on_the_number_of_processes(data, results, tmp_path_factory, monkeypatch):
    from medseg.scoring import pool

    other = tmp_path_factory.mktemp("other") / "results"
    shutil.copytree(results, other)
    rescore(results, options(data, "assd", processes=1))
    monkeypatch.setattr(pool, "ALONE_S", 0.0)
    monkeypatch.setattr(pool, "WORTH_S", 0.0)
    rescore(other, options(data, "assd", processes=2))
    assert numbers(results).equals(numbers(other))


def test_infinite_distances_are_stored_as_such(data, tmp_path, monkeypatch):
    monkeypatch.setattr(
        sys.modules[__name__], "predicted", lambda data, case, seed: np.zeros(case.shape, np.uint8)
    )
    write_trial(data, tmp_path, "a" * 16)
    rescore(tmp_path, options(data, "assd"))
    rows = Store(tmp_path).cases().query("metric == 'assd'")
    missed = rows["status"] == "prediction_empty"
    assert missed.any()
    assert all(math.isinf(value) for value in rows.loc[missed, "value"])


def test_rescoring_imports_neither_torch_nor_ray():
    code = (
        "import sys, bench.cli.rescore_command; "
        "print([m for m in ('torch', 'ray', 'optuna', 'accelerate') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_the_suite_has_come_to_ask_for_is_measured(data, results):
    task = data.task.model_copy(update={"metrics": ("dice", "sensitivity", "nsd"), "tolerance_mm": 3.0})
    Store(results).write_suite({"suite": "s", "tasks": [{**task.model_dump(mode="json"), "cases": 1}]})
    assert not rescore(results, options(data)).failed
    assert {"sensitivity/v1", "nsd/marching-cubes/tau=3/v1"} <= set(Store(results).cases()["definition"])


def test_a_data_set_that_no_trial_reads_is_refused(data, results):
    wrong = Options({"acdcc": Path("x")}, options(data).cache, Asked())
    with pytest.raises(BenchError, match=r"^--data acdcc: no such data set here \(choices: "):
        rescore(results, wrong)
