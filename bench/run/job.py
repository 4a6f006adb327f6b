"""What a worker is told to do, as plain JSON."""

from pathlib import Path
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator

from bench.results.place import Place, open_place
from medseg.config import Config
from medseg.training.config import TrialSpec


class Job(Config):
    """One trial to run.

    `number` is the trial's Optuna number within its study, or -1 for a final trial.
    """

    trial: str
    study: str
    entry: str
    model: str
    loss: str
    number: int
    setting: dict[str, object]
    setting_id: str
    spec: TrialSpec
    attempt: int = 1
    data_fingerprint: str
    split_hash: str


PlaceUrl = Annotated[Place, PlainValidator(open_place), PlainSerializer(lambda place: place.url)]
"""A place; in JSON its path or URL."""


class WorkerConfig(Config):
    """What every worker of a run shares: places and limits, nothing that changes numbers.

    `run` names the run, as its `Signals` do.
    """

    suite: str
    run: str
    results: PlaceUrl
    cache: Path
    roots: dict[str, Path]
    beside: Path | None = None
    code: str
    cpus: int
    gpus: float
    processes: int = 1
    memory_gb: float
    timeout_s: float | None = None
    keep_predictions: bool = False
