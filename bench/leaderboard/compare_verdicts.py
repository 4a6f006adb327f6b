"""Judges the differences of a comparison: is B better, worse, and does it keep its margins?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.leaderboard.answers import Answer, Evidence, Question, Step, steps, weigh
from bench.leaderboard.comparison import Difference, Kept, Verdict
from bench.leaderboard.contrast import Contrast
from bench.leaderboard.judge import judge
from bench.leaderboard.outlook import detectable, outlook
from bench.stats.aggregate import RunValues
from bench.stats.paired import holm_level
from bench.stats.resample import LEVEL

_IS: dict[Answer, Verdict] = {"supported": "better", "refuted": "worse"}
_KEEPS: dict[Answer, str] = {"supported": "margin kept", "refuted": "margin broken"}


@dataclass(frozen=True)
class Measured:
    """A difference before it is judged.

    Args:
        row: What is known of it.
        contrast: B minus A, patient by patient.
        waits: Why nothing can be concluded yet.
        runs: Values of A and B, run by run.
        by_fold: Their validation values, where the folds are a cross-validation.
    """

    row: Difference
    contrast: Contrast
    waits: tuple[str, ...]
    runs: RunValues
    by_fold: RunValues | None = None

    @property
    def oriented(self) -> Contrast:
        """B minus A, positive where B is better."""
        return replace(self.contrast, d=self.contrast.d * self.row.facts.sign)


def judged(found: Sequence[Measured], seed: int, resamples: int) -> tuple[list[Difference], tuple[int, int]]:
    """Returns the rows with their verdicts, and the sizes of the two families: means over labels, and labels.

    Args:
        found: Differences.
        seed: Of the bootstrap.
        resamples: Bootstrap samples.
    """
    rows = [one.row for one in found]
    sizes = []
    for of_label in (False, True):
        places = [place for place, one in enumerate(found) if bool(one.row.label) == of_label]
        evidence = [weigh(found[place].oriented.array, Question()) for place in places]
        size, order = _placed([found[place] for place in places], evidence)
        sizes.append(size)
        for place, each, step in zip(places, evidence, order, strict=True):
            rows[place] = _with_verdict(found[place], each, step, size, seed, resamples)
    gated = [place for place, row in enumerate(rows) if row.margin is not None]
    evidence = [weigh(found[place].oriented.array, _question(rows[place])) for place in gated]
    worse = [Evidence(below=each.below, n=each.n) for each in evidence]
    size, order = _placed([found[place] for place in gated], worse)
    for place, each, step in zip(gated, evidence, order, strict=True):
        rows[place] = _with_margin(found[place], rows[place], each, step, size, seed, resamples)
    return rows, (sizes[0], sizes[1])


def _placed(found: Sequence[Measured], evidence: Sequence[Evidence]) -> tuple[int, list[Step]]:
    """Returns the size of a family and each one's place; what waits counts, but takes none by an interim p-value."""
    ready = [Evidence() if one.waits else each for one, each in zip(found, evidence, strict=True)]
    known = [not math.isnan(each.smallest) for each in evidence]
    waiting = sum(there and bool(one.waits) for one, there in zip(found, known, strict=True))
    return sum(known), steps(ready, waiting)


def _question(row: Difference) -> Question:
    return Question(-abs(row.margin or 0.0))


def _with_verdict(
    one: Measured, evidence: Evidence, step: Step, size: int, seed: int, resamples: int
) -> Difference:
    row, gap = one.row, one.oriented
    row = replace(row, mdd=detectable(gap, holm_level(size)), family=size)
    if gap.n and not gap.array.any() and not one.waits:
        return replace(row, p=step.corrected(evidence.smallest), verdict="same values")
    reading, why = judge(gap, Question(), evidence, step, seed, resamples, _IS, row.facts.sign)
    cannot = math.isnan(reading.p) or bool(why) or bool(one.waits)
    verdict = _IS.get(reading.answer, "cannot tell" if cannot else "no difference shown")
    if one.waits:
        verdict, why = "cannot tell", "; ".join(one.waits)
    return replace(row, p=reading.p, verdict=verdict, why=why)


def _with_margin(
    one: Measured, row: Difference, evidence: Evidence, step: Step, size: int, seed: int, resamples: int
) -> Difference:
    gap, question = one.oriented, _question(row)
    # All margins must be kept, so each may be tested at the whole level; that one is broken is said of any of them.
    reading, why = judge(gap, question, evidence, Step(), seed, resamples, _KEEPS, row.facts.sign)
    broken, _ = judge(gap, question, Evidence(below=evidence.below, n=evidence.n), step, seed, resamples)
    kept: Kept = "cannot tell"
    if reading.answer == "supported":
        kept = "kept"
    elif broken.answer == "refuted":
        kept = "broken"
    if one.waits:
        kept, why = "cannot tell", "; ".join(one.waits)
    open_ = kept == "cannot tell" and not one.waits
    interval = gap.interval(LEVEL, seed, resamples)
    towards_kept = gap.mean > question.margin
    return replace(
        row,
        p_margin=evidence.above,
        kept=kept,
        why=why if kept == "cannot tell" and why else row.why,
        outlook=outlook(gap, question, interval, 1 if towards_kept else size) if open_ else None,
    )
