"""A small campaign of SIGKILL against `bench run`; benchmarks/kill_campaign.py is used here, and has a large one."""

import math
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pyarrow.parquet as pq
import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
KINDS = ("driver", "worker", "raylet")


@pytest.fixture
def script(monkeypatch):
    """Imports one of the campaign's modules."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return import_module


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """Runs a campaign with a new seed; returns its folder and what it said."""
    folder = tmp_path_factory.mktemp("kills") / "campaign"
    done = subprocess.run(
        [
            sys.executable,
            BENCHMARKS / "kill_campaign.py",
            "--kills",
            "3",
            "--size",
            "small",
            "--keep",
            folder,
        ],
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def test_killed_and_run_again_a_suite_ends_as_if_nothing_had_happened(campaign):
    _, said = campaign
    assert re.match(
        r"seed \d+; again: python benchmarks/kill_campaign.py --seed \d+ --kills 3 --size small", said
    )
    assert said.rstrip().endswith("every trial once, and as in the undisturbed run")
    assert all(re.search(rf"s: {kind}: ", said) for kind in KINDS), said


def test_a_last_bit_is_a_difference_and_so_is_a_missing_file(campaign, script, tmp_path):
    kills = script("kill_rows")
    calm, killed = (campaign[0] / name / "results" / "kills" for name in ("calm", "killed"))
    assert kills.differences(calm, killed) == []
    changed = shutil.copytree(killed, tmp_path / "changed")
    curve = next((changed / "curves").iterdir())
    table = pq.read_table(curve)
    losses = table["train_loss"].to_pylist()
    losses[0] = math.nextafter(losses[0], 1)
    place = table.column_names.index("train_loss")
    pq.write_table(table.set_column(place, table.schema.field(place), [losses]), curve)
    next((changed / "weights").iterdir()).unlink()
    curves, weights = kills.differences(calm, changed)
    assert "train_loss" in curves
    assert "in one of them only" in weights


def test_what_a_killed_run_must_not_leave(campaign, script, tmp_path):
    kills = script("kill_rows")
    killed = shutil.copytree(campaign[0] / "killed" / "results" / "kills", tmp_path / "killed")
    seen = {}
    assert kills.leavings(killed) == kills.untouched(killed, seen) == kills.untouched(killed, seen) == []
    case = next((killed / "cases").iterdir())
    shutil.copy(case, case.with_name(case.name.replace("-1.parquet", "-7.parquet")))
    (killed / "weights" / ".draft").touch()
    assert len(kills.leavings(killed)) == 2
    trial = next((killed / "trials").iterdir())
    os.utime(trial)
    assert kills.untouched(killed, seen) == [f"{trial.name} was complete and is written again"]


def test_a_seed_gives_the_same_kills_and_each_kind_before_any_comes_again(script):
    draw = script("kill_campaign").draw
    kills = draw(7, 6, KINDS, "small")
    assert kills == draw(7, 6, KINDS, "small") != draw(8, 6, KINDS, "small")
    assert sorted(kill.kind for kill in kills[:3]) == sorted(kill.kind for kill in kills[3:]) == sorted(KINDS)
