"""The whole way as a user goes it: `bench run`, `bench leaderboard`, again, interrupted, killed, on real data."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from bench.results.store import Store

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

SUITE = """
suite: tiny
tasks:
  - {phantom: {patients: 10}, name: phantom-cardiac, image_size: [32, 32], spacing_mm: [4.8, 4.8]}
  - {name: phantom-lung, image_size: [32, 32], phantom: {patients: 18, seed: 5}}
models:
  - {name: unet, options: {features: [4, 8]}}
  - {name: resunet, options: {features: [4, 8]}}
losses: [ce_dice]
train: {epochs: 2, steps_per_epoch: %(steps)d, batch_size: 4, learning_rate: 1e-2}
tune:
  budget: {trials: 2}
  epochs: 1
  space:
    train.learning_rate: {low: 1e-3, high: 2e-2, log: true}
final: {folds: [0], seeds: [0, 1]}
resources: {cpus: 1, memory_gb: 1}
keep_predictions: true
"""
# A worker imports torch first: where nothing is to run beside something else, one is the fastest.
ONE = ("--cpus", "1")


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def bench(tmp_path, cache):
    return Bench(tmp_path, cache)


class Bench:
    """Runs `python -m bench` in its own folder."""

    def __init__(self, folder: Path, cache: Path):
        self.folder = folder
        self.environment = {**os.environ, "MEDSEG_CACHE": str(cache), "COLUMNS": "140"}
        self.environment.pop("MEDSEG_DATA", None)

    def write(self, text: str, name: str = "tiny.yaml") -> str:
        (self.folder / name).write_text(text)
        return name

    def start(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "bench", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def __call__(self, *arguments: str, code: int = 0) -> str:
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=400)
        assert process.returncode == code, output
        return output

    def store(self, name: str = "tiny") -> Store:
        return Store(self.folder / "results" / name)


def numbers(store: Store) -> pd.DataFrame:
    """All that must be the same whoever ran it, and however often it was interrupted."""
    cases = store.cases()
    columns = ["trial", "part", "case", "label", "metric", "definition", "value", "status"]
    return cases[columns].sort_values(columns[:5]).reset_index(drop=True)


def wait_for(condition, seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def committed(store: Store) -> int:
    return len(list((store.root.folder / "trials").glob("*.parquet")))


@pytest.fixture(scope="session")
def finished(tmp_path_factory, cache):
    """An undisturbed run of the tiny suite."""
    bench = Bench(tmp_path_factory.mktemp("finished"), cache)
    output = bench("run", bench.write(SUITE % {"steps": 4}))
    assert "Ran 16 trials; 16 of 16 are complete" in output
    return bench


def test_a_run_leaves_equal_budgets_and_test_rows_of_final_trials_only(finished):
    trials = finished.store().trials()
    counts = trials.groupby(["task", "entry", "phase"]).size().unstack("phase")
    assert (counts["tune"] == 2).all()
    assert (counts["final"] == 2).all()
    assert len(counts) == 4
    assert (trials["status"] == "complete").all()
    cases = finished.store().cases()
    tested = set(cases[cases["part"] == "test"]["trial"])
    assert tested == set(trials[trials["phase"] == "final"]["trial"])


def test_tuning_never_saw_the_test_patients(finished):
    trials, cases = finished.store().trials(), finished.store().cases()
    for task, ids in trials.groupby("task")["trial"]:
        mine = cases[cases["trial"].isin(ids)]
        tested = set(mine[mine["part"] == "test"]["patient"])
        validated = set(mine[mine["part"] == "validation"]["patient"])
        assert tested, task
        assert not tested & validated, task


def test_the_default_setting_is_the_first_trial_and_finals_use_the_best(finished):
    trials = finished.store().trials()
    for _, study in trials.groupby("study"):
        tune = study[study["phase"] == "tune"].sort_values("number")
        first = json.loads(tune.iloc[0]["setting_json"])
        assert first["train.learning_rate"] == 1e-2
        best = tune.loc[tune["value"].idxmax(), "setting"]
        assert set(study[study["phase"] == "final"]["setting"]) == {best}


def test_the_leaderboard_shows_both_tasks_with_what_was_promised(finished):
    output = finished("leaderboard")
    for word in (
        "phantom-cardiac",
        "phantom-lung",
        "unet",
        "resunet",
        "HD95",
        "(mm)",
        "(px)",
        "params",
        "p",
    ):
        assert word in output
    rows = json.loads(finished("leaderboard", "--format", "json"))
    assert rows


def test_running_again_trains_nothing_and_says_so(finished):
    before = committed(finished.store())
    output = finished("run", "tiny.yaml")
    assert "Nothing to do: 16 of 16 trials are complete" in output
    assert committed(finished.store()) == before


def test_kept_predictions_are_measured_again_as_in_training(finished, bench):
    shutil.copytree(finished.folder / "results", bench.folder / "results")
    output = bench("rescore", "tiny", "--metrics", "dice,hd95,nsd,masd")
    assert "to 8 of 8 final trials in results/tiny:\n  masd/erode1/meandir/v1: " in output
    assert output.count("\n") == 2, "what training measured has the same numbers"
    assert "Nothing to do" in bench("rescore", "tiny", "--metrics", "dice,hd95,nsd,masd")
    before, after = numbers(finished.store()), numbers(bench.store())
    kept = after[after["metric"] != "masd"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before)
    bench("leaderboard", "tiny")


def test_adding_a_seed_trains_only_that(finished, bench):
    shutil.copytree(finished.folder / "results", bench.folder / "results")
    more = (SUITE % {"steps": 4}).replace("seeds: [0, 1]", "seeds: [0, 1, 2]")
    assert "Ran 4 trials; 20 of 20 are complete" in bench("run", bench.write(more), *ONE)


def test_renaming_an_entry_and_dropping_a_seed_train_nothing_and_are_shown(finished, bench):
    shutil.copytree(finished.folder / "results", bench.folder / "results")
    text = (SUITE % {"steps": 4}).replace("seeds: [0, 1]", "seeds: [1]")
    text = text.replace("{name: unet, options", "{name: unet, label: Plain U-Net, options")
    assert "Nothing to do: 12 of 12 trials are complete" in bench("run", bench.write(text))
    board = bench("leaderboard")
    assert "Plain U-Net" in board
    assert "1 fold x 1 seeds" in board or "1 fold x 1 seed" in board
    assert "not ranked" not in board
    assert "incomplete" not in board


def test_a_changed_plug_in_is_trained_anew_not_reused(bench):
    plug = (
        "from torch import nn\n"
        "class Net(nn.Conv2d):\n"
        "    def __init__(self, in_channels, out_channels):\n"
        "        super().__init__(in_channels, out_channels, KERNEL, padding=KERNEL // 2)\n"
    )
    text = """
