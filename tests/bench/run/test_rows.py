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


def test_a_complete_trial_keeps_its_numbers_cases_and_curves(job, worker, tmp_path):
    now = datetime.now(UTC)
    summary = {
        "value": 0.9, "metric": "dice", "parameters": 7, "epochs": 1, "best_epoch": 1, "steps": 2,
        "batch_size": 4, "precision": "fp32", "wall_s": 2.0, "train_s": 1.0, "device_s": 1.5, "device": "cpu",
        "versions": {"torch": "2"}, "started_at": now, "finished_at": now,
    }  # fmt: skip
    case = {
        "part": "validation", "case": "c", "patient": "p", "subgroup": "", "diagonal": 3.0, "label": "lung",
        "metric": "dice", "definition": "dice/v1", "value": 0.9, "status": "ok", "unit": "",
    }  # fmt: skip
    curve = {"epoch": 1, "step": 2, "train_loss": 0.5, "learning_rate": 0.1, "score": 0.9, "wall_s": 1.0}
    result = TrialResult("complete", summary=summary, cases=[case], curves=[curve])
    store = Store(tmp_path)
    store.write(trial_row(job, worker, result), case_rows(job, result), curve_rows(job, result))
    assert store.trials()["value"].tolist() == [0.9]
    assert store.cases()["value"].tolist() == [0.9]
    assert store.curves()["score"].tolist() == [0.9]
