import math

import numpy as np
import pytest
import torch
from torch import nn

from medseg.config import Component
from medseg.training.checkpoint import load_weights
from medseg.training.evaluate import decide, selection_score
from medseg.training.loop import memory_format
from medseg.training.outcome import DivergedError, InterruptedTrialError
from medseg.training.trial import TrialFiles, class_counts, run_trial


def drain(events):
    epochs = []
    while True:
        try:
            epochs.append(next(events))
        except StopIteration as end:
            return epochs, end.value


def files(folder):
    return TrialFiles(folder / "last.pt", folder / "best.safetensors")


def stop_at(call):
    """Asks to stop at the n-th step."""
    calls = iter(range(10**9))
    return lambda: next(calls) == call


def plain(rows):
    return [{key: repr(value) for key, value in row.items() if key != "wall_s"} for row in rows]


def test_a_trial_learns_and_reports(small_spec, small_data, tmp_path):
    longer = small_spec.train.model_copy(update={"epochs": 6, "steps_per_epoch": 15})
    epochs, result = drain(
        run_trial(small_spec.model_copy(update={"train": longer}), small_data, files(tmp_path))
    )
    assert [e.epoch for e in epochs] == list(range(1, 7))
    assert epochs[-1].train_loss < 0.7 * epochs[0].train_loss
    assert result.summary["value"] > 0.75
    assert result.summary["steps"] == 90
    assert 0 < result.summary["train_s"] < result.summary["wall_s"]


def test_the_best_weights_are_the_best_and_are_what_is_evaluated(small_spec, small_data, tmp_path):
    # A rate that grows useless late: the last epoch is not the best one.
    rough = small_spec.train.model_copy(update={"epochs": 6, "learning_rate": 0.3, "schedule": "constant"})
    spec = small_spec.model_copy(update={"train": rough})
    epochs, result = drain(run_trial(spec, small_data, files(tmp_path)))
    best = max(e.score for e in epochs)
    assert result.summary["value"] == best
    assert epochs[result.summary["best_epoch"] - 1].score == best
    validation = [row for row in result.cases if row["part"] == "validation"]
    assert selection_score(validation, "dice") == best


def test_the_same_trial_gives_bitwise_the_same(small_spec, small_data, tmp_path):
    runs = [drain(run_trial(small_spec, small_data, files(tmp_path / name)))[1] for name in "ab"]
    assert plain(runs[0].cases) == plain(runs[1].cases)
    assert plain(runs[0].curves) == plain(runs[1].curves)
    assert (tmp_path / "a/best.safetensors").read_bytes() == (tmp_path / "b/best.safetensors").read_bytes()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("step", [0, 4, 6, 11])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_stopped_and_continued_equals_unbroken(small_spec, small_data, tmp_path, step, optimizer, precision):
    train = small_spec.train.model_copy(
        update={"optimizer": optimizer, "schedule": "plateau", "precision": precision}
    )
    spec = small_spec.model_copy(update={"train": train})
    _, unbroken = drain(run_trial(spec, small_data, files(tmp_path / "unbroken")))
    broken = files(tmp_path / "broken")
    with pytest.raises(InterruptedTrialError, match=f"stopped after step {step}"):
        drain(run_trial(spec, small_data, broken, stop_at(step)))
    assert broken.checkpoint.exists()
    _, continued = drain(run_trial(spec, small_data, broken))
    assert plain(continued.cases) == plain(unbroken.cases)
    assert plain(continued.curves) == plain(unbroken.curves)
    assert broken.weights.read_bytes() == (tmp_path / "unbroken/best.safetensors").read_bytes()
    assert not broken.checkpoint.exists()


def test_seeds_differ(small_spec, small_data, tmp_path):
    _, first = drain(run_trial(small_spec, small_data, files(tmp_path)))
    _, second = drain(run_trial(small_spec.model_copy(update={"seed": 2}), small_data, files(tmp_path)))
    assert plain(first.curves) != plain(second.curves)


