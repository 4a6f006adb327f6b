"""Answers to the hypotheses that a suite wrote down before it ran."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.leaderboard.answers import (
    Answer,
    Evidence,
    Question,
    Reading,
    Step,
    overall,
    steps,
    weigh,
)
from bench.leaderboard.cells import TaskCells
from bench.leaderboard.contrast import estimate
from bench.leaderboard.estimate import UNKNOWN, Estimate
from bench.leaderboard.judge import judge
from bench.leaderboard.measure_claim import Measured, claim_notes, decimals_of, measure, question_of
from bench.leaderboard.outlook import Outlook, outlook
from bench.leaderboard.sides import AXES, Planned
from bench.stats.effects import Effect
from bench.stats.intervals import RESAMPLES
from bench.stats.resample import LEVEL

__all__ = ["Answer", "ClaimResult", "Comparison", "answer_claims"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One of a claim's comparisons.

    Args:
        task: Task, or what stands for several.
        better: Labels of the side that is claimed to be better.
        than: Labels of the other side.
        difference: By how much it is better (positive: as claimed, whatever the metric's direction), mean over
            patients with its 95% interval.
        over_trainings: The same with the interval over patients and trainings; no ends where each entry was trained
            once.
        effect: How large that is otherwise; none where there is nothing to compare.
        p: p-value of the answer, Holm over all comparisons of all claims; where undecided the smallest of the three
            that could have led to one. NaN where the data cannot tell.
        evidence: The three p-values before Holm.
        n: Units with values of both sides: patients, or tasks.
        unit: ``patient`` or ``task``.
        trainings: Final trials of each entry, fold by seed; 0 where tasks are the units, or nothing is known.
        seeds: Seeds per fold among them, on average.
        equivalent: Whether the difference is shown to be within the region of equivalence, whatever the answer.
        answer: ``supported``: shown to be above the margin; ``practically equivalent``: shown to be within the region
            of equivalence, and not above the margin; ``refuted``: shown to be below the margin; else ``undecided``.
        why: What keeps it undecided.
        outlook: What it would take to decide; none where it is decided, or nothing is known.
    """

    task: str
    better: dict[str, str]
    than: dict[str, str]
    difference: Estimate
    p: float
    n: int
    answer: Answer
    over_trainings: Estimate = UNKNOWN
    effect: Effect | None = None
    evidence: Evidence = field(default_factory=Evidence)
    unit: str = "patient"
    trainings: int = 0
    seeds: float = math.nan
    equivalent: bool = False
    why: str = ""
    outlook: Outlook | None = None

    @property
    def n_patients(self) -> int:
        """Number of units."""
        return self.n


@dataclass(frozen=True, kw_only=True)
class ClaimResult:
    """The answer to a claim.

    Args:
        id: Name in the suite.
        task: Its tasks.
        metric: Metric.
        margin: Difference that must be exceeded, in the metric's unit.
        equivalence: Smaller differences, either way, are practically equivalent; none: not asked.
        decimals: Digits that tables show of the metric.
        answer: ``supported`` or ``practically equivalent`` if all comparisons are, ``refuted`` if one shows that the
            claim does not hold, else ``undecided``.
        comparisons: One per task and pair of sides.
        family: Comparisons that Holm corrects for: of all claims of the suite.
        notes: What a reader must know.
        late: Whether it was written down when final trials of both sides were there.
    """

    id: str
    task: str
    metric: str
    margin: float
    answer: Answer
    comparisons: tuple[Comparison, ...]
    equivalence: float | None = None
    decimals: int = 3
    family: int = 0
    notes: tuple[str, ...] = ()
    late: bool = False


def answer_claims(
    claims: Sequence[Mapping[str, Any]],
    tasks: Sequence[TaskCells],
    resamples: int = RESAMPLES,
    seed: int = 0,
    compare_axes: Sequence[str] = AXES,
    planned: Planned | None = None,
) -> list[ClaimResult]:
    """Answers claims from the test values of final trials.

    Sides name models, losses or both. An axis that neither side names is averaged over, patient by patient,
    with those of its labels that both sides have. Where a side lists several labels, each must hold; so must each of
    several tasks.

    The family that Holm corrects is all comparisons that these claims plan, so give all claims and all tasks of a
    suite, and what it plans: it is the same before the first result and after the last. A comparison that waits for
    trials, or has too few patients for any p-value, counts as one that shows nothing.

    Args:
        claims: As in a suite: id, task, better, than, metric (dice by default), margin (0 by default), equivalence
            (the margin by default) and unit (patient by default).
        tasks: Test values; a claim none of whose tasks is among them is counted, but not returned.
        resamples: Bootstrap samples.
        seed: Of the bootstrap.
        compare_axes: Axes that make an entry. Over an axis that each study chose for itself nothing is paired.
        planned: What the suite plans, to know of entries that are still to come.
    """
    by_task = {cells.task: cells for cells in tasks}
    found = [(claim, measure(claim, by_task, compare_axes, planned or {})) for claim in claims]
    every = [(question_of(claim), part) for claim, parts in found for part in parts]
    family = [weigh(part.contrast.array, question) for question, part in every]
    # What is open has no place by an interim p-value: it would change with every trial that comes in.
    ready = [each if part.ready else Evidence() for (_, part), each in zip(every, family, strict=True)]
    places = steps(ready, waiting=sum(math.isnan(each.smallest) for each in ready))
    answered = iter(
        _answered(part, question, evidence, step, len(every), resamples, seed)
        for (question, part), evidence, step in zip(every, family, places, strict=True)
    )
    results = []
    for claim, parts in found:
        pairs = [next(answered) for _ in parts]
        if not any(task in by_task for part in parts for task in part.tasks):
            continue
        question = question_of(claim)
        results.append(
            ClaimResult(
                id=str(claim["id"]),
                task=", ".join(dict.fromkeys(task for part in parts for task in part.tasks)),
                metric=str(claim.get("metric", "dice")),
                margin=question.margin,
                equivalence=question.equivalence,
                decimals=decimals_of(claim, by_task),
                answer=overall([reading for _, reading in pairs]),
                comparisons=tuple(part for part, _ in pairs),
                family=len(every),
                notes=claim_notes(claim, parts, by_task),
            )
        )
    return results


def _answered(
    part: Measured, question: Question, evidence: Evidence, step: Step, size: int, resamples: int, seed: int
) -> tuple[Comparison, Reading]:
    contrast = part.contrast
    effect = contrast.effect(1, seed, resamples)
    difference = estimate(effect.mean if effect else None)
    reading, why = judge(contrast, question, evidence, step, seed, resamples)
    if not part.ready:
        # Estimates are shown, but an answer now would be the first of several looks, or one to another question.
        reading, why = Reading("undecided", reading.p), "; ".join(filter(None, (part.nothing, *part.waits)))
    undecided = reading.answer == "undecided" and not part.waits
    comparison = Comparison(
        task=part.title,
        better=dict(part.better),
        than=dict(part.than),
        difference=difference,
        over_trainings=contrast.over_trainings(LEVEL),
        effect=effect,
        p=reading.p,
        evidence=evidence,
        n=contrast.n,
        unit=part.unit,
        trainings=contrast.components.n_runs,
        seeds=contrast.seeds,
        equivalent="within" in reading.shown,
        answer=reading.answer,
        why=why,
        outlook=outlook(contrast, question, difference, size) if undecided else None,
    )
    return comparison, reading
