"""What a paired difference says of a margin: one answer per comparison, wrong for at most 5% of a family.

A comparison asks three things of the true difference: is it above the margin, is it below, is it within the region of
practical equivalence? Each is a one-sided signed-rank test over patients at 2.5% (equivalence: two of them, both of
which must reject; Schuirmann 1987, J Pharmacokinet Biopharm 15:657-680). Whatever the difference truly is, all that
can be said wrongly of it lies beyond a limit of one 95% interval, so that one comparison gives a wrong answer in at
most 5% of cases (Goeman, Solari, Stijnen 2010, Three-sided hypothesis testing, Stat Med 29:2117-2125). So the family
that Holm corrects counts comparisons, not tests; p-values are doubled to be read against 5%.

Two statements of one comparison may both be true, e.g. below the margin and practically zero. So a comparison does
not leave the family with its first statement: it goes on counting by what can still be said wrongly of it, one end of
its interval (half) or both.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.leaderboard.estimate import Estimate
from bench.stats.paired import ALPHA, signed_rank_p, smallest_p

Answer = Literal["supported", "refuted", "practically equivalent", "undecided"]
Statement = Literal["above", "below", "within"]


@dataclass(frozen=True)
class Question:
    """What is asked of a difference.

    Args:
        margin: Must be exceeded.
        equivalence: Differences that are smaller either way do not matter; none: not asked.
    """

    margin: float = 0.0
    equivalence: float | None = None

    def holds(self, statement: Statement, interval: Estimate) -> bool:
        """Says whether all of an interval makes a statement true; not where there is no interval."""
        if statement == "above":
            return interval.low > self.margin
        if statement == "below":
            return interval.high < self.margin
        return (
            self.equivalence is not None
            and -self.equivalence < interval.low
            and interval.high < self.equivalence
        )


@dataclass(frozen=True)
class Evidence:
    """p-values of the three statements, each twice its one-sided p; NaN where the data cannot tell.

    Args:
        above: Against a difference of at most the margin.
        below: Against a difference of at least the margin.
        within: Against a difference outside of the region of equivalence; NaN where that is not asked.
        n: Units: patients, or tasks.
        beyond: Whether the region reaches beyond the margin, so that a difference may be above it and within.
    """

    above: float = math.nan
    below: float = math.nan
    within: float = math.nan
    n: int = 0
    beyond: bool = False

    @property
    def known(self) -> dict[Statement, float]:
        """The p-values that there are."""
        every: dict[Statement, float] = {"above": self.above, "below": self.below, "within": self.within}
        return {statement: p for statement, p in every.items() if not math.isnan(p)}

    @property
    def smallest(self) -> float:
        """The smallest of them, by which the comparison takes its place in the family."""
        return min(self.known.values(), default=math.nan)

    def left(self, said: Collection[Statement]) -> float:
        """Returns by what a comparison counts in its family once these statements are said, 0 to 1.

        What is still to be said wrongly of it lies beyond one end of an interval (a half), both, or none.
        """
        if not said:
            return 1.0
        if math.isnan(self.within) or len(said) > 1:
            return 0.0
        if "within" in said:
            # On the margin, above and below are both wrong.
            return 1.0
        return 0.5 if "below" in said or self.beyond else 0.0


def weigh(d: NDArray[np.float64], question: Question) -> Evidence:
    """Tests what a question asks of paired differences.

    Args:
        d: One difference per patient (or per task), (n,), finite; positive as claimed.
        question: What is asked.
    """
    if smallest_p(len(d)) >= ALPHA:
        return Evidence(n=len(d))
    within, region = math.nan, question.equivalence
    if region is not None:
        within = max(_doubled(d + region, "greater"), _doubled(d - region, "less"))
    shifted = d - question.margin
    beyond = region is not None and region > question.margin
    return Evidence(_doubled(shifted, "greater"), _doubled(shifted, "less"), within, len(d), beyond)


def _doubled(d: NDArray[np.float64], alternative: Literal["greater", "less"]) -> float:
    return min(1.0, 2 * signed_rank_p(d, alternative))


@dataclass(frozen=True)
class Step:
    """A comparison's place in Holm's procedure.

    Args:
        factor: What the p-value of its first statement is multiplied with.
        floor: Corrected p-value of what came before: its own are not below.
        later: Places of its other statements, whose p-values are larger.
    """

    factor: float = 1
    floor: float = 0.0
    later: Mapping[Statement, "Step"] = field(default_factory=dict)

    def of(self, statement: Statement) -> "Step":
        """Returns the place of a statement."""
        return self.later.get(statement, self)

    def corrected(self, p: float) -> float:
        """Returns a p-value as it is read against 5%."""
        return p if math.isnan(p) else min(1.0, max(self.floor, self.factor * p))

    @property
    def level(self) -> float:
        """Coverage of an interval that is as strict as the test."""
        return 1 - ALPHA / self.factor


def steps(family: Sequence[Evidence], waiting: int = 0) -> list[Step]:
    """Orders the statements of a family after Holm (1979), by their p-values.

    The first statement of a comparison is tested as Holm's procedure does. Its later ones are, too, when their turn
    comes, in a family that the comparison has not left: see `Evidence.left`.

    Comparisons that cannot be tested are not counted; they get the factor that they would have if they came first.

    Args:
        family: All comparisons.
        waiting: How many of those that cannot be tested will be: they are counted already.
    """
    size = float(sum(not math.isnan(one.smallest) for one in family) + waiting)
    places: list[dict[Statement, Step]] = [{} for _ in family]
    first, floor = max(1.0, size), 0.0
    turns = [(p, place, say) for place, one in enumerate(family) for say, p in one.known.items()]
    for p, place, statement in sorted(turns):
        one, said = family[place], places[place]
        before = one.left(said)
        said[statement] = Step(max(1.0, size), floor)
        floor = said[statement].corrected(p)
        size -= before - one.left(said)
    return [_step(said, first) for said in places]


def _step(said: Mapping[Statement, Step], first: float) -> Step:
    """Puts the places of a comparison's statements together, in the order in which they came."""
    if not said:
        return Step(first)
    earliest, *others = said
    return replace(said[earliest], later={statement: said[statement] for statement in others})


