import pytest

from medseg.training.config import TrainConfig
from medseg.training.schedule import learning_rate, plateau_drops


def config(schedule: str, **extra: float) -> TrainConfig:
    return TrainConfig(schedule=schedule, learning_rate=0.1, epochs=10, steps_per_epoch=10, **extra)


@pytest.mark.parametrize(
    ("schedule", "step", "expected"),
    [
        ("constant", 99, 0.1),
        ("cosine", 0, 0.1),
        ("cosine", 50, 0.05),
        ("polynomial", 0, 0.1),
        ("polynomial", 50, 0.1 * 0.5**0.9),
        ("step", 24, 0.1),
        ("step", 25, 0.01),
        ("step", 99, 0.0001),
    ],
)
def test_known_rates(schedule, step, expected):
    assert learning_rate(config(schedule), step) == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["cosine", "polynomial", "step"])
def test_rates_never_rise_after_the_warm_up(schedule):
    rates = [learning_rate(config(schedule, warmup=0.1), step) for step in range(100)]
    assert rates[:10] == pytest.approx([0.01 * (i + 1) for i in range(10)])
    assert rates[10] == pytest.approx(0.1)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert all(rate > 0 for rate in rates)


def test_plateau_counts_epochs_without_a_new_best():
    assert plateau_drops([0.5, 0.6, 0.7], 5) == 0
    assert plateau_drops([0.7] + [0.6] * 4, 5) == 0
    assert plateau_drops([0.7] + [0.6] * 5, 5) == 1
    assert plateau_drops([0.7] + [0.6] * 9 + [0.8], 5) == 1
    assert plateau_drops([0.7] + [0.6] * 10, 5) == 2
    assert plateau_drops([0.7] + [0.6] * 10, 2) == 5
    assert learning_rate(config("plateau"), 60, plateau_drops=2) == pytest.approx(0.025)


def test_the_shapes_are_settings():
    assert learning_rate(config("polynomial", polynomial_power=2), 50) == pytest.approx(0.1 * 0.25)
    assert learning_rate(config("step", step_drops=1, step_factor=0.2), 50) == pytest.approx(0.02)
    assert learning_rate(config("step", step_drops=1, step_factor=0.2), 99) == pytest.approx(0.02)
    assert learning_rate(config("plateau", plateau_factor=0.1), 0, plateau_drops=1) == pytest.approx(0.01)
