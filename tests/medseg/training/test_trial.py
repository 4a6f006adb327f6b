import dataclasses
import json
import math
from functools import partial

import numpy as np
import pytest
import torch

from medseg.config import Component
from medseg.errors import ConfigError
from medseg.metrics import evaluate_case
from medseg.training import evaluation, subset
from medseg.training.averages import selection_score
from medseg.training.checkpoint import load_weights
from medseg.training.decide import decide
from medseg.training.predictions import read_calibration, read_prediction
from medseg.training.trial import TrialFiles, class_counts, run_trial


def drain(events):
    epochs = []
    while True:
        try:
            epochs.append(next(events))
        except StopIteration as end:
            return epochs, end.value


def files(folder):
    return TrialFiles(folder / "last.safetensors", folder / "best.safetensors")


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


def test_seeds_differ(small_spec, small_data, tmp_path):
    _, first = drain(run_trial(small_spec, small_data, files(tmp_path / "1")))
    _, second = drain(run_trial(small_spec.model_copy(update={"seed": 2}), small_data, files(tmp_path / "2")))
    assert plain(first.curves) != plain(second.curves)


def test_final_trials_meet_the_test_patients_and_tuning_trials_never_do(small_spec, small_data, tmp_path):
    train, validation, test = small_data.split.patients(0)
    tuning = small_spec.model_copy(update={"phase": "tune"})
    _, final = drain(run_trial(small_spec, small_data, files(tmp_path / "final")))
    _, tune = drain(run_trial(tuning, small_data, files(tmp_path / "tune")))
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


def test_a_trial_says_what_it_cost(small_spec, small_data, tmp_path):
    _, result = drain(run_trial(small_spec, small_data, files(tmp_path)))
    summary = result.summary
    shares = [summary[name] for name in ("data_share", "compute_share", "validation_share")]
    assert sum(shares) == pytest.approx(1)
    assert min(shares) > 0
    assert summary["samples_per_s"] == pytest.approx(18 * 4 / summary["train_s"])
    assert summary["peak_memory_mb"] > 50
    assert summary["energy_j"] is None or summary["energy_j"] > 0
    assert 0 < summary["case_s"] < summary["wall_s"]
    assert (summary["micro_batch"], summary["processes"], summary["compiled"]) == (4, 1, False)
    assert (summary["memory_format"], summary["device"], summary["notes"]) == ("channels_last", "cpu", "")
    # A U-Net of widths 4, 8, 16 on 32 x 32 pixels, counted by hand: 3x3 and 2x2 convolutions.
    pixels = 32 * 32
    down = 9 * (1 * 4 + 4 * 4) + 9 * (4 * 8 + 8 * 8) / 4 + 9 * (8 * 16 + 16 * 16) / 16
    up = 4 * (16 * 8) / 16 + 9 * (16 * 8 + 8 * 8) / 4 + 4 * (8 * 4) / 4 + 9 * (8 * 4 + 4 * 4)
    assert summary["gmacs"] == pytest.approx(pixels * (down + up + 4) / 1e9)


def test_fp16_without_a_gpu_is_refused(small_spec, small_data, tmp_path):
    half = small_spec.train.model_copy(update={"precision": "fp16"})
    with pytest.raises(ConfigError, match=r"train.precision: fp16 needs a GPU"):
        drain(
            run_trial(
                small_spec.model_copy(update={"train": half}), small_data, files(tmp_path), use_cpu=True
            )
        )


def test_patches_larger_than_the_images_are_refused(small_spec, small_data, tmp_path):
    large = small_spec.train.model_copy(update={"patch_size": (64, 32)})
    with pytest.raises(ConfigError, match=r"at most the task's image_size 32 x 32, got 64 x 32"):
        drain(run_trial(small_spec.model_copy(update={"train": large}), small_data, files(tmp_path)))


