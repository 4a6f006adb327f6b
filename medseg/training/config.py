"""Settings of one training run and the identity-bearing description of a trial. Imports no torch."""

from typing import Literal

from pydantic import Field

from medseg.config import Component, Config
from medseg.data.augment.config import AugmentConfig
from medseg.tasks import TaskSpec


class TrainConfig(Config):
    """One training run's hyper-parameters. A suite writes them under `train:`."""

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1, description="SGD's momentum (Nesterov); ignored by Adam.")
    schedule: Literal["constant", "cosine", "polynomial", "step", "plateau"] = Field(
        "cosine", description="Of the learning rate; all but plateau move every step."
    )
    warmup: float = Field(0.0, ge=0, lt=1, description="Share of all steps in which the rate rises linearly.")
    batch_size: int = Field(16, ge=1, description="Effective batch: slices per optimiser step.")
    foreground_share: float = Field(
        0.33,
        ge=0,
        le=1,
        description="Share of a batch drawn among slices with a label that not all slices have.",
    )
    epochs: int = Field(10, ge=1)
    steps_per_epoch: int = Field(50, ge=1, description="An epoch is a fixed number of steps on every task.")
    clip_norm: float | None = Field(12.0, gt=0, description="Largest gradient norm; none turns clipping off.")
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    augment: AugmentConfig = AugmentConfig()


class TrialSpec(Config):
    """Everything that changes a trial's numbers, and nothing else.

    ``tune`` trains on all folds but ``fold`` and is scored on ``fold``. ``final`` does the same and then meets
    the test cases once, with the weights that validation chose.
    """

    task: TaskSpec
    model: Component
    loss: Component
    train: TrainConfig = TrainConfig()
    phase: Literal["tune", "final"]
    fold: int = Field(0, ge=0)
    seed: int = Field(0, ge=0)