suite: plug
tasks: [{name: phantom-lung, image_size: [32, 32], phantom: {patients: 18, seed: 5}}]
models: ["my_net:Net"]
losses: [ce]
train: {epochs: 1, steps_per_epoch: 2, batch_size: 4}
"""
    (bench.folder / "my_net.py").write_text(plug.replace("KERNEL", "3"))
    assert "1 of 1 are complete" in bench("run", bench.write(text), *ONE)
    assert "Nothing to do" in bench("run", "tiny.yaml")
    (bench.folder / "my_net.py").write_text(plug.replace("KERNEL", "5"))
    assert "Ran 1 trial; 1 of 1 are complete" in bench("run", "tiny.yaml", *ONE)
    assert sorted(bench.store("plug").trials()["parameters"]) == [10, 26]


def test_sigterm_stops_cleanly_too(bench):
    process = bench.start("run", bench.write(SUITE % {"steps": 100}))
    wait_for(lambda: committed(bench.store()) >= 1)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert "Interrupted" in output
    assert list((bench.store().root.folder / "checkpoints").glob("*.safetensors"))


def test_interrupted_and_killed_runs_end_with_the_same_numbers(finished, bench):
    suite = bench.write(SUITE % {"steps": 4})
    process = bench.start("run", suite)
    wait_for(lambda: committed(bench.store()) >= 3)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert "Interrupted" in output
    partial = committed(bench.store())
    assert partial < 16

    process = bench.start("run", suite)
    wait_for(lambda: committed(bench.store()) >= min(partial + 2, 12))
    process.kill()
    process.communicate()
    # The killed driver's Ray ends by itself; until then its workers may still be writing.
    output = bench("run", suite)
    assert "16 of 16 are complete" in output
    pd.testing.assert_frame_equal(numbers(bench.store()), numbers(finished.store()))


def test_a_worker_that_is_killed_is_replaced(bench):
    text = (SUITE % {"steps": 30}).replace("trials: 2", "trials: 1").replace("seeds: [0, 1]", "seeds: [0]")
    suite = bench.write(text)
    process = bench.start("run", suite)
    wait_for(lambda: committed(bench.store()) >= 1)
    children = psutil.Process(process.pid).children(recursive=True)
    workers = [child for child in children if re.match("ray::.*Trainable", " ".join(child.cmdline()))]
    workers[0].kill()
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "8 of 8 are complete" in output


def test_a_trial_that_diverges_is_a_row_and_the_rest_goes_on(bench):
    text = re.sub("  - .*phantom-cardiac.*\n", "", SUITE % {"steps": 4})
    wild = text.replace(
        "{name: resunet, options: {features: [4, 8]}}",
        "{name: resunet, options: {features: [4, 8]}, space: {train.learning_rate: {low: 1e29, high: 1e30}}, "
        "train: {learning_rate: 1e30, optimizer: sgd, clip_norm: null}}",
    )
    output = bench("run", bench.write(wild), *ONE, code=1)
    assert "diverged: the loss is not finite at step" in output
    trials = bench.store().trials()
    assert set(trials[trials["model"] == "resunet"]["status"]) == {"diverged"}
    assert set(trials[trials["model"] == "unet"]["status"]) == {"complete"}
    assert "unet" in bench("leaderboard")


def test_a_second_run_on_the_same_results_is_told_who_holds_them(bench):
    suite = bench.write(SUITE % {"steps": 30})
    process = bench.start("run", suite, *ONE)
    wait_for(lambda: committed(bench.store()) >= 1)
    output = bench("run", suite, code=4)
    assert str(process.pid) in output
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (("losses:", "loses:"), 2, "tiny.yaml:8:1: unknown key 'loses', did you mean 'losses'?"),
        (("name: unet,", "name: unett,"), 2, "did you mean 'unet'?"),
        (("[ce_dice]", "[ce_dise]"), 2, "did you mean 'ce_dice'?"),
        (("phantom-lung", "phantom-lungs"), 2, "did you mean 'phantom-lung'?"),
        (("epochs: 2,", "epochs: two,"), 2, "tiny.yaml:9:17: train.epochs must be a whole number, got 'two'"),
        (("image_size: [32, 32], phantom", "image_size: [33, 32], phantom"), 2, "divisible by 2"),
        (
            ("{phantom: {patients: 10}, name: phantom-cardiac,", "{name: acdc-multiclass,"),
            3,
            "--data acdc=PATH",
        ),
    ],
)
def test_a_wrong_suite_is_refused_before_anything_starts(bench, change, code, message):
    suite = bench.write((SUITE % {"steps": 4}).lstrip().replace(*change))
    output = bench("run", suite, code=code)
    assert message in output
    assert "Traceback" not in output
    assert not (bench.folder / "results").exists()


@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data with the real subsets")
def test_real_data_end_to_end(bench):
    suite = (Path(__file__).resolve().parents[1] / "suites" / "real-mini.yaml").read_text()
    small = (
        suite.replace("[128, 128]", "[32, 32]")
        .replace("[8, 16, 32, 64, 128]", "[4, 8]")
        .replace("steps_per_epoch: 40", "steps_per_epoch: 2")
        .replace("epochs: 8", "epochs: 2")
        .replace("epochs: 3", "epochs: 1")
        .replace("trials: 2", "trials: 1")
        .replace("seeds: [0, 1]", "seeds: [0]")
    )
    name = bench.write(small, "real.yaml")
    data = (f"acdc={SHARED / 'acdc'}", f"covid={SHARED / 'covid'}")
    output = bench("run", name, "--data", data[0], "--data", data[1], *ONE)
    assert "are complete" in output
    board = bench("leaderboard")
    assert "acdc-multiclass" in board
    assert "covid-lung" in board
    patients = bench.store("real-mini").cases().groupby("part")["patient"].nunique()
    assert patients["test"] >= 4
