"""What it would take to decide: patients and seeds, at 80% power, if the difference is what was measured."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from bench.leaderboard.answers import Answer, Question
from bench.leaderboard.contrast import Contrast
from bench.leaderboard.estimate import Estimate
from bench.stats.paired import holm_level
from bench.stats.power import MOST, POWER, minimum_detectable_difference, power_of
from bench.stats.trainings import detectable_mean, mean_error, mean_power


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What it would take.

    The true difference is not known, and the measured one may be far from it: `units` says what it takes if they are
    equal, `least` what it takes at the most favourable end of the interval. Both keep the present trainings.

    Args:
        towards: What the answer would be.
        units: Patients (or tasks) that give it with 80% power; inf: no number.
        least: The same if the true difference is at the favourable end of its 95% interval.
        seeds: Seeds per fold that give it with the present patients; inf: no number, NaN: unknown, there was one
            seed per fold.
        detectable: Distance of the true difference from the margin that the present patients and trainings would show
            with 80% power; inf: none.
        training_share: Share of the mean's variance that comes from trainings rather than patients; NaN: unknown.
    """

    towards: Answer
    units: float
    least: float
    seeds: float
    detectable: float
    training_share: float


def outlook(contrast: Contrast, question: Question, interval: Estimate, family: int) -> Outlook | None:
    """Returns what it would take to decide; none where fewer than two units have a value.

    Args:
        contrast: The differences, positive as claimed.
        question: What is asked of them.
        interval: 95% interval of their mean.
        family: Comparisons that Holm corrects for: it is reckoned with the first of his steps, as everywhere.
    """
    if contrast.n < 2:
        return None
    alpha, n, runs = holm_level(family), contrast.n, contrast.components.n_runs
    towards, best = _leaning(question, contrast.mean, interval)

    def enough(truth: float, units: int, trainings: int) -> bool:
        return _chance(towards, question, truth, contrast, units, trainings, alpha) >= POWER

    folds = max(1, contrast.components.n_folds)
    several = not math.isnan(contrast.components.seed)
    return Outlook(
        towards=towards,
        units=_first(lambda units: enough(contrast.mean, units, runs)),
        least=_first(lambda units: enough(best, units, runs)),
        seeds=_first(lambda seeds: enough(contrast.mean, n, seeds * folds)) if several else math.nan,
        detectable=detectable(contrast, alpha),
        training_share=contrast.error.training_share,
    )


def detectable(contrast: Contrast, alpha: float) -> float:
    """Returns the smallest true difference that a contrast shows with 80% power; inf: none, NaN: unknown.

    Both the signed-rank test over units and, where there are several trainings, the interval over these must show it.

    Args:
        contrast: The differences.
        alpha: Level of the test, of one in a family.
    """
    if contrast.n < 2:
        return math.nan
    found = minimum_detectable_difference(contrast.sd, contrast.n, alpha)
    crossed = detectable_mean(contrast.error, alpha, POWER)
    return found if math.isnan(crossed) else max(found, crossed)


def _leaning(question: Question, mean: float, interval: Estimate) -> tuple[Answer, float]:
    """Returns the answer that the mean speaks for, and the end of the interval where it is easiest to show."""
    region = question.equivalence
    if mean > question.margin:
        return "supported", interval.high
    if region is not None and abs(mean) < region:
        return "practically equivalent", min(max(0.0, interval.low), interval.high)
    return "refuted", interval.low


def _chance(
    towards: Answer,
    question: Question,
    truth: float,
    contrast: Contrast,
    units: int,
    trainings: int,
    alpha: float,
) -> float:
    """Returns the power for an answer; of equivalence a lower bound, as both of its tests must reject."""
    if math.isnan(truth):
        return math.nan
    if towards == "practically equivalent":
        region = question.equivalence or 0.0
        gaps = [region + truth, region - truth]
    else:
        gaps = [truth - question.margin if towards == "supported" else question.margin - truth]
    powers = [_power(gap, contrast, units, trainings, alpha) if gap > 0 else 0.0 for gap in gaps]
    return max(0.0, sum(powers) - (len(powers) - 1))


def _power(gap: float, contrast: Contrast, units: int, trainings: int, alpha: float) -> float:
    """Returns the chance that the test over units and, where known, the interval over trainings show a gap."""
    now = contrast.components
    residual = 0.0 if math.isnan(now.residual) else now.residual
    change = residual / trainings - residual / now.n_runs if trainings else 0.0
    by_units = power_of(gap, math.sqrt(max(0.0, contrast.sd**2 + change)), units, alpha)
    if units < 2 or math.isnan(contrast.error.total):
        return by_units
    crossed = mean_power(gap, mean_error(replace(now, n_patients=units, n_runs=trainings)), alpha)
    # A single training says nothing of others.
    return 0.0 if math.isnan(crossed) else min(by_units, crossed)


def _first(enough: Callable[[int], bool]) -> float:
    """Returns the smallest number that is enough; inf where a million are not."""
    high = 1
    while not enough(high):
        high *= 2
        if high > MOST:
            return math.inf
    low = high // 2 + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return float(high)
