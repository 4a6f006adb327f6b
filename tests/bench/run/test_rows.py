import math
from datetime import UTC, datetime

import pytest

from bench.results.schema import TRIAL_STATUSES, TRIALS
from bench.results.store import Store
from bench.run.rows import case_rows, curve_rows, trial_row
from medseg.training.outcome import TrialResult


@pytest.mark.parametrize("status", TRIAL_STATUSES)
def test_every_ending_is_a_row_that_the_store_takes(job, worker, status, tmp_path):
    row = trial_row(job, worker, TrialResult(status, "why"), elapsed_s=4.5)
    assert set(row) == set(TRIALS.names)
    Store(tmp_path).write(row, [], [])
    (stored,) = Store(tmp_path).trials().to_dict("records")
    assert (stored["status"], stored["detail"], stored["entry"]) == (status, "why", "unet + ce")
    assert (stored["wall_s"], stored["device_s"]) == (4.5, 4.5)


COST = {
    "gmacs": 1.5, "samples_per_s": 40.0, "data_share": 0.25, "compute_share": 0.5, "validation_share": 0.25,
    "peak_memory_mb": 900.0, "energy_j": None, "micro_batch": 2, "processes": 1, "compiled": False,
    "memory_format": "channels_last", "notes": "out of memory: micro-batch 4 -> 2",
}  # fmt: skip
CURVE = {"epoch": 1, "step": 2, "train_loss": 0.5, "learning_rate": 0.1, "score": 0.9, "wall_s": 1.0}


def test_a_trial_that_never_ran_has_no_costs(job, worker):
    row = trial_row(job, worker, TrialResult("infra_lost"))
    assert [row[name] for name in COST] == [None] * len(COST)
    assert (row["steps"], row["parameters"]) == (None, None)


@pytest.mark.parametrize("status", ["diverged", "oom", "timeout"])
def test_what_a_trial_left_that_did_not_complete_is_kept(job, worker, status, tmp_path):
    summary = {
        "value": 0.9,
        "best_epoch": 1,
        "steps": 41,
        "parameters": 7,
        "wall_s": 2.0,
        "device_s": 1.5,
        **COST,
    }
    result = TrialResult(status, "why", summary, curves=[CURVE])
    store = Store(tmp_path)
    store.write(trial_row(job, worker, result, 9.0), case_rows(job, result), curve_rows(job, result))
    (row,) = store.trials().to_dict("records")
    assert (row["steps"], row["parameters"], row["wall_s"], row["device_s"]) == (41, 7, 2.0, 1.5)
    assert (row["micro_batch"], row["compiled"], row["notes"]) == (2, False, COST["notes"])
    assert row["best_epoch"] == 1
    # No setting is chosen by it.
    assert math.isnan(row["value"])
    assert store.curves()["score"].tolist() == [0.9]


def test_a_complete_trial_keeps_its_numbers_cases_and_curves(job, worker, tmp_path):
    now = datetime.now(UTC)
    summary = {
        "value": 0.9, "metric": "dice", "parameters": 7, "epochs": 1, "best_epoch": 1, "steps": 2,
        "batch_size": 4, "precision": "fp32", "wall_s": 2.0, "train_s": 1.0, "device_s": 1.5, "device": "cpu",
        "versions": {"torch": "2"}, "started_at": now, "finished_at": now,
    }  # fmt: skip
    case = {
        "part": "validation", "case": "c", "patient": "p", "subgroup": "", "phase": "", "diagonal": 3.0,
        "label": "lung", "metric": "dice", "definition": "dice/v1", "value": 0.9, "status": "ok", "unit": "",
    }  # fmt: skip
    result = TrialResult("complete", summary=summary | COST, cases=[case], curves=[CURVE])
    store = Store(tmp_path)
    store.write(trial_row(job, worker, result), case_rows(job, result), curve_rows(job, result))
    (row,) = store.trials().to_dict("records")
    assert row["value"] == 0.9
    assert {name: row[name] for name in COST if name != "energy_j"} == {
        name: value for name, value in COST.items() if name != "energy_j"
    }
    assert store.cases()["value"].tolist() == [0.9]
    assert store.curves()["score"].tolist() == [0.9]
