from pathlib import Path

import pytest

from bench.run.job import Job, WorkerConfig
from medseg.config import Component
from medseg.tasks import TASKS
from medseg.training.config import TrialSpec


@pytest.fixture
def job() -> Job:
    spec = TrialSpec(
        task=TASKS.load("phantom-lung"), model=Component(name="unet"), loss=Component(name="ce"), phase="tune"
    )
    return Job(
        trial="0123456789abcdef",
        study="s",
        entry="unet + ce",
        model="unet",
        loss="ce",
        number=0,
        setting={"train.learning_rate": 0.1},
        setting_id="x",
        spec=spec,
        data_fingerprint="d",
        split_hash="h",
    )


@pytest.fixture
def worker(tmp_path) -> WorkerConfig:
    return WorkerConfig(
        suite="quick",
        results=tmp_path,
        cache=tmp_path,
        roots={},
        code="c" * 64,
        cpus=1,
        gpus=0,
        memory_gb=1,
        stop_file=Path("stop"),
    )
