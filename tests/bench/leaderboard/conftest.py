"""A results folder with known numbers."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.results.schema import TRIALS
from bench.results.store import Store

START = datetime(2026, 1, 2, tzinfo=UTC)


class World:
    """Writes trials whose Dice is `quality` minus a difficulty that each patient has for all entries."""

    def __init__(self, root: Path):
        self.store = Store(root)
        self.count = 0

    def trial(self, model: str, loss: str = "dice", **changes: Any) -> dict[str, Any]:
        self.count += 1
        then = START + timedelta(minutes=self.count)
        row: dict[str, Any] = {
            **{field.name: None for field in TRIALS if field.nullable},
            "suite": "quick",
            "study": f"{changes.get('task', 'lung')}-{model}-{loss}",
            "phase": "final",
            "number": -1,
            "setting": "s0",
            "setting_json": json.dumps({}),
            "spec_json": "{}",
            "task": "lung",
            "model": model,
            "loss": loss,
            "entry": f"{model} + {loss}",
            "fold": 0,
            "seed": 0,
            "status": "complete",
            "detail": "",
            "attempt": 1,
            "value": 0.8,
            "metric": "dice",
            "parameters": 482_000,
            "epochs": 2,
            "best_epoch": 1,
            "steps": 20,
            "batch_size": 4,
            "precision": "fp32",
            "wall_s": 100.0,
            "train_s": 92.0,
            "device_s": 95.0,
            "device": "cpu",
            "code": "today",
            "data": "data0",
            "split": "split0",
            "versions_json": "{}",
            "started_at": then,
            "finished_at": then,
        }
        row |= changes
        row.setdefault(
            "trial", "-".join(str(row[k]) for k in ("study", "phase", "number", "setting", "seed", "fold"))
        )
        return row

    def final(
        self,
        model: str,
        loss: str = "dice",
        *,
        quality: float = 0.8,
        patients: int = 8,
        noise: float = 0.01,
        missed: Iterable[int] = (),
        drop: Iterable[int] = (),
        metrics: tuple[str, ...] = ("dice", "iou", "hd95", "pixel_accuracy"),
        definitions: Mapping[str, Mapping[str, float]] | None = None,
        **changes: Any,
    ) -> None:
        """Writes a final trial.

        `definitions` says by metric which definitions it was measured by, and what each adds to its values.
        """
        row = self.trial(model, loss, **changes)
        rng = np.random.default_rng([len(model), len(loss), row["seed"]])
        cases = []
        if row["status"] == "complete":
            for patient in range(patients):
                if patient in set(drop):
                    continue
                dice = quality - 0.02 * patient + noise * rng.normal()
                values = {
                    "dice": dice,
                    "iou": dice / (2 - dice),
                    "hd95": 20 * (1 - dice),
                    "pixel_accuracy": 0.9,
                }
                for metric in metrics:
                    value, status = values[metric], "ok"
                    if patient in set(missed) and metric != "pixel_accuracy":
                        value, status = (float("inf") if metric == "hd95" else 0.0), "prediction_empty"
                    for name, shift in (definitions or {}).get(metric, {f"{metric}/v1": 0.0}).items():
                        case = self.case(row["trial"], patient, metric, value + shift, status)
                        cases.append(case | {"definition": name})
        self.store.write(row, cases, [])

    @staticmethod
    def case(trial: str, patient: int, metric: str, value: float, status: str = "ok") -> dict[str, Any]:
        return {
            "trial": trial,
            "part": "test",
            "case": f"p{patient}-img",
            "patient": f"p{patient}",
            "subgroup": "",
            "phase": "",
            "label": "all" if metric == "pixel_accuracy" else "lung",
            "metric": metric,
            "definition": f"{metric}/v1",
            "value": value,
            "status": status,
            "unit": "mm" if metric == "hd95" else "",
            "diagonal": 100.0,
        }

    def tune(self, model: str, loss: str = "dice", **changes: Any) -> None:
        self.store.write(self.trial(model, loss, **{"phase": "tune", "number": 0} | changes), [], [])


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "results" / "quick")


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """For the tests of a file that only read."""
    return World(tmp_path_factory.mktemp("leaderboard") / "results" / "quick")
