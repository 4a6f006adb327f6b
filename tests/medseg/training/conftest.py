import pytest
import torch

from medseg.config import Component
from medseg.tasks import TASKS, PhantomSpec, SplitSpec
from medseg.training.config import TrainConfig, TrialSpec
from medseg.training.trial import open_data


@pytest.fixture(scope="session")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def small_task():
    return TASKS.load("phantom-lung").model_copy(
        update={
            "image_size": (32, 32),
            "phantom": PhantomSpec(patients=12, seed=3),
            "split": SplitSpec(test=0.25, folds=3, stratify=False),
        }
    )


@pytest.fixture(scope="session")
def small_data(small_task, tmp_path_factory):
    return open_data(small_task, None, tmp_path_factory.mktemp("cache"))


@pytest.fixture
def small_spec(small_task, one_thread):
    return TrialSpec(
        task=small_task,
        model=Component(name="unet", options={"features": [4, 8, 16], "dropout": 0.1}),
        loss=Component(name="ce_dice"),
        train=TrainConfig(epochs=3, steps_per_epoch=6, batch_size=4, learning_rate=1e-2),
        phase="final",
        seed=1,
    )
