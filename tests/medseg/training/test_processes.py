"""Two processes of one trial, by gloo: they end together whoever wants it, and what is lost is known."""

import os
import pickle
import socket
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from torch import nn

from medseg.config import Component
from medseg.training import agree as agreement
from medseg.training.agree import ENDS, agree, wish_to_end
from medseg.training.checkpoint import load_state
from medseg.training.config import TrainConfig, TrialSpec
from medseg.training.outcome import (
    DivergedError,
    InterruptedTrialError,
    PrunedError,
    TimeLimitError,
    classify,
    is_lost_process,
)
from medseg.training.trial import Again, TrialFiles, run_trial
from medseg.training.trial_data import ShareMemoryError
from medseg.training.unused import may_leave_unused

MODELS = """
import torch
from torch import nn

class Spare(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.used = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.spare = nn.Conv2d(in_channels, out_channels, 3, padding=1)

    def forward(self, images):
        return self.used(images)
"""

PART = """
import os, pickle, sys
from pathlib import Path
import torch
from medseg.training import trial
from medseg.training.loop import Loop
from medseg.training.outcome import PrunedError, TimeLimitError, classify
from medseg.training.trial import TrialFiles, run_trial
torch.set_num_threads(1)
folder, second = sys.argv[1], os.environ["RANK"] == "1"
with open(folder + "/job.pickle", "rb") as file:
    spec, spare, data = pickle.load(file)

def train(name, spec, should_stop=lambda: False):
    files = TrialFiles(Path(folder, name, "last.safetensors"), checkpoint_every_s=0.0)
    events = run_trial(spec, data, files, should_stop, use_cpu=True)
    epochs = 0
    while True:
        try:
            next(events)
            epochs += 1
        except StopIteration as end:
            return epochs, end.value
        except Exception as error:
            return epochs, (type(error).__name__, *classify(error), getattr(error, "again", None))

def only_the_second(call, error=None):
    calls = iter(range(10**9))
    def ask():
        if not second or next(calls) != call:
            return False
        if error is not None:
            raise error
        return True
    return ask

answers = {"spare": train("spare", spare)}
for name, error in {"stop": None, "prune": PrunedError("low"), "limit": TimeLimitError("long")}.items():
    answers[name] = train(name, spec, only_the_second(1, error))
# Asked at steps 0, 10 and 20 of an epoch, then after cases.
answers["late"] = train("late", spec, only_the_second(3))

step = Loop._step
def short(self, rate):
    if second and self.progress.step == 15:
        raise MemoryError("no more")
    return step(self, rate)
Loop._step = short
answers["memory"] = train("memory", spec)
with open(f"{folder}/{os.environ['RANK']}.pickle", "wb") as file:
    pickle.dump(answers, file)
os._exit(0)
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def files(folder, name, **more):
    return TrialFiles(folder / name / "last.safetensors", folder / name / "best.safetensors", **more)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("processes")


@pytest.fixture(scope="module")
def specs(small_task, one_thread, folder):
    (folder / "spare_models.py").write_text(MODELS)
    sys.path.insert(0, str(folder))
    common = {"task": small_task, "loss": Component(name="ce_dice"), "phase": "tune", "seed": 1}
    train = TrainConfig(epochs=2, steps_per_epoch=24, batch_size=4, learning_rate=1e-2)
    yield {
        "plain": TrialSpec(model=Component(name="unet", options={"features": [4, 8]}), train=train, **common),
        "spare": TrialSpec(
            model=Component(name="spare_models:Spare"),
            train=train.model_copy(update={"steps_per_epoch": 3}),
            **common,
        ),
    }
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def answers(specs, small_data, folder):
    """What each of two processes says of each trial."""
    job = (specs["plain"], specs["spare"], small_data)
    (folder / "job.pickle").write_bytes(pickle.dumps(job))
    common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    common |= {"MASTER_PORT": str(free_port()), "OMP_NUM_THREADS": "1"}
    common["PYTHONPATH"] = os.pathsep.join([str(folder), *filter(None, sys.path)])
    parts = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PART), str(folder)],
            env=os.environ | common | {"RANK": rank, "LOCAL_RANK": rank},
        )
        for rank in "01"
    ]
    assert [part.wait(timeout=180) for part in parts] == [0, 0]
    return [pickle.loads((folder / f"{rank}.pickle").read_bytes()) for rank in "01"]


def drain(events):
    while True:
        try:
            next(events)
        except StopIteration as end:
            return end.value


def test_a_stop_that_one_of_them_sees_ends_both_at_the_same_step(answers, folder):
    for epochs, (error, status, detail, _) in (each["stop"] for each in answers):
        assert (epochs, error, status) == (0, "InterruptedTrialError", "interrupted")
        assert detail in ("stopped after step 10, checkpoint saved", "another process of the trial: stopped")
    assert load_state(files(folder, "stop").checkpoint)["progress"]["step"] == 10


@pytest.mark.parametrize(("name", "status"), [("prune", "pruned"), ("limit", "timeout")])
def test_pruning_and_the_time_limit_of_one_end_both_alike(answers, name, status):
    for epochs, result in (each[name] for each in answers):
        assert (epochs, result.status, result.summary["steps"]) == (0, status, 10)


def test_a_stop_in_an_evaluation_ends_both(answers, folder, specs, small_data):
    assert [each["late"][:1] + each["late"][1][:2] for each in answers] == [
        (0, "InterruptedTrialError", "interrupted")
    ] * 2
    # One process goes on where two stopped, and has the whole batch at once.
    assert load_state(files(folder, "late").checkpoint)["progress"]["micro_batch"] == 2
    result = drain(run_trial(specs["plain"], small_data, files(folder, "late")))
    assert (result.status, result.summary["micro_batch"]) == ("complete", 4)
    assert [row["step"] for row in result.curves] == [24, 48]


def test_parameters_without_a_gradient_hold_nobody_up(answers, specs, small_data, folder):
    (epochs, two), (_, other) = (each["spare"] for each in answers)
    assert (epochs, two.status, other.status) == (2, "complete", "complete")
    one = drain(run_trial(specs["spare"], small_data, files(folder, "one")))
    losses = [[row["train_loss"] for row in result.curves] for result in (one, two)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_memory_that_runs_out_in_one_of_them_says_how_all_go_on(answers, specs, small_data, folder):
    """Whoever started them ends the other one, which waits; here the first one ends, and the other sees that."""
    (_, first), (_, second) = (each["memory"] for each in answers)
    error, status, _, again = second
    assert (error, status, again.most_at_once) == ("ShareMemoryError", "oom", 1)
    assert again.happened == ("out of memory with 2 slices at once at step 15: goes on with 1",)
    assert (first[1], first[0]) == ("infra_lost", "RuntimeError")
    # Kept in the middle of the epoch, when they met.
    assert load_state(files(folder, "memory").checkpoint)["progress"]["step"] == 10
    result = drain(run_trial(specs["plain"], small_data, files(folder, "memory"), again=again))
    assert (result.status, result.summary["micro_batch"]) == ("complete", 1)
    assert again.happened[0] in result.summary["notes"]


class Two:
    """One of two processes, of which the other sets flags of its own."""

    count = 2

    def __init__(self, *others):
        self._others = others

    def any(self, *flags):
        return [own or other for own, other in zip(flags, self._others, strict=True)]


def test_where_they_want_to_end_for_different_reasons_both_give_the_same():
    late = TimeLimitError("long")
    with pytest.raises(TimeLimitError, match="long"):
        agree(Two(False, True, False), late)
    with pytest.raises(TimeLimitError, match="another process of the trial: out of time"):
        agree(Two(True, False, False), PrunedError("low"))
    with pytest.raises(PrunedError, match="low"):
        agree(Two(False, False, True), PrunedError("low"))
    assert agree(Two(False, False, False, True), None, False) == [True]
    assert list(agreement._WORDS) == list(ENDS)


def test_a_wish_to_end_is_no_other_error():
    assert wish_to_end(lambda: False, "stopped") is None
    assert isinstance(wish_to_end(lambda: True, "stopped"), InterruptedTrialError)

    def diverge():
        raise DivergedError(3, "NaN")

    with pytest.raises(DivergedError):
        wish_to_end(diverge, "stopped")


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (RuntimeError("[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed"), True),
        (torch.distributed.DistNetworkError("the server is gone"), True),
        (RuntimeError("size mismatch"), False),
        (OSError("/gloo/transport/"), False),
    ],
)
def test_a_process_that_is_gone_is_not_the_trials_fault(error, lost):
    assert is_lost_process(error) is lost
    assert (classify(error)[0] == "infra_lost") is lost


def test_without_whoever_starts_them_anew_memory_that_ran_out_is_that():
    again = Again().with_less(5, step=7, spent_s=1.0)
    assert (again.most_at_once, again.spent_s) == (3, 1.0)
    status, detail = classify(ShareMemoryError(again))
    assert status == "oom"
    assert "goes on" not in detail


class Shaky(nn.Module):
    """Needs numbers."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.part = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, images):
        return self.part(images) * (2.0 if float(images.sum()) > 0 else 1.0)


def test_unused_parameters_are_known_beforehand(specs, monkeypatch):
    monkeypatch.setattr(sys.modules["spare_models"], "Shaky", Shaky, raising=False)
    state = torch.random.get_rng_state()
    assert not may_leave_unused(specs["plain"].model, 1, 1, (32, 32))
    assert may_leave_unused(specs["spare"].model, 1, 1, (32, 32))
    assert may_leave_unused(Component(name="spare_models:Shaky"), 1, 1, (32, 32))
    assert torch.equal(torch.random.get_rng_state(), state)
