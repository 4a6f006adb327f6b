"""Settings of one training run and the identity-bearing description of a trial. Imports no torch."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from medseg.config import Component, Config, search
from medseg.data.augment.config import AugmentConfig
from medseg.tasks import TaskSpec
from medseg.tasks.spec import Pixels
from medseg.training.recipes import with_recipe

# A setting that a recipe completed is no longer JSON, and strict validation would refuse its lists.
Sides = Annotated[
    tuple[Pixels, Pixels], BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
]


class TrainConfig(Config):
    """One training run's hyper-parameters. A suite writes them under `train:`.

    `recipe: NAME` may stand beside them: it sets what is not written; see `medseg.training.recipes`. It is a
    shorthand, not a field: a setting is what its values are, whatever they are called.
    """

    optimizer: Literal["adam", "adamw", "sgd"] = Field(
        "adam",
        description="Adam, AdamW (decoupled weight decay) or SGD with Nesterov momentum.",
        json_schema_extra=search(choices=["adam", "adamw", "sgd"]),
    )
    learning_rate: float = Field(
        1e-3,
        gt=0,
        allow_inf_nan=False,
        description="At its highest, after the warm-up.",
        json_schema_extra=search(1e-4, 1e-2, log=True),
    )
    weight_decay: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="L2 penalty; of adamw decoupled from the gradient.",
        json_schema_extra=search(choices=[0.0, 1e-5, 3e-5, 1e-4, 1e-2]),
    )
    momentum: float = Field(
        0.9,
        ge=0,
        lt=1,
        description="Of sgd, Nesterov's; 0 turns it off.",
        json_schema_extra=search(0.8, 0.99),
    )
    beta1: float = Field(
        0.9,
        ge=0,
        lt=1,
        description="Of adam and adamw: memory of the gradient.",
        json_schema_extra=search(0.8, 0.95),
    )
    beta2: float = Field(
        0.999,
        ge=0,
        lt=1,
        description="Of adam and adamw: memory of its square.",
        json_schema_extra=search(choices=[0.95, 0.99, 0.999]),
    )
    schedule: Literal["constant", "cosine", "polynomial", "step", "plateau"] = Field(
        "cosine",
        description="Of the learning rate; all but plateau move every step.",
        json_schema_extra=search(choices=["cosine", "polynomial", "step", "plateau"]),
    )
    warmup: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of all steps in which the rate rises linearly.",
        json_schema_extra=search(0.0, 0.1),
    )
    polynomial_power: float = Field(
        0.9,
        gt=0,
        le=10,
        description="Exponent of the polynomial schedule; nnU-Net's is 0.9.",
        json_schema_extra=search(0.5, 2.0),
    )
    step_drops: int = Field(
        3,
        ge=1,
        description="Drops of the step schedule, evenly over the run.",
        json_schema_extra=search(1, 4),
    )
    step_factor: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="What each of these drops multiplies the rate by.",
        json_schema_extra=search(0.05, 0.5, log=True),
    )
    plateau_patience: int = Field(
        5,
        ge=1,
        description="Epochs without a new best after which the plateau schedule drops the rate.",
        json_schema_extra=search(3, 20),
    )
    plateau_factor: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="What it then multiplies the rate by.",
        json_schema_extra=search(0.1, 0.8),
    )
    batch_size: int = Field(
        16,
        ge=1,
        description="Effective batch: slices per optimiser step, over all processes.",
        json_schema_extra=search(4, 32, log=True),
    )
    micro_batch: int | None = Field(
        None,
        ge=1,
        description="Slices per forward pass and process; gradients add up to the batch. none: all at once. "
        "Running out of memory halves it.",
    )
    patch_size: Sides | None = Field(
        None,
        description="Rows and columns that the network sees, cut from larger images; those are predicted by a "
        "sliding window. none: the task's image_size.",
    )
    window_overlap: float = Field(
        0.5, ge=0, lt=1, description="Share of a patch that the next window of the sliding window repeats."
    )
    foreground_share: float = Field(
        0.33,
        ge=0,
        le=1,
        description="Share of a batch drawn among slices with a label that not all slices have; of patches, also "
        "where the label is.",
        json_schema_extra=search(0.0, 0.66),
    )
    epochs: int = Field(10, ge=1, description="Of steps_per_epoch each; validation follows each.")
    steps_per_epoch: int = Field(50, ge=1, description="An epoch is a fixed number of steps on every task.")
    clip_norm: float | None = Field(
        12.0,
        gt=0,
        allow_inf_nan=False,
        description="Largest gradient norm; none turns clipping off.",
        json_schema_extra=search(choices=[None, 1.0, 12.0]),
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="Of the forward pass; weights and losses stay fp32. fp16 needs a GPU."
    )
    ema_decay: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Validate and keep an exponential average of the weights with this memory; none: the weights.",
        json_schema_extra=search(choices=[None, 0.99, 0.999]),
    )
    compile: Literal["auto", "on", "off"] = Field(
        "auto", description="torch.compile: auto is on for a GPU if the trial has enough steps to pay for it."
    )
    mirror_tta: bool = Field(
        False,
        description="Predict the final cases as the mean over the mirrors that the task allows.",
        json_schema_extra=search(choices=[False, True]),
    )
    validation_slices: int = Field(
        1200,
        ge=1,
        description="After an epoch validate at most so many slices: whole patients, always the same ones, at least "
        "8. The final evaluation takes all.",
    )
    stalled_epochs: int | None = Field(
        10,
        ge=2,
        description="End as diverged after so many epochs of constant predictions and a loss that does not fall; "
        "none: never.",
    )
    augment: AugmentConfig = AugmentConfig()

    @model_validator(mode="before")
    @classmethod
    def _recipe(cls, values: Any) -> Any:
        return with_recipe(values) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _consistent(self) -> "TrainConfig":
        if self.micro_batch is not None and self.micro_batch > self.batch_size:
            raise ValueError(
                f"micro_batch must be at most batch_size, got {self.micro_batch} and {self.batch_size}"
            )
        return self


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

    @property
    def network_size(self) -> tuple[int, int]:
        """Rows and columns that the network sees."""
        return self.train.patch_size or self.task.image_size
