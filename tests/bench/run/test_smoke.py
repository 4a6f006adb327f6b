"""`bench run suites/full.yaml --scale smoke`: the shipped suite through the whole engine, and what that leaves."""

import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest

from bench.results.store import Store
from bench.suite import load_suite

FULL = Path(__file__).parents[3] / "suites" / "full.yaml"


def bench(folder: Path, *words: str) -> str:
    # Data that lie about are not to be used.
    environment = {**os.environ, "MEDSEG_DATA": str(folder), "COLUMNS": "160"}
    command = [sys.executable, "-m", "bench", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("smoke")
    return folder, bench(folder, "run", str(FULL), "--scale", "smoke", "--data", "acdc=/nowhere")


@pytest.fixture(scope="module")
def trials(ran: tuple[Path, str]) -> pd.DataFrame:
    return Store(ran[0] / "results" / "full-smoke").trials()


def test_one_line_says_what_was_made_small(ran: tuple[Path, str]) -> None:
    assert ran[1].splitlines()[0] == (
        "smoke: generated data; tiny networks; 35 of 140 studies, in which any two of a model, a loss and a task "
        "meet; 2 tuning trials and 1 final each, of 2 epochs of 2 steps; no claims"
    )


def test_every_trial_is_trained_to_its_end(trials: pd.DataFrame) -> None:
    assert (trials["status"] == "complete").all()
    assert (trials["steps"] == 4).all()
    assert (trials["parameters"] < 50_000).all()
    counts = trials.groupby(["task", "entry", "phase"]).size().unstack("phase")
    assert len(counts) == 35
    assert (counts["tune"] == 2).all()
    assert (counts["final"] == 1).all()
    # The default, and one that the sampler drew.
    assert trials[trials["phase"] == "tune"].groupby("study")["setting"].nunique().eq(2).all()


def test_any_two_of_a_model_a_loss_and_a_task_of_the_suite_meet(trials: pd.DataFrame) -> None:
    suite = load_suite(FULL).suite
    named = {
        "task": [entry.title for entry in suite.tasks],
        "model": [entry.title for entry in suite.models],
        "loss": [entry.title for entry in suite.losses],
    }
    for one, other in combinations(named, 2):
        met = set(zip(trials[one], trials[other], strict=True))
        assert met == {(a, b) for a in named[one] for b in named[other]}


def test_the_leaderboard_says_smoke(ran: tuple[Path, str]) -> None:
    text = bench(ran[0], "leaderboard", "--task", "covid-lung", "--format", "md")
    assert text.startswith("**Smoke run: generated data")
    assert "covid-lung" in text


def test_nothing_lies_where_the_real_results_belong(ran: tuple[Path, str]) -> None:
    assert [path.name for path in (ran[0] / "results").iterdir()] == ["full-smoke"]


def test_the_same_command_again_has_nothing_to_do(ran: tuple[Path, str]) -> None:
    assert "105 of 105 trials are complete" in bench(ran[0], "run", str(FULL), "--scale", "smoke")
