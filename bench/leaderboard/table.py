"""What a leaderboard says, before it is written in any format."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bench.leaderboard.cavity_row import CavityRow
from bench.leaderboard.estimate import UNKNOWN, Cost, Estimate, Gain
from bench.leaderboard.facts import MetricFacts
from bench.stats.aggregate import Policy

if TYPE_CHECKING:
    import pandas as pd

    from bench.leaderboard.against_best import AgainstBest
    from bench.stats.effects import Effect
    from bench.stats.friedman import Friedman
    from bench.stats.ranking import RankBootstrap, Scheme
    from bench.stats.variance import Components

__all__ = [
    "CavityRow",
    "Cost",
    "EntryRow",
    "Estimate",
    "Gain",
    "SuiteBoard",
    "SuiteRow",
    "TaskBoard",
    "Verdict",
]

Verdict = Literal["best", "tied", "worse", "unsure", "better", "cannot tell"]


@dataclass(frozen=True, kw_only=True)
class EntryRow:
    """An entry in a task's table.

    Args:
        rank: From 1; entries whose shown means are equal share the average rank.
        entry: Name.
        model: Label of its model.
        loss: Label of its loss.
        metrics: Estimates by metric.
        difference: This entry minus the best, over the same patients, with its interval. Where one of the two left a
            label out that is not there and the other did not, it counts as right: not the difference of the means.
        p: Two-sided p-value against the best, after Holm; NaN for the best and where the data cannot tell.
        verdict: ``best``; ``tied``: not separable from the best; ``worse``: by the test and by all intervals of the
            mean difference, at the family's level; ``unsure``: by the test, but such an interval, over patients or
            over patients and trainings, holds zero; ``better``: the test, or the interval of the mean, finds it
            better than what is ranked first; ``cannot tell``: too few patients for any p-value below the level.
        n_compared: Patients that the test and the difference rest on; of the best: all.
        cost: What it costs.
        rank_low: Lower end of the rank's bootstrap interval; NaN where there is none.
        rank_high: Upper end.
        tier: 1: the best, and all others but those that are ``worse``: 2. 0: the data cannot tell.
        median: Median over patients of the ranked metric, with its interval.
        effect: How large the difference to the best is; none of the best itself.
        difference_sd: Standard deviation of that difference over patients.
        trained: That difference with its interval over patients and trainings; no ends where each entry was trained
            once.
        p_raw: p before Holm.
        mdd: Smallest difference to the best that these patients would show with 80% power; NaN where unknown.
        gain: Default against tuned; none where nothing was tuned.
        true_low: First of the places between which its true rank by mean lies: those of all entries at once, with 95%
            confidence; NaN where not asked for, or below six patients.
        true_high: Last of them.
        resampled: Mean of the ranked metric with its bootstrap interval over patients and trainings; unknown where
            not asked for, or there was one training.
        components: Variances of its values; none where not asked for.
        n_imputed: Values that were put in for missing ones.
        n_failed: Final trials x cases without a value.
        n_valid: Final trials x cases x labels that are there and were predicted.
        n_empty_reference: Final trials x cases x labels that are not there.
        n_hallucinated: Of them, those that were predicted.
        n_missed: Final trials x cases x labels that are there but were not predicted.
        notes: What a reader must know.
        n: Patients with a value of the ranked metric; none where not counted.
        all_failed: Whether each of its final trials failed: none of its values was measured.
    """

    rank: float
    entry: str
    model: str
    loss: str
    metrics: dict[str, Estimate]
    difference: Estimate
    p: float
    verdict: Verdict
    n_compared: int
    cost: Cost
    n_failed: int
    n_valid: int
    n_empty_reference: int
    n_hallucinated: int
    n_missed: int
    notes: tuple[str, ...] = ()
    rank_low: float = math.nan
    rank_high: float = math.nan
    tier: int = 0
    median: Estimate = UNKNOWN
    effect: "Effect | None" = None
    difference_sd: float = math.nan
    trained: Estimate = UNKNOWN
    p_raw: float = math.nan
    mdd: float = math.nan
    gain: Gain | None = None
    n_imputed: int = 0
    true_low: float = math.nan
    true_high: float = math.nan
    resampled: Estimate = UNKNOWN
    components: "Components | None" = None
    n: int | None = None
    all_failed: bool = False

    @property
    def side(self) -> float:
        """Which side the signed-rank test is on: above zero where more ranks speak for it than for the best."""
        return 0.0 if self.effect is None else self.effect.rank_biserial.value

    @property
    def too_small(self) -> bool:
        """Whether the difference to the best is smaller than what these patients would show with 80% power.

        A study of this size misses such a difference more than one time in five; found ones tend to be
        overestimated.
        """
        if self.verdict == "best":
            return False
        return (
            math.isnan(self.difference.mean) or math.isnan(self.mdd) or abs(self.difference.mean) < self.mdd
        )


@dataclass(frozen=True, kw_only=True)
class TaskBoard:
    """A task's table.

    Args:
        task: Name.
        metric: What is ranked by.
        facts: Facts of the metrics that are shown, the ranked one first; empty where nothing can be shown.
        rows: Entries, best first.
        pending: Why other entries are not ranked, by name.
        n_patients: Test patients.
        n_cases: Test cases.
        n_folds: Folds of the final trials; 0 where the entries are no trials, but predictions of unknown origin.
        n_seeds: Seeds of the final trials.
        comparisons: Tests in the family that Holm corrects: all pairs of entries that can have a p-value, of all
            tables that were judged together.
        smallest_p: Smallest p-value that so many patients and comparisons can give in Holm's first step.
        resamples: Bootstrap samples behind the intervals.
        notes: What a reader must know.
        policy: What empty masks counted.
        declared_policy: What they count in the task, where something else was asked for.
        patients_from: How the patients are known; see `medseg.data.case.PatientsFrom`.
        cavities: Agreement of ejection fractions and volumes, entry by entry; empty where not measured.
        paired_absent: Whether a comparison counts labels that one of two entries rightly left out; see
            `per_patient_together`.
        scheme: How ranks are made; see `bench.stats.ranking`.
        ranking: Bootstrap of the ranks; none where there are too few patients.
        mdd: Median over comparisons of the smallest difference to the best that these patients would show with 80%
            power; NaN where unknown.
        map: Significance map, entries x entries in the order of the rows: p of row better than column, one-sided,
            Holm over all pairs; none where not asked for.
        on_missing: What was done about missing values; none: what failed is the worst, who waits is not ranked.
        part: What part of the task this is, e.g. ``LV``; empty of the whole.
        kind: Of what kind that part is, e.g. ``label``.
        parts: The same table of each label or subgroup, where asked for; Holm over all of them.
        ungrouped: What none of the subgroups shows, a line each.
        against: The comparisons behind the rows; none of a table without rows.
    """

    task: str
    metric: str
    facts: tuple[MetricFacts, ...] = ()
    rows: tuple[EntryRow, ...] = ()
    pending: dict[str, str] = field(default_factory=dict)
    n_patients: int = 0
    n_cases: int = 0
    n_folds: int = 0
    n_seeds: int = 0
    comparisons: int = 0
    smallest_p: float = 1.0
    resamples: int = 0
    notes: tuple[str, ...] = ()
    policy: Policy = "nnunet"
    declared_policy: Policy = "nnunet"
    patients_from: str = ""
    cavities: tuple[CavityRow, ...] = ()
    paired_absent: bool = False
    scheme: "Scheme" = "mean"
    ranking: "RankBootstrap | None" = field(default=None, compare=False)
    mdd: float = math.nan
    map: "pd.DataFrame | None" = field(default=None, compare=False)
    on_missing: str | None = None
    part: str = ""
    kind: str = ""
    parts: tuple["TaskBoard", ...] = ()
    ungrouped: tuple[str, ...] = ()
    against: "AgainstBest | None" = field(default=None, compare=False, repr=False)

    @property
    def n_valued(self) -> int:
        """Patients with a value of the ranked metric: of the entry that has most."""
        return max((row.n for row in self.rows if row.n is not None), default=self.n_patients)

    @property
    def n_least(self) -> int:
        """Patients with a value of the ranked metric: of the entry that has fewest."""
        return min((row.n for row in self.rows if row.n is not None), default=self.n_patients)


@dataclass(frozen=True, kw_only=True)
class SuiteRow:
    """An entry over all tasks.

    Args:
        entry: Name.
        model: Label of its model.
        loss: Label of its loss.
        rank: Place by mean rank; equal ones share the average.
        mean_rank: Mean over tasks of its rank in each, with its interval: patients resampled within each task.
        ranks: Its rank by task, among the entries of this table.
        clique: Whether Nemenyi's test cannot tell it from the best; none where there is no test.
        nemenyi_p: p-value of that test; NaN where there is none, and of the best.
        notes: What a reader must know.
    """

    entry: str
    model: str
    loss: str
    rank: float
    mean_rank: Estimate
    ranks: dict[str, float]
    clique: bool | None = None
    nemenyi_p: float = math.nan
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SuiteBoard:
    """The table over tasks: entries that all of its tasks have.

    Args:
        metric: What is ranked by.
        tasks: Those that count.
        rows: Entries, best first.
        scheme: How ranks within a task are made.
        ranking: Bootstrap of the ranks by mean rank.
        friedman: Test of all entries being equal over tasks; none where there are too few tasks.
        critical_difference: Mean ranks further apart than this differ, by Nemenyi's test at 5%; NaN without test.
        left_out: Why other tasks or entries are not in it, by name.
        resamples: Bootstrap samples.
        notes: What a reader must know.
    """

    metric: str
    tasks: tuple[str, ...] = ()
    rows: tuple[SuiteRow, ...] = ()
    scheme: "Scheme" = "mean"
    ranking: "RankBootstrap | None" = field(default=None, compare=False)
    friedman: "Friedman | None" = None
    critical_difference: float = math.nan
    left_out: dict[str, str] = field(default_factory=dict)
    resamples: int = 0
    notes: tuple[str, ...] = ()
