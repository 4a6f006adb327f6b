"""Learning rate per step."""

import math

from medseg.training.config import TrainConfig

PLATEAU_PATIENCE, PLATEAU_FACTOR = 5, 0.5
STEP_DROPS, STEP_FACTOR = 3, 0.1


def learning_rate(config: TrainConfig, step: int, plateau_drops: int = 0) -> float:
    """Returns the learning rate of a step.

    Args:
        config: Rate, schedule, warm-up and length of the run.
        step: Optimiser step, from 0.
        plateau_drops: How often validation has stalled so far (`plateau` only).

    Returns:
        The rate. `cosine` ends at 0; `polynomial` has nnU-Net's exponent 0.9; `step` divides by 10 at each
        quarter of the run; `plateau` halves at each stall.
    """
    total = config.epochs * config.steps_per_epoch
    warm = round(config.warmup * total)
    if step < warm:
        return config.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1, total - warm)
    factor = {
        "constant": 1.0,
        "cosine": 0.5 * (1 + math.cos(math.pi * min(1.0, done))),
        "polynomial": max(0.0, 1 - done) ** 0.9,
        "step": STEP_FACTOR ** int(min(done, 1 - 1e-9) * (STEP_DROPS + 1)),
        "plateau": PLATEAU_FACTOR**plateau_drops,
    }[config.schedule]
    return float(config.learning_rate * factor)


def plateau_drops(scores: list[float]) -> int:
    """Counts the stalls in a history of validation scores (higher is better).

    A stall is `PLATEAU_PATIENCE` epochs in a row without a new best; the count then starts again.
    """
    best, waited, drops = -math.inf, 0, 0
    for score in scores:
        if score > best:
            best, waited = score, 0
            continue
        waited += 1
        if waited == PLATEAU_PATIENCE:
            waited, drops = 0, drops + 1
    return drops
