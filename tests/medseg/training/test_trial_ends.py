"""How a trial ends when something goes wrong, and what it leaves."""

import subprocess
import textwrap
from contextlib import suppress
from dataclasses import replace

import pytest
import torch

from medseg.config import Component
from medseg.errors import DataError
from medseg.training.outcome import InterruptedTrialError, PrunedError, StorageError, TimeLimitError
from medseg.training.trial import TrialFiles, run_trial

MODELS = """
import torch
from torch import nn

class Hungry(nn.Module):
    '''Does not fit into memory with more than so many images at once.'''

    most = 3

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.body = nn.Conv2d(in_channels, out_channels, 3, padding=1)

    def forward(self, images):
        if self.training and len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB.\\n(more)")
        return self.body(images)

class Blind(Hungry):
    '''Fits in training, but predicts no more than so many images at once.'''

    sees = 3

    def forward(self, images):
        if not self.training and len(images) > self.sees:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
        return self.body(images)

class Starving(Hungry):
    most = 0

class Dead(nn.Module):
    '''One number for every pixel of every image: nothing but a prior can be learned.'''

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(out_channels, 1, 1))

    def forward(self, images):
        return self.bias.expand(len(images), -1, *images.shape[2:])
"""


@pytest.fixture
def odd_models(tmp_path, monkeypatch):
    (tmp_path / "odd_models.py").write_text(textwrap.dedent(MODELS))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "odd_models", raising=False)


def drain(events):
    epochs = []
    while True:
        try:
            epochs.append(next(events))
        except StopIteration as end:
            return epochs, end.value


def files(folder, **more):
    return TrialFiles(folder / "last.safetensors", folder / "best.safetensors", **more)


def plain(rows):
    return [{key: repr(value) for key, value in row.items() if key != "wall_s"} for row in rows]


def changed(spec, model=None, **train):
    update = {"train": spec.train.model_copy(update=train)}
    return spec.model_copy(update=update | ({"model": Component(name=model)} if model else {}))


def test_a_loss_that_is_not_finite_is_divergence_with_its_step(small_spec, small_data, tmp_path):
    wild = changed(
        small_spec, learning_rate=1e30, clip_norm=None, optimizer="sgd", schedule="constant", epochs=2
    )
    epochs, result = drain(run_trial(wild, small_data, files(tmp_path)))
    assert (epochs, result.status, result.cases) == ([], "diverged", [])
    step = int(result.detail.removeprefix("the loss is not finite at step "))
    assert 1 <= step <= 5
    assert result.summary["steps"] == 6
    assert result.summary["best_epoch"] is None
    assert result.summary["wall_s"] > 0
    assert not files(tmp_path).weights.exists()


def test_a_network_that_learns_nothing_is_divergence(small_spec, small_data, tmp_path, odd_models):
    dead = changed(small_spec, "odd_models:Dead", stalled_epochs=2, learning_rate=1e-9, epochs=9)
    epochs, result = drain(run_trial(dead, small_data, files(tmp_path)))
    assert result.status == "diverged"
    assert result.detail.startswith("no learning: for 2 epochs up to step 12 ")
    assert len(epochs) == 1
    assert [row["epoch"] for row in result.curves] == [1, 2]
    patient = changed(dead, stalled_epochs=None, epochs=3)
    _, patient = drain(run_trial(patient, small_data, files(tmp_path / "patient")))
    assert patient.status == "complete"


def test_out_of_memory_halves_the_micro_batch_at_the_same_batch(small_spec, small_data, tmp_path, odd_models):
    hungry = changed(small_spec, "odd_models:Hungry", batch_size=7)
    _, result = drain(run_trial(hungry, small_data, files(tmp_path / "halved")))
    assert result.status == "complete"
    assert (result.summary["batch_size"], result.summary["micro_batch"]) == (7, 2)
    assert result.summary["notes"] == (
        "out of memory with 7 slices at once at step 0: goes on with 4; "
        "out of memory with 4 slices at once at step 0: goes on with 2"
    )
    # As if it had been asked for.
    asked = changed(hungry, micro_batch=2)
    _, wanted = drain(run_trial(asked, small_data, files(tmp_path / "asked")))
    assert wanted.summary["notes"] == ""
    assert plain(result.cases) == plain(wanted.cases)
    assert plain(result.curves) == plain(wanted.curves)