@dataclass(frozen=True)
class Reading:
    """What a comparison says.

    Args:
        answer: The answer.
        p: Its corrected p-value; where it is undecided the smallest of the three.
        shown: Statements that are shown to be true. A difference may be above the margin and practically zero, if the
            region of equivalence is wider than the margin.
    """

    answer: Answer
    p: float
    shown: frozenset[Statement] = frozenset()


def read_off(
    question: Question, evidence: Evidence, step: Step, intervals: Callable[[float], Sequence[Estimate]]
) -> Reading:
    """Returns the answer to a question.

    Test and intervals must agree: the signed-rank test is about the middle of the differences, the intervals are of
    their mean, and where differences are skewed these are not the same.

    Args:
        question: What is asked.
        evidence: Of the differences.
        step: Place in the family.
        intervals: Returns those of the mean difference at a level; all of them must lie where a statement says.
    """
    shown: dict[Statement, float] = {}
    for statement in _READS:
        place = step.of(statement)
        p = place.corrected(getattr(evidence, statement))
        if p < ALPHA and all(question.holds(statement, interval) for interval in intervals(place.level)):
            shown[statement] = p
    for statement, answer in _READS.items():
        if statement in shown:
            return Reading(answer, shown[statement], frozenset(shown))
    return Reading("undecided", step.corrected(evidence.smallest))


_READS: dict[Statement, Answer] = {
    "above": "supported",
    "within": "practically equivalent",
    "below": "refuted",
}


def overall(readings: Sequence[Reading]) -> Answer:
    """Returns the answer to a claim whose comparisons must all hold."""
    answers = {reading.answer for reading in readings}
    if len(answers) == 1:
        return answers.pop()
    if any("below" in reading.shown for reading in readings):
        return "refuted"
    return "undecided"