def test_patches_are_trained_on_and_whole_images_predicted(small_spec, small_data, tmp_path):
    train = small_spec.train.model_copy(update={"patch_size": (16, 24), "epochs": 6, "steps_per_epoch": 20})
    epochs, result = drain(
        run_trial(small_spec.model_copy(update={"train": train}), small_data, files(tmp_path))
    )
    assert epochs[-1].train_loss < 0.8 * epochs[0].train_loss
    assert result.summary["value"] > 0.6
    row = next(row for row in result.cases if row["metric"] == "dice")
    assert row["diagonal"] == pytest.approx(math.hypot(256, 256), rel=0.01)


def test_averaged_weights_are_what_is_validated_and_kept(small_spec, small_data, tmp_path):
    averaged = small_spec.train.model_copy(update={"ema_decay": 0.9})
    spec = small_spec.model_copy(update={"train": averaged})
    _, result = drain(run_trial(spec, small_data, files(tmp_path / "average")))
    _, plainly = drain(run_trial(small_spec, small_data, files(tmp_path / "last")))
    losses = [[row["train_loss"] for row in r.curves] for r in (result, plainly)]
    assert losses[0] == losses[1]
    assert plain(result.cases) != plain(plainly.cases)
    validation = [row for row in result.cases if row["part"] == "validation"]
    assert (
        selection_score(validation, "dice")
        == result.summary["value"]
        == max(row["score"] for row in result.curves)
    )


def test_mirrored_prediction_is_for_the_final_cases_only(small_spec, small_data, tmp_path):
    train = small_spec.train.model_copy(update={"mirror_tta": True})
    _, mirrored = drain(
        run_trial(small_spec.model_copy(update={"train": train}), small_data, files(tmp_path / "a"))
    )
    _, single = drain(run_trial(small_spec, small_data, files(tmp_path / "b")))
    assert plain(mirrored.curves) == plain(single.curves)
    assert plain(mirrored.cases) != plain(single.cases)
    assert mirrored.summary["value"] == selection_score(
        [row for row in mirrored.cases if row["part"] == "validation"], "dice"
    )


def test_kept_predictions_give_the_same_rows(small_spec, small_data, tmp_path):
    kept = dataclasses.replace(files(tmp_path), predictions=tmp_path / "predictions")
    _, result = drain(run_trial(small_spec, small_data, kept))
    dice = {row["case"]: row["value"] for row in result.cases if row["metric"] == "dice"}
    index = json.loads((kept.predictions / "index.json").read_text())
    assert index["cases"].keys() == dice.keys()
    assert index["trial"]["seed"] == small_spec.seed
    for name, value in dice.items():
        case = small_data.dataset.case(name)
        found = read_prediction(kept.predictions, case, small_spec.task).astype(bool)
        wanted = small_data.prepared.reference(name).astype(bool)
        assert 2 * (found & wanted).sum() / (found.sum() + wanted.sum()) == pytest.approx(value)


def test_kept_calibration_gives_the_same_values(small_spec, small_data, tmp_path):
    metrics = ("dice", "ece", "brier_foreground", "nll")
    spec = small_spec.model_copy(update={"task": small_spec.task.model_copy(update={"metrics": metrics})})
    kept = dataclasses.replace(files(tmp_path), predictions=tmp_path / "predictions")
    _, result = drain(run_trial(spec, small_data, kept))
    assert all(row["status"] == "ok" for row in result.cases)
    for name in {row["case"] for row in result.cases}:
        case = small_data.dataset.case(name)
        values = evaluate_case(
            small_data.prepared.reference(name),
            read_prediction(kept.predictions, case, spec.task),
            small_data.prepared.spacing_mm(name),
            tuple(spec.task.labels),
            metrics,
            calibration=read_calibration(kept.predictions, case),
        )
        wanted = [(row["label"], row["metric"], row["value"]) for row in result.cases if row["case"] == name]
        assert [(value.label, value.metric, value.value) for value in values] == wanted


