"""Answers to the hypotheses that a suite wrote down before it ran."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
import pandas as pd

from bench.errors import BenchError
from bench.leaderboard.cells import TaskCells
from bench.leaderboard.sides import AXES, Labels, Sides, all_sides, labels_of, matching, sides_of
from bench.leaderboard.table import Estimate
from bench.stats.intervals import RESAMPLES, mean_intervals
from bench.stats.paired import ALPHA, PairedTest, compare, holm, smallest_p

Answer = Literal["supported", "refuted", "undecided"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One of a claim's comparisons.

    Args:
        better: Labels of the side that is claimed to be better.
        than: Labels of the other side.
        difference: By how much it is better (positive: as claimed, whatever the metric's direction), mean
            over patients with its interval.
        p: Two-sided p-value of the difference against the margin, Holm over all comparisons of all claims;
            NaN where the data cannot tell.
        n_patients: Patients with values of both sides.
        answer: ``supported``: interval above the margin; ``refuted``: interval below it; both only with
            p below 0.05. Else ``undecided``.
        why: What keeps it undecided.
    """

    better: dict[str, str]
    than: dict[str, str]
    difference: Estimate
    p: float
    n_patients: int
    answer: Answer
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class ClaimResult:
    """The answer to a claim.

    Args:
        id: Name in the suite.
        task: Task.
        metric: Metric.
        margin: Difference that must be exceeded, in the metric's unit.
        answer: ``supported`` if every comparison is, ``refuted`` if one is, else ``undecided``.
        comparisons: One per pair of sides.
        notes: What a reader must know.
    """

    id: str
    task: str
    metric: str
    margin: float
    answer: Answer
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Measured:
    better: Labels
    than: Labels
    difference: Estimate
    test: PairedTest
    why: str


def answer_claims(
    claims: Sequence[Mapping[str, Any]],
    tasks: Sequence[TaskCells],
    resamples: int = RESAMPLES,
    seed: int = 0,
    compare_axes: Sequence[str] = AXES,
) -> list[ClaimResult]:
    """Answers claims from the test values of final trials.

    Sides name models, losses or both. An axis that neither side names is averaged over, patient by patient,
    with those of its labels that both sides have. Where a side lists several labels, each must hold.

    Args:
        claims: As in a suite: id, task, better, than, metric (dice by default) and margin (0 by default).
        tasks: Test values; a claim whose task is not among them is left out.
        resamples: Bootstrap samples.
        seed: Of the bootstrap.
        compare_axes: Axes that make an entry. Over an axis that each study chose for itself nothing is paired.
    """
    by_task = {cells.task: cells for cells in tasks}
    asked = [claim for claim in claims if claim["task"] in by_task]
    measured = [_measure(claim, by_task[claim["task"]], resamples, seed, compare_axes) for claim in asked]
    corrected = iter(holm([part.test.p for parts in measured for part in parts]))
    results = []
    for claim, parts in zip(asked, measured, strict=True):
        answered = tuple(_answered(part, _margin(claim), next(corrected)) for part in parts)
        results.append(
            ClaimResult(
                id=str(claim["id"]),
                task=str(claim["task"]),
                metric=_metric(claim),
                margin=_margin(claim),
                answer=_overall([part.answer for part in answered]),
                comparisons=answered,
                notes=_notes(claim, by_task[claim["task"]]),
            )
        )
    return results


def _measure(
    claim: Mapping[str, Any], cells: TaskCells, resamples: int, seed: int, compare_axes: Sequence[str]
) -> list[_Measured]:
    metric, pairs = _metric(claim), list(product(all_sides(claim["better"]), all_sides(claim["than"])))
    try:
        cells.check_ranked(metric)
    except BenchError as error:
        return [_nothing(better, than, str(error)) for better, than in pairs]
    values, sign = cells.patients(metric), cells.facts(metric).sign
    found = []
    for better, than in pairs:
        sides = sides_of(cells, metric, better, than, compare_axes)
        if sides.why:
            found.append(_nothing(better, than, sides.why))
            continue
        table = _sides_together(cells, metric, sides, values) * sign
        test = compare(table, "better", "than", _margin(claim))
        why = ""
        if not test.can_tell:
            why = f"{test.n} patients cannot give a p-value below {smallest_p(test.n):.3g}"
        found.append(_Measured(better, than, _gap(table, resamples, seed), test, why))
    return found


def _nothing(better: Labels, than: Labels, why: str) -> _Measured:
    return _Measured(better, than, Estimate(math.nan), PairedTest(0, math.nan, 1.0, math.nan, math.nan), why)


def _sides_together(cells: TaskCells, metric: str, sides: Sides, values: pd.DataFrame) -> pd.DataFrame:
    """Returns the means of two sides' entries, the two sides x patients; NaN where an entry has no value."""
    together = cells.together(metric, [*sides.better, *sides.than], values)
    rows = {
        name: together.loc[list(entries)].mean(axis=0, skipna=False)
        for name, entries in (("better", sides.better), ("than", sides.than))
    }
    return pd.DataFrame(rows).T.rename_axis(index="entry", columns="patient")


def _gap(table: pd.DataFrame, resamples: int, seed: int) -> Estimate:
    gap = (table.loc[["better"]] - table.loc["than"]).dropna(axis=1)
    if not gap.shape[1]:
        return Estimate(math.nan)
    found = mean_intervals(gap, np.random.default_rng(seed), resamples)
    return Estimate(float(found.mean[0]), float(found.low[0]), float(found.high[0]))


def _answered(part: _Measured, margin: float, p: float) -> Comparison:
    answer: Answer = "undecided"
    if p < ALPHA and part.difference.low > margin:
        answer = "supported"
    elif p < ALPHA and part.difference.high < margin:
        answer = "refuted"
    return Comparison(
        better=dict(part.better),
        than=dict(part.than),
        difference=part.difference,
        p=p,
        n_patients=part.test.n,
        answer=answer,
        why=part.why,
    )


def _overall(answers: Sequence[Answer]) -> Answer:
    if "refuted" in answers:
        return "refuted"
    return "supported" if answers and set(answers) == {"supported"} else "undecided"


def _notes(claim: Mapping[str, Any], cells: TaskCells) -> tuple[str, ...]:
    labels = labels_of(cells)
    used = {
        name
        for side in (*all_sides(claim["better"]), *all_sides(claim["than"]))
        for name in matching(labels, side)
    }
    marked = sorted(entry.name for entry in cells.entries if entry.name in used and entry.notes)
    notes = [f"rests on marked results: {', '.join(marked)}"] if marked else []
    apart = cells.apart.get(_metric(claim), {})
    return (*notes, *(f"left out: {name} ({apart[name]})" for name in sorted(used) if name in apart))


def _metric(claim: Mapping[str, Any]) -> str:
    return str(claim.get("metric", "dice"))


def _margin(claim: Mapping[str, Any]) -> float:
    return float(claim.get("margin", 0.0))