def test_out_of_memory_later_goes_on_from_the_last_checkpoint(
    small_spec, small_data, tmp_path, odd_models, monkeypatch
):
    import odd_models as models

    spec = changed(small_spec, "odd_models:Hungry", batch_size=4)
    monkeypatch.setattr(models.Hungry, "most", 4)

    def shrink_at(step):
        calls = iter(range(10**6))

        def ask():
            if next(calls) == step:
                monkeypatch.setattr(models.Hungry, "most", 2)
            return False

        return ask

    kept = files(tmp_path, checkpoint_every_s=0.0)
    epochs, result = drain(run_trial(spec, small_data, kept, shrink_at(11)))
    assert result.status == "complete"
    assert result.summary["micro_batch"] == 2
    assert "at step 8: goes on with 2" in result.summary["notes"]
    assert [e.step for e in epochs] == [6, 12, 18]


def test_out_of_memory_with_a_single_slice_ends_as_oom(small_spec, small_data, tmp_path, odd_models):
    epochs, result = drain(run_trial(changed(small_spec, "odd_models:Starving"), small_data, files(tmp_path)))
    assert (epochs, result.status) == ([], "oom")
    assert result.detail == "one slice at a time does not fit: CUDA out of memory. Tried to allocate 1 GiB."
    assert (result.summary["micro_batch"], result.summary["steps"]) == (1, 0)


def test_out_of_memory_in_prediction_leaves_training_as_it_was(
    small_spec, small_data, tmp_path, odd_models, monkeypatch
):
    import odd_models as models

    spec = changed(small_spec, "odd_models:Blind")
    _, result = drain(run_trial(spec, small_data, files(tmp_path / "few")))
    assert (result.status, result.summary["micro_batch"]) == ("complete", 4)
    assert result.summary["notes"] == "out of memory in prediction: goes on with 2 slices at once"
    monkeypatch.setattr(models.Blind, "sees", 99)
    _, wanted = drain(run_trial(spec, small_data, files(tmp_path / "all")))
    assert plain(result.cases) == plain(wanted.cases)
    monkeypatch.setattr(models.Blind, "sees", 0)
    _, blind = drain(run_trial(spec, small_data, files(tmp_path / "none")))
    assert blind.status == "oom"
    assert blind.detail.startswith("predicting a single slice does not fit: [enforce fail")


def test_weights_that_are_not_finite_are_never_kept(
    small_spec, small_data, tmp_path, odd_models, monkeypatch
):
    import odd_models as models

    def poisoned(self, images):
        # The loss is finite; what the step makes of the weights is not.
        self.body.weight.register_hook(lambda gradient: gradient * torch.nan)
        return self.body(images)

    monkeypatch.setattr(models.Hungry, "forward", poisoned)
    spec = changed(small_spec, "odd_models:Hungry", epochs=1, steps_per_epoch=1)
    _, result = drain(run_trial(spec, small_data, files(tmp_path)))
    assert (result.status, result.detail) == ("diverged", "weights are not finite after step 0")


def test_a_limit_of_time_keeps_the_checkpoint(small_spec, small_data, tmp_path):
    calls = iter(range(10**6))

    def ask():
        if next(calls) == 11:
            raise TimeLimitError("the trial ran longer than 3 s")
        return False

    epochs, result = drain(run_trial(small_spec, small_data, files(tmp_path / "late"), ask))
    assert (result.status, result.detail) == ("timeout", "the trial ran longer than 3 s")
    assert len(epochs) == len(result.curves) == 1
    assert result.summary["steps"] == 8
    _, continued = drain(run_trial(small_spec, small_data, files(tmp_path / "late")))
    _, unbroken = drain(run_trial(small_spec, small_data, files(tmp_path / "unbroken")))
    assert plain(continued.cases) == plain(unbroken.cases)


