"""Interrupted, killed, or spread over processes: the same numbers."""

import os
import signal
import socket
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from medseg.config import Component
from medseg.training.checkpoint import load_weights
from medseg.training.outcome import InterruptedTrialError
from medseg.training.trial import TrialFiles, run_trial


def drain(events):
    while True:
        try:
            next(events)
        except StopIteration as end:
            return end.value


def files(folder, **more):
    return TrialFiles(folder / "last.safetensors", folder / "best.safetensors", **more)


def plain(rows):
    return [{key: repr(value) for key, value in row.items() if key != "wall_s"} for row in rows]


def assert_same(first, second, folders):
    assert plain(first.cases) == plain(second.cases)
    assert plain(first.curves) == plain(second.curves)
    weights = [(folder / "best.safetensors").read_bytes() for folder in folders]
    assert weights[0] == weights[1]


def stop_at(call):
    """Asks to stop at the n-th step."""
    calls = iter(range(10**9))
    return lambda: next(calls) == call


def changed(spec, **train):
    return spec.model_copy(update={"train": spec.train.model_copy(update=train)})


SETTINGS = {
    "adam": {"optimizer": "adam", "schedule": "plateau"},
    "sgd in bf16": {"optimizer": "sgd", "schedule": "polynomial", "precision": "bf16"},
    "adamw, averaged, in parts": {"optimizer": "adamw", "ema_decay": 0.9, "micro_batch": 3},
    "patches": {"patch_size": (16, 16), "schedule": "step"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_stopped_and_continued_equals_unbroken(small_spec, small_data, tmp_path, name):
    spec = changed(small_spec, **SETTINGS[name])
    unbroken = drain(run_trial(spec, small_data, files(tmp_path / "unbroken")))
    for step in (0, 4, 6, 11):
        folder = tmp_path / f"at {step}"
        # Asked before each step, and after each of an epoch's 3 validation cases.
        asked = step + 3 * (step // 6)
        with pytest.raises(InterruptedTrialError, match=f"stopped after step {step}"):
            drain(run_trial(spec, small_data, files(folder), stop_at(asked)))
        assert files(folder).checkpoint.exists()
        continued = drain(run_trial(spec, small_data, files(folder)))
        assert_same(continued, unbroken, (folder, tmp_path / "unbroken"))


def test_stopped_at_every_step_and_continued_equals_unbroken(small_spec, small_data, tmp_path):
    spec = changed(small_spec, epochs=2, steps_per_epoch=3, schedule="plateau", ema_decay=0.9)
    unbroken = drain(run_trial(spec, small_data, files(tmp_path / "unbroken")))
    broken = files(tmp_path / "broken")
    for _ in range(5):
        with pytest.raises(InterruptedTrialError):
            drain(run_trial(spec, small_data, broken, stop_at(1)))
    assert_same(
        drain(run_trial(spec, small_data, broken)), unbroken, (tmp_path / "broken", tmp_path / "unbroken")
    )


KILLED = """
import os, pickle, signal, sys
import torch
from medseg.training.trial import run_trial
torch.set_num_threads(1)
with open(sys.argv[1], "rb") as file:
    spec, data, files = pickle.load(file)
calls = iter(range(10**9))
def kill():
    if next(calls) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return False
for _ in run_trial(spec, data, files, kill):
    pass
"""


@pytest.fixture
def in_a_process(small_data, tmp_path):
    """Runs a trial in a process of its own that kills itself before its n-th step."""
    import pickle

    def run(spec, kept, step):
        job = tmp_path / "job.pickle"
        job.write_bytes(pickle.dumps((spec, small_data, kept)))
        command = [sys.executable, "-c", textwrap.dedent(KILLED), str(job), str(step)]
        return subprocess.run(command, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"})

    return run


def test_killed_and_continued_equals_unbroken(small_spec, small_data, tmp_path, in_a_process):
    spec = changed(small_spec, schedule="plateau", ema_decay=0.9, micro_batch=3)
    unbroken = drain(run_trial(spec, small_data, files(tmp_path / "unbroken")))
    killed = files(tmp_path / "killed", checkpoint_every_s=0.0)
    # In the middle of the second epoch; then, going on from there, after the last step of it.
    for step in (11, 8):
        assert in_a_process(spec, killed, step).returncode == -signal.SIGKILL
    events = run_trial(spec, small_data, killed)
    assert next(events).step == 18
    assert_same(drain(events), unbroken, (tmp_path / "killed", tmp_path / "unbroken"))


SHARED = """
import json, os, pickle, sys
import torch
from medseg.training.trial import run_trial
torch.set_num_threads(1)
with open(sys.argv[1], "rb") as file:
    spec, data, files = pickle.load(file)
def drain():
    events = run_trial(spec, data, files, use_cpu=True)
    while True:
        try:
            next(events)
        except StopIteration as end:
            return end.value
# The second finds the checkpoint after the last step, and has nothing to do but predict.
results = drain(), drain()
if os.environ["RANK"] == "0":
    with open(sys.argv[2], "wb") as file:
        pickle.dump(results, file)
torch.distributed.destroy_process_group()
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_two_processes_train_as_one(small_spec, small_data, tmp_path):
    """Batch norm and batch Dice over both, by gloo."""
    import pickle

    model = Component(name="unet", options={"features": [4, 8, 16]})
    spec = changed(small_spec, batch_size=16, ema_decay=0.9, optimizer="sgd", clip_norm=1.0)
    spec = spec.model_copy(update={"model": model})
    # What is kept one process predicts alone.
    shared_files = files(tmp_path / "two", checkpoint_every_s=0.0, predictions=tmp_path / "kept")
    shared_files.checkpoint.parent.mkdir()
    job, answer = tmp_path / "job.pickle", tmp_path / "answer.pickle"
    job.write_bytes(pickle.dumps((spec, small_data, shared_files)))
    common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    common |= {"MASTER_PORT": str(free_port()), "OMP_NUM_THREADS": "1"}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", SHARED, str(job), str(answer)],
            env=os.environ | common | {"RANK": rank, "LOCAL_RANK": rank},
        )
        for rank in "01"
    ]
    one = drain(run_trial(spec, small_data, files(tmp_path / "one")))
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    two, again = pickle.loads(answer.read_bytes())
    assert plain(again.cases) == plain(two.cases)
    assert len(list((tmp_path / "kept").glob("*.png"))) == len({row["case"] for row in two.cases})
    assert (two.summary["processes"], one.summary["processes"]) == (2, 1)
    losses, scores = (
        [[row[column] for row in result.curves] for result in (one, two)]
        for column in ("train_loss", "score")
    )
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    # A pixel at the threshold may fall to either side.
    np.testing.assert_allclose(scores[1], scores[0], rtol=5e-3)
    keys = [[row[name] for name in ("part", "case", "label", "metric")] for row in one.cases]
    assert [[row[name] for name in ("part", "case", "label", "metric")] for row in two.cases] == keys
    assert two.summary["value"] == pytest.approx(one.summary["value"], rel=5e-3)
    weights = [load_weights(tmp_path / name / "best.safetensors") for name in ("one", "two")]
    assert weights[0].keys() == weights[1].keys()
    for name, tensor in weights[0].items():
        np.testing.assert_allclose(weights[1][name], tensor, rtol=1e-3, atol=1e-4, err_msg=name)


def test_a_batch_that_cannot_be_shared_is_refused():
    from medseg.errors import ConfigError
    from medseg.training.processes import Processes

    class Three:
        num_processes, process_index = 3, 1

    assert list(range(12))[Processes(Three(), 12).rows] == [1, 4, 7, 10]
    with pytest.raises(ConfigError, match="batch_size: must be a multiple of the 3 processes, got 16"):
        Processes(Three(), 16)


def test_what_accelerate_was_configured_with_changes_nothing(monkeypatch):
    from medseg.training.processes import make_accelerator

    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "EAGER")
    made = make_accelerator("fp32", use_cpu=True)
    assert made.gradient_accumulation_steps == 1
    assert made.state.dynamo_plugin.backend.value == "NO"
    assert os.environ["ACCELERATE_GRADIENT_ACCUMULATION_STEPS"] == "4"
