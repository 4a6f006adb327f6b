"""`bench run` of trials of two processes: killed, and finished by trials of one."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil

from bench.results.store import Store

SUITE = """
suite: two
tasks:
  - {name: phantom-lung, image_size: [32, 32], phantom: {patients: 12, seed: 3}}
models:
  - {name: unet, options: {features: [4, 8]}}
losses: [ce_dice]
train: {epochs: 60, steps_per_epoch: 10, batch_size: 4, learning_rate: 1e-2}
tune:
  budget: {trials: 2}
  epochs: 1
  space:
    train.learning_rate: {low: 1e-3, high: 2e-2, log: true}
final: {folds: [0], seeds: [0]}
resources: {cpus: 2, memory_gb: 1, processes: %(processes)d}
"""


def start(folder):
    # Not a pipe: what Ray leaves for a while after a SIGKILL would hold it open.
    with open(folder / "log.txt", "w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "bench", "run", "two.yaml"],
            cwd=folder,
            env={**os.environ, "COLUMNS": "140"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def trials(folder):
    return Store(folder / "results" / "two").trials()


def wait_for(condition, seconds=240.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def ranks(driver):
    """The training processes that a run has now."""
    found = []
    for process in psutil.Process(driver.pid).children(recursive=True):
        try:
            if process.cmdline()[:1] and process.cmdline()[0].startswith("ray::Rank"):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_a_run_of_two_processes_a_trial_is_killed_and_finished_by_one(tmp_path):
    (tmp_path / "two.yaml").write_text(SUITE % {"processes": 2})
    driver = start(tmp_path)
    seen = set()

    def is_final():
        seen.update(ranks(driver))
        assert driver.poll() is None, (tmp_path / "log.txt").read_text()
        return len(list((tmp_path / "results" / "two" / "trials").glob("*.parquet"))) == 2

    wait_for(is_final)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert psutil.wait_procs(seen, timeout=60)[1] == []
    # The same two served all trials.
    assert len(seen) == 2
    assert trials(tmp_path)["processes"].tolist() == [2, 2]

    (tmp_path / "two.yaml").write_text(SUITE % {"processes": 1})
    driver = start(tmp_path)
    assert driver.wait(timeout=300) == 0, (tmp_path / "log.txt").read_text()
    rows = trials(tmp_path)
    assert rows.groupby("phase")["processes"].agg(list).to_dict() == {"final": [1], "tune": [2, 2]}
    assert set(rows["status"]) == {"complete"}
    # What was tuned by two processes is what one trains with.
    chosen = rows.loc[rows[rows["phase"] == "tune"]["value"].idxmax(), "setting_json"]
    assert json.loads(rows[rows["phase"] == "final"]["setting_json"].item()) == json.loads(chosen)
