"""Learning rate per step."""

import math

from medseg.training.config import TrainConfig


def learning_rate(config: TrainConfig, step: int, plateau_drops: int = 0) -> float:
    """Returns the learning rate of a step.

    Args:
        config: Rate, schedule, warm-up and length of the run.
        step: Optimiser step, from 0.
        plateau_drops: How often validation has stalled so far (`plateau` only).

    Returns:
        The rate. `cosine` and `polynomial` go to 0; `step` drops `step_drops` times, evenly over the run;
        `plateau` drops at each stall.
    """
    total = config.epochs * config.steps_per_epoch
    warm = round(config.warmup * total)
    if step < warm:
        return config.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1, total - warm)
    factor = {
        "constant": 1.0,
        "cosine": 0.5 * (1 + math.cos(math.pi * min(1.0, done))),
        "polynomial": max(0.0, 1 - done) ** config.polynomial_power,
        "step": config.step_factor ** int(min(done, 1 - 1e-9) * (config.step_drops + 1)),
        "plateau": config.plateau_factor**plateau_drops,
    }[config.schedule]
    return float(config.learning_rate * factor)


def plateau_drops(scores: list[float], patience: int) -> int:
    """Counts the stalls in a history of validation scores (higher is better).

    Args:
        scores: One per epoch.
        patience: Epochs in a row without a new best that make a stall; the count then starts again.
    """
    best, waited, drops = -math.inf, 0, 0
    for score in scores:
        if score > best:
            best, waited = score, 0
            continue
        waited += 1
        if waited == patience:
            waited, drops = 0, drops + 1
    return drops
