from collections.abc import Callable
from typing import Any

import pytest

from bench.plan.parameter import Parameter
from bench.plan.study import Budget, Study
from bench.run.job import Job, WorkerConfig
from bench.suite.schema import Resources
from bench.suite.search import SamplerSpec
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
        run="run",
        results=tmp_path,
        cache=tmp_path,
        roots={},
        code="c" * 64,
        cpus=1,
        gpus=0,
        memory_gb=1,
    )


SPACE = (
    Parameter("train.optimizer", "train.optimizer", default="adam", choices=("adam", "sgd")),
    Parameter("train.learning_rate", "train.learning_rate", default=1e-3, low=1e-4, high=1e-2, log=True),
    Parameter("train.warmup", "train.warmup", default=0.1, low=0.0, high=0.5),
    Parameter("model.depth", "model.depth", default=3, low=2, high=5),
    Parameter("model.features", "model.features", default=[8, 16], choices=([8, 16], [16, 32])),
    Parameter(
        "train.momentum",
        "train.momentum",
        default=0.9,
        low=0.8,
        high=0.99,
        when=(("train.optimizer", ("sgd",)),),
    ),
)


@pytest.fixture(scope="session")
def make_study() -> Callable[..., Study]:
    """Makes studies that are tuned by a sampler with options, over `SPACE`."""

    def make(sampler: str = "tpe", options: dict[str, Any] | None = None, **changes: Any) -> Study:
        fields: dict[str, Any] = {
            "id": "0123456789abcdef",
            "task": TASKS.load("phantom-cardiac"),
            "entry": "unet + ce",
            "models": (),
            "losses": (),
            "space": SPACE,
            "budget": Budget(trials=100),
            "sampler": SamplerSpec(name=sampler, **(options or {})),
            "seed": 0,
            "fold": 0,
            "tune_epochs": 10,
            "final_folds": (0,),
            "final_seeds": (0,),
            "resources": Resources(),
        }
        return Study(**{**fields, **changes})

    return make
