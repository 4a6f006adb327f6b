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
from bench.leaderboard.table import Estimate
from bench.stats.intervals import RESAMPLES, mean_intervals
from bench.stats.paired import ALPHA, PairedTest, compare, holm, smallest_p

AXES = ("model", "loss")

Labels = Mapping[str, str]
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
    pairs = list(product(_sides(claim["better"]), _sides(claim["than"])))
    try:
        cells.check_ranked(_metric(claim))
    except BenchError as error:
        nothing = PairedTest(0, math.nan, 1.0, math.nan, math.nan)
        return [_Measured(better, than, Estimate(math.nan), nothing, str(error)) for better, than in pairs]
    values, sign = cells.patients(_metric(claim)), cells.facts(_metric(claim)).sign
    labels = _labels(cells).loc[values.index]
    found = []
    for better, than in pairs:
        table, why = _paired_table(values * sign, labels, better, than, compare_axes)
        test = compare(table, "better", "than", _margin(claim))
        if not why and not test.can_tell:
            why = f"{test.n} patients cannot give a p-value below {smallest_p(test.n):.3g}"
        found.append(_Measured(better, than, _gap(table, resamples, seed), test, why))
    return found


def _paired_table(
    values: pd.DataFrame, labels: pd.DataFrame, better: Labels, than: Labels, compare_axes: Sequence[str]
) -> tuple[pd.DataFrame, str]:
    """Returns the two sides x patients, and why they are empty where they are."""
    free = [axis for axis in compare_axes if axis not in better and axis not in than]
    sides = {"better": _matching(labels, better), "than": _matching(labels, than)}
    keys = {side: {tuple(labels.loc[name, free]) for name in names} for side, names in sides.items()}
    common = keys["better"] & keys["than"]
    rows = {}
    for side, names in sides.items():
        paired = [name for name in names if tuple(labels.loc[name, free]) in common]
        rows[side] = values.loc[paired].mean(axis=0, skipna=False)
    table = pd.DataFrame(rows).T.rename_axis(index="entry", columns="patient")
    for side, wanted in (("better", better), ("than", than)):
        if not sides[side]:
            return table, f"no ranked entry has {describe_side(wanted)}"
    return table, "" if common else f"no {' or '.join(free)} has both sides"


def _labels(cells: TaskCells) -> pd.DataFrame:
    return pd.DataFrame(
        {axis: {entry.name: getattr(entry, axis) for entry in cells.entries} for axis in AXES}
    )


def _matching(labels: pd.DataFrame, wanted: Labels) -> list[str]:
    match = pd.Series(True, labels.index)
    for axis, label in wanted.items():
        match &= labels[axis] == label
    return [str(name) for name in labels.index[match]]


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
    labels = _labels(cells)
    used = {
        name
        for side in (*_sides(claim["better"]), *_sides(claim["than"]))
        for name in _matching(labels, side)
    }
    marked = sorted(entry.name for entry in cells.entries if entry.name in used and entry.notes)
    notes = [f"rests on marked results: {', '.join(marked)}"] if marked else []
    apart = cells.apart.get(_metric(claim), {})
    return (*notes, *(f"left out: {name} ({apart[name]})" for name in sorted(used) if name in apart))


def _sides(side: Mapping[str, Any]) -> list[dict[str, str]]:
    """Returns every combination of the labels that a side lists."""
    listed = {
        axis: [labels] if isinstance(labels, str) else list(labels) for axis, labels in side.items() if labels
    }
    return [dict(zip(listed, chosen, strict=True)) for chosen in product(*listed.values())]


def describe_side(side: Labels) -> str:
    """Writes a side, e.g. ``unet + dice``."""
    return " + ".join(side[axis] for axis in AXES if axis in side) or "anything"


def _metric(claim: Mapping[str, Any]) -> str:
    return str(claim.get("metric", "dice"))


def _margin(claim: Mapping[str, Any]) -> float:
    return float(claim.get("margin", 0.0))
