"""What a comparison of A and B says, before it is written in any format."""

import math
from dataclasses import dataclass
from typing import Literal

from bench.leaderboard.contrast import estimate
from bench.leaderboard.estimate import UNKNOWN, Estimate
from bench.leaderboard.facts import MetricFacts
from bench.leaderboard.outlook import Outlook
from bench.stats.bayes import Rope
from bench.stats.effects import Effect
from bench.stats.variance import Components

Verdict = Literal["better", "worse", "same values", "no difference shown", "cannot tell"]
Kept = Literal["kept", "broken", "cannot tell", ""]


@dataclass(frozen=True, kw_only=True)
class Details:
    """What else is known of a difference; B minus A, better and worse in the metric's own direction.

    Args:
        sign_flip_p: Two-sided p-value of the sign-flip test, of the mean; not corrected.
        rope: Half-width of the region of practical equivalence, in the metric's unit; none where not asked.
        by_patients: Bayesian signed-rank test with that region: how probable it is that B is worse, practically equal
            or better in most patients; none without a region.
        by_folds: Correlated t-test over folds, of their validation values, with that region, else without one; none
            where the folds are no cross-validation.
        resampled: The difference with its bootstrap interval over patients and trainings; unknown of one training.
        components: Variances of the differences.
        shares: Their shares: patient, seed, fold, residual.
        outlook: What it would take to show that B is better or worse, where that is open.
    """

    sign_flip_p: float
    rope: float | None
    by_patients: Rope | None
    by_folds: Rope | None
    resampled: Estimate
    components: Components
    shares: dict[str, float]
    outlook: Outlook | None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """B minus A: one metric, of the mean over labels or of one label, on one task.

    Args:
        task: Task.
        name: What is compared; empty where it is the same two entries everywhere.
        facts: The metric.
        label: The label; empty of the mean over labels.
        first: Mean of A over the patients compared.
        second: Mean of B.
        effect: B minus A with 95% intervals, in the metric's unit; rank-biserial correlation and probability of
            improvement above 0 and 0.5 where B is better. None where nobody has values of both.
        over_trainings: The mean difference with its interval over patients and trainings; no ends of one training.
        n: Patients with values of both.
        trainings: Final trials that A and B have of the same folds and seeds.
        seeds: Seeds per fold among them, on average.
        p: Two-sided p-value of the difference; Holm over all means over labels, or over all labels.
        family: Comparisons that Holm corrects it for.
        verdict: What B is: ``better`` or ``worse`` with p below 0.05 and intervals that agree.
        mdd: Difference that these patients and trainings would show with 80% power, as the first of its family;
            inf: none.
        margin: How much worse B may be, in the metric's own direction (``-0.01`` of Dice, ``+1`` of HD95); none where
            it is not asked.
        p_margin: p-value for ``kept`` being wrong, twice the one-sided; not corrected: all margins must be kept.
        kept: ``kept``: B is shown to be less worse than the margin; ``broken``: shown to be more (Holm over margins).
        why: What keeps it open.
        outlook: What it would take to keep the margin, where it is open.
        details: What else is known of it, where asked for.
    """

    task: str
    name: str
    facts: MetricFacts
    label: str
    first: float
    second: float
    effect: Effect | None
    over_trainings: Estimate
    n: int
    trainings: int
    seeds: float = math.nan
    p: float = math.nan
    family: int = 1
    verdict: Verdict = "cannot tell"
    mdd: float = math.inf
    margin: float | None = None
    p_margin: float = math.nan
    kept: Kept = ""
    why: str = ""
    outlook: Outlook | None = None
    details: Details | None = None

    @property
    def title(self) -> str:
        """What the row is about, in words."""
        return ", ".join(filter(None, (self.task, self.name, self.facts.name, self.label)))

    @property
    def too_small(self) -> bool:
        """Whether the difference is neither shown nor large enough to be seen by so many patients."""
        return (
            self.verdict in ("no difference shown", "cannot tell")
            and not abs(self.difference.mean) >= self.mdd
        )

    @property
    def difference(self) -> Estimate:
        """Mean of B minus A with its 95% interval over patients."""
        return estimate(self.effect.mean) if self.effect else UNKNOWN


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs, entries or versions of the code, side by side.

    Args:
        titles: What A and B are.
        rows: Task by task.
        margins: By metric, as asked.
        each_label: Whether margins hold for each label, too.
        notes: What a reader must know, by task and name.
        left_out: What is not compared, and why.
        comparisons: Differences in the family of the means over labels, and in that of the labels.
        resamples: Bootstrap samples.
    """

    titles: tuple[str, str]
    rows: tuple[Difference, ...]
    margins: dict[str, float]
    each_label: bool
    notes: tuple[str, ...]
    left_out: tuple[str, ...]
    comparisons: tuple[int, int]
    resamples: int

    @property
    def answer(self) -> Kept:
        """Whether all margins are kept; empty where none was asked for. What is left out cannot be told."""
        if not self.margins:
            return ""
        kept = {row.kept for row in self.rows if row.margin is not None}
        if "broken" in kept:
            return "broken"
        return "kept" if kept == {"kept"} and not self.left_out else "cannot tell"
