"""`bench run --timeout` of a model that hangs for good, within one step."""

import os
import subprocess
import sys

from bench.results.store import Store

SUITE = """
suite: hung
tasks: [{name: phantom-lung, image_size: [32, 32], phantom: {patients: 12, seed: 3}}]
models: [{name: "hanging:Hanging"}]
losses: [ce_dice]
train: {epochs: 1, steps_per_epoch: 2, batch_size: 4}
final: {folds: [0], seeds: [0]}
resources: {cpus: 1, memory_gb: 1}
"""
MODEL = """
import sys
import time

from torch import nn


class Hanging(nn.Conv2d):
    def __init__(self, in_channels, out_channels):
        super().__init__(in_channels, out_channels, 1)
        if "default_worker" in sys.argv[0]:
            time.sleep(10**6)
"""
# `bench`, less patient.
BENCH = """
import sys
from dataclasses import replace

from bench.cli.main import main
from bench.cli.run_command import Asked
from bench.run.hung import Graces

options = Asked.options
Asked.options = lambda *told: replace(options(*told), graces=Graces(limit_s=1.0))
sys.exit(main())
"""


def test_a_trial_that_hangs_ends_as_a_timeout(tmp_path):
    for name, text in (("hung.yaml", SUITE), ("hanging.py", MODEL), ("patience.py", BENCH)):
        (tmp_path / name).write_text(text)
    command = (sys.executable, "patience.py", "run", "hung.yaml", "--timeout", "3", "--cpus", "1")
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "140"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    row = Store(tmp_path / "results" / "hung").trials().iloc[0]
    assert (row["status"], row["attempt"]) == ("timeout", 1)
    assert row["detail"] == "the trial ran longer than 3 s; its worker hung and was ended"
    assert row["device_s"] > 4