def test_a_pruned_trial_leaves_its_cost_and_its_curve(small_spec, small_data, tmp_path):
    seen = []

    def ask():
        if seen:
            raise PrunedError("its scores say so")
        return False

    events = run_trial(small_spec, small_data, files(tmp_path), ask)
    seen.append(next(events))
    epochs, result = drain(events)
    assert epochs == []
    assert (result.status, result.detail) == ("pruned", "its scores say so")
    assert [row["score"] for row in result.curves] == [seen[0].score]
    assert result.summary["steps"] == seen[0].step
    assert result.summary["device_s"] > 0
    assert result.cases == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few hundred kilobytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path):
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_full_disk_stops_the_trial_and_it_goes_on_once_there_is_room(small_spec, small_data, small_disk):
    kept = files(small_disk, checkpoint_every_s=0.0)
    spec = changed(small_spec, optimizer="sgd")
    filler = small_disk / "filler"

    def fill_at(step):
        calls = iter(range(10**6))

        def ask():
            if next(calls) == step:
                fill(filler)
            return False

        return ask

    with pytest.raises(StorageError, match=r"last.safetensors: No space left on device"):
        drain(run_trial(spec, small_data, kept, fill_at(11)))
    filler.unlink()
    events = run_trial(spec, small_data, kept)
    assert next(events).step == 12
    _, continued = drain(events)
    _, unbroken = drain(run_trial(spec, small_data, files(small_disk.parent)))
    assert plain(continued.cases) == plain(unbroken.cases)
    assert plain(continued.curves) == plain(unbroken.curves)


def test_an_error_of_the_model_is_raised(small_spec, small_data, tmp_path, odd_models, monkeypatch):
    import odd_models as models

    def broken(self, images):
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(models.Hungry, "forward", broken)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        drain(run_trial(changed(small_spec, "odd_models:Hungry"), small_data, files(tmp_path)))


def test_a_stop_during_the_first_step_leaves_a_checkpoint(small_spec, small_data, tmp_path):
    with pytest.raises(InterruptedTrialError):
        drain(run_trial(small_spec, small_data, files(tmp_path), lambda: True))
    assert files(tmp_path).checkpoint.exists()
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("status", "stays"), [("complete", False), ("pruned", False), ("diverged", False), ("timeout", True)]
)
def test_a_checkpoint_goes_once_nothing_can_go_on_from_it(tmp_path, status, stays):
    kept = files(tmp_path)
    kept.checkpoint.write_bytes(b"x")
    kept.forget(status)
    assert kept.checkpoint.exists() == stays


def test_the_first_epoch_after_a_stop_tells_the_scores_before_it(small_spec, small_data, tmp_path):
    kept = files(tmp_path / "stopped", checkpoint_every_s=0.0)
    whole, _ = drain(run_trial(changed(small_spec, epochs=4), small_data, files(tmp_path / "whole")))
    assert [epoch.earlier for epoch in whole] == [()] * 4
    events = run_trial(changed(small_spec, epochs=4), small_data, kept)
    next(events), next(events)
    events.close()
    rest, _ = drain(run_trial(changed(small_spec, epochs=4), small_data, kept))
    assert [epoch.epoch for epoch in rest] == [3, 4]
    assert [epoch.earlier for epoch in rest] == [tuple(epoch.score for epoch in whole[:2]), ()]


def test_killed_between_training_and_writing_goes_on_from_the_checkpoint(small_spec, small_data, tmp_path):
    kept = files(tmp_path, checkpoint_every_s=0.0)
    _, first = drain(run_trial(small_spec, small_data, kept))
    assert kept.checkpoint.exists()
    epochs, second = drain(run_trial(small_spec, small_data, kept))
    assert epochs == []
    assert plain(first.cases) == plain(second.cases)
    assert plain(first.curves) == plain(second.curves)


@pytest.mark.parametrize("call", [6, 17, 26, 28])
def test_stopped_in_a_validation_or_the_final_evaluation_goes_on(small_spec, small_data, tmp_path, call):
    """Asked once per step and once per case: an epoch is 6 steps and 3 cases."""
    _, unbroken = drain(run_trial(small_spec, small_data, files(tmp_path / "unbroken")))
    calls = iter(range(10**6))
    with pytest.raises(InterruptedTrialError, match="in an evaluation, checkpoint saved"):
        drain(run_trial(small_spec, small_data, files(tmp_path / "broken"), lambda: next(calls) == call))
    _, continued = drain(run_trial(small_spec, small_data, files(tmp_path / "broken")))
    assert plain(continued.cases) == plain(unbroken.cases)
    assert plain(continued.curves) == plain(unbroken.curves)


def test_training_data_without_foreground_are_refused(small_spec, small_data, tmp_path):
    counts = small_data.prepared.counts.copy()
    counts[:, 1:] = 0
    empty = replace(small_data, prepared=replace(small_data.prepared, counts=counts))
    with pytest.raises(DataError, match="no training slice of fold 0 holds any of lung"):
        drain(run_trial(small_spec, empty, files(tmp_path)))