def test_final_trials_meet_the_test_patients_and_tuning_trials_never_do(small_spec, small_data, tmp_path):
    train, validation, test = small_data.split.patients(0)
    _, final = drain(run_trial(small_spec, small_data, files(tmp_path)))
    _, tune = drain(run_trial(small_spec.model_copy(update={"phase": "tune"}), small_data, files(tmp_path)))
    seen = {part: {r["patient"] for r in final.cases if r["part"] == part} for part in ("validation", "test")}
    assert seen == {"validation": set(validation), "test": set(test)}
    assert {r["part"] for r in tune.cases} == {"validation"}
    assert not set(train) & (set(validation) | set(test))


def test_rows_are_on_the_native_grid_with_unit_and_diagonal(small_spec, small_data, tmp_path):
    _, result = drain(run_trial(small_spec, small_data, files(tmp_path)))
    row = next(r for r in result.cases if r["metric"] == "hd95")
    assert row["unit"] == "px"
    assert row["diagonal"] == pytest.approx(math.hypot(256, 256), rel=0.01)
    assert {r["metric"] for r in result.cases} == set(small_spec.task.metrics)


def test_a_loss_that_is_not_finite_ends_the_trial_with_its_step(small_spec, small_data, tmp_path):
    wild = small_spec.train.model_copy(
        update={"learning_rate": 1e30, "clip_norm": None, "optimizer": "sgd", "schedule": "constant"}
    )
    with pytest.raises(DivergedError, match=r"not finite at step [1-5]"):
        drain(run_trial(small_spec.model_copy(update={"train": wild}), small_data, files(tmp_path)))


def test_kept_weights_load_into_the_model(small_spec, small_data, tmp_path):
    _, result = drain(run_trial(small_spec, small_data, files(tmp_path)))
    weights = load_weights(tmp_path / "best.safetensors")
    trainable = sum(t.numel() for n, t in weights.items() if "running" not in n and "batches" not in n)
    assert trainable == result.summary["parameters"]


def test_balanced_weights_get_the_frequencies_of_the_training_slices(small_spec, small_data, tmp_path):
    counts = class_counts(small_data.prepared, [0, 1])
    labels = np.asarray(small_data.prepared.labels[:2])
    assert counts == [(labels == 0).sum(), (labels == 1).sum()]
    balanced = Component(name="ce", options={"weights": "balanced"})
    _, result = drain(
        run_trial(small_spec.model_copy(update={"loss": balanced}), small_data, files(tmp_path))
    )
    assert result.status == "complete"


def test_decisions():
    one = np.array([[[0.49, 0.5]]], dtype=np.float32)
    assert decide(one).tolist() == [[0, 1]]
    three = np.array([[[0.1, 0.4]], [[0.5, 0.3]], [[0.4, 0.3]]], dtype=np.float32)
    assert decide(three).tolist() == [[1, 0]]


def row(label, patient, value, metric="dice"):
    return {"metric": metric, "label": label, "patient": patient, "value": value, "diagonal": 50.0}


def test_selection_averages_cases_then_patients_then_labels():
    rows = [row("LV", "p1", 0.8), row("LV", "p1", 0.6), row("LV", "p2", 0.1), row("RV", "p1", 0.2)]
    assert selection_score(rows, "dice") == pytest.approx((0.4 + 0.2) / 2)


def test_selection_leaves_out_absent_labels_and_charges_missed_ones():
    assert selection_score([row("LV", "p1", math.nan), row("LV", "p2", 0.4)], "dice") == pytest.approx(0.4)
    distances = [row("LV", "p1", math.inf, "hd95"), row("LV", "p2", 10.0, "hd95")]
    assert selection_score(distances, "hd95") == pytest.approx(-30.0)
    assert selection_score([row("LV", "p1", math.nan)], "dice") == -math.inf


def test_channels_last_except_where_torch_would_crash():
    cpu = torch.device("cpu")
    assert memory_format(nn.Conv2d(8, 16, 3, stride=2), cpu) == torch.channels_last
    assert memory_format(nn.Conv2d(64, 64, 1, stride=2), cpu) == torch.channels_last
    risky = nn.Sequential(nn.Conv2d(8, 16, 1, stride=2))
    assert memory_format(risky, cpu) == torch.contiguous_format
    assert memory_format(risky, torch.device("cuda")) == torch.channels_last