def test_a_case_that_fails_is_a_row_and_the_trial_goes_on(
    small_spec, small_data, tmp_path, monkeypatch, caplog
):
    lost = next(c for c in small_data.dataset.cases if c.patient in small_data.split.patients(0)[2])
    image = torch.from_numpy(
        np.array(small_data.prepared.images[small_data.prepared.slices(lost.id)])
    ).float()
    whole = evaluation.predictor

    def poisoned(model, loss):
        predict = whole(model, loss)

        def some(images):
            probabilities = predict(images)
            for number, found in enumerate(images):
                if torch.equal(found, image[0]):
                    probabilities[number] = torch.nan
            return probabilities

        return some

    monkeypatch.setattr(evaluation, "predictor", poisoned)
    kept = dataclasses.replace(files(tmp_path), predictions=tmp_path / "predictions")
    _, result = drain(run_trial(small_spec, small_data, kept))
    assert result.status == "complete"
    failed = [row for row in result.cases if row["status"] == "failed"]
    assert {row["case"] for row in failed} == {lost.id}
    assert len(failed) == len(small_spec.task.metrics)
    assert all(math.isnan(row["value"]) for row in failed)
    # What was decided from NaN is no prediction that could be measured again.
    index = json.loads((kept.predictions / "index.json").read_text())
    assert index["cases"].keys() == {row["case"] for row in result.cases} - {lost.id}
    assert read_calibration(kept.predictions, lost) is None
    assert (
        f"1 of 4 test cases could not be measured in full, first {lost.id}: probabilities must" in caplog.text
    )


def test_volumes_of_pictures_are_refused(small_spec, small_data, tmp_path):
    task = small_spec.task.model_copy(update={"unit": "mm", "metrics": ("dice", "volume_ml")})
    with pytest.raises(
        ConfigError, match=r"^task.metrics: volume_ml .* needs 3D images, but .* has \d+ x \d+"
    ):
        drain(run_trial(small_spec.model_copy(update={"task": task}), small_data, files(tmp_path)))


def test_few_steps_validate_few_patients(small_spec, small_data, tmp_path, monkeypatch):
    monkeypatch.setattr(subset, "LEAST_PATIENTS", 1)
    train = small_spec.train.model_copy(update={"validation_slices": 1})
    _, result = drain(run_trial(small_spec.model_copy(update={"train": train}), small_data, files(tmp_path)))
    assert result.summary["notes"] == "1 of 3 validation patients are predicted after an epoch"
    rows = [row for row in result.cases if row["part"] == "validation"]
    assert {row["patient"] for row in rows} == set(small_data.split.patients(0)[1])
    assert result.summary["value"] == selection_score(rows, "dice")


def test_compiled_training_gives_the_same_up_to_rounding(small_spec, small_data, tmp_path, monkeypatch):
    # The compiler in front of inductor, which would take a minute. Dropout would draw other numbers.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    model = Component(name="unet", options={"features": [4, 8]})
    runs = []
    for compiled in ("on", "off"):
        train = small_spec.train.model_copy(update={"compile": compiled, "epochs": 1, "steps_per_epoch": 3})
        spec = small_spec.model_copy(update={"train": train, "model": model})
        runs.append(drain(run_trial(spec, small_data, files(tmp_path / compiled)))[1])
    assert runs[0].summary["compiled"]
    assert runs[0].summary["notes"] == "compiled: compile is on"
    losses = [run.curves[0]["train_loss"] for run in runs]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_the_checkpoint_of_another_trial_is_refused(small_spec, small_data, tmp_path):
    drain(run_trial(small_spec, small_data, files(tmp_path)))
    with pytest.raises(ConfigError, match=r"last.safetensors: is the checkpoint of another trial"):
        drain(run_trial(small_spec.model_copy(update={"seed": 2}), small_data, files(tmp_path)))


def test_slices_are_counted_by_patient(small_data):
    counts = small_data.slices_per_patient()
    assert counts == {patient: len(small_data.slices((patient,))) for patient in small_data.dataset.patients}
    assert sum(counts.values()) == len(small_data.prepared.labels)
