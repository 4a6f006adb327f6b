"""`bench run` with results in an object store: killed, run again, read from there."""

import os
import signal
import subprocess
import sys
import time

import pytest
from object_store import serve

from bench.results.object_stores import opened
from bench.results.store import Store

SUITE = """
suite: tiny
tasks:
  - {name: phantom-lung, image_size: [32, 32], phantom: {patients: 18, seed: 5}}
models:
  - {name: unet, options: {features: [4, 8]}}
losses: [ce_dice]
train: {epochs: 2, steps_per_epoch: 4, batch_size: 4, learning_rate: 1e-2}
tune:
  budget: {trials: 2}
  epochs: 1
  space:
    train.learning_rate: {low: 1e-3, high: 2e-2, log: true}
final: {folds: [0], seeds: [0]}
resources: {cpus: 1, memory_gb: 1}
keep_predictions: true
"""
ROOT = "s3://bucket/prefix"


@pytest.fixture
def bench(tmp_path, monkeypatch):
    (tmp_path / "tiny.yaml").write_text(SUITE)
    with serve() as store:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "me",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_ENDPOINT_URL": store.url,
            "MEDSEG_CACHE": str(tmp_path / "cache"),
            "COLUMNS": "140",
        }.items():
            monkeypatch.setenv(name, value)
        opened.cache_clear()

        def start(*arguments):
            return subprocess.Popen(
                [sys.executable, "-m", "bench", *arguments],
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

        yield start, store
        opened.cache_clear()


def test_a_killed_run_goes_on_and_its_results_are_read_from_there(bench):
    start, store = bench
    run = ("run", "tiny.yaml", "--cpus", "1", "--results", ROOT)
    first = start(*run)
    end = time.monotonic() + 240
    while not Store(f"{ROOT}/tiny").parts():
        assert first.poll() is None, first.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.1)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    kept = Store(f"{ROOT}/tiny").trials()["trial"].tolist()
    # The one that was killed holds nothing: its lease is not waited for.
    output, _ = start(*run).communicate(timeout=240)
    assert "3 of 3 are complete in s3://bucket/prefix/tiny" in output
    trials = Store(f"{ROOT}/tiny").trials()
    assert (trials["status"].tolist(), trials["attempt"].max()) == (["complete"] * 3, 1)
    assert set(kept) < set(trials["trial"])
    assert trials["node"].notna().all()
    (final,) = trials.loc[trials["phase"] == "final", "trial"]
    names = store.names()
    assert f"prefix/tiny/weights/{final}.safetensors" in names
    assert f"prefix/tiny/predictions/{final}/index.json" in names
    assert not [name for name in names if name.endswith(".json") and "/lock/" in name]
    output, _ = start("leaderboard", f"{ROOT}/tiny").communicate(timeout=100)
    assert "phantom-lung: " in output
