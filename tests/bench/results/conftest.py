"""Rows as a run writes them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

Rows = Callable[..., dict[str, Any]]
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def trial_row() -> Rows:
    def make(**changes: Any) -> dict[str, Any]:
        minutes = changes.pop("minutes", 0)
        row: dict[str, Any] = {
            "trial": "aaaaaaaaaaaaaaaa",
            "suite": "quick",
            "study": "study-unet",
            "phase": "final",
            "number": -1,
            "setting": "s0",
            "setting_json": json.dumps({"train.learning_rate": 0.001}),
            "spec_json": "{}",
            "task": "phantom-lung",
            "model": "unet",
            "loss": "dice",
            "entry": "unet + dice",
            "fold": 0,
            "seed": 0,
            "status": "complete",
            "detail": "",
            "attempt": 1,
            "value": 0.8,
            "metric": "dice",
            "parameters": 31_042_564,
            "epochs": 2,
            "best_epoch": 1,
            "steps": 20,
            "batch_size": 4,
            "precision": "fp32",
            "wall_s": 12.0,
            "train_s": 10.0,
            "device_s": 11.0,
            "gmacs": 1.5,
            "samples_per_s": 40.0,
            "data_share": 0.25,
            "compute_share": 0.5,
            "validation_share": 0.25,
            "peak_memory_mb": 900.0,
            "energy_j": 120.0,
            "micro_batch": 2,
            "processes": 1,
            "compiled": False,
            "memory_format": "channels_last",
            "notes": "out of memory: micro-batch 4 -> 2",
            "node": "host-7",
            "run": "0123456789abcdef",
            "case_s": 0.25,
            "device": "cpu",
            "code": "c0de" * 16,
            "data": "data0",
            "split": "split0",
            "versions_json": json.dumps({"torch": "2.13"}),
            "started_at": START + timedelta(minutes=minutes),
            "finished_at": START + timedelta(minutes=minutes, seconds=12),
        }
        return row | changes

    return make


@pytest.fixture
def case_row() -> Rows:
    def make(**changes: Any) -> dict[str, Any]:
        row: dict[str, Any] = {
            "trial": "aaaaaaaaaaaaaaaa",
            "part": "test",
            "case": "p1-ed",
            "patient": "p1",
            "subgroup": "NOR",
            "phase": "ED",
            "label": "lung",
            "metric": "dice",
            "definition": "dice/v1",
            "value": 0.9,
            "status": "ok",
            "unit": "",
            "diagonal": 120.0,
        }
        return row | changes

    return make


@pytest.fixture
def curve_row() -> Rows:
    def make(**changes: Any) -> dict[str, Any]:
        row: dict[str, Any] = {
            "trial": "aaaaaaaaaaaaaaaa",
            "epoch": 1,
            "step": 10,
            "train_loss": 0.5,
            "learning_rate": 1e-3,
            "score": 0.7,
            "wall_s": 3.0,
        }
        return row | changes

    return make
