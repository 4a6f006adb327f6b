"""What a leaderboard says, before it is written in any format."""

import math
from dataclasses import dataclass, field
from typing import Literal

from bench.leaderboard.facts import MetricFacts
from bench.stats.aggregate import Policy
from bench.stats.agreement import Agreement

Verdict = Literal["best", "tied", "worse", "better", "cannot tell"]


@dataclass(frozen=True)
class Estimate:
    """A mean over patients with its interval; NaN where it does not exist."""

    mean: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What an entry costs.

    Args:
        parameters: Trainable parameters; none if unknown.
        train_s: Mean training seconds of a complete final trial; NaN if there is none.
    """

    parameters: int | None
    train_s: float


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
        verdict: ``best``; ``tied``: not separable from the best; ``worse``; ``better``: by its difference better than
            what has the best mean; ``cannot tell``: too few patients for any p-value below the level.
        n_compared: Patients that the test and the difference rest on; of the best: all.
        cost: What it costs.
        n_failed: Final trials x cases without a value.
        n_valid: Final trials x cases x labels that are there and were predicted.
        n_empty_reference: Final trials x cases x labels that are not there.
        n_hallucinated: Of them, those that were predicted.
        n_missed: Final trials x cases x labels that are there but were not predicted.
        notes: What a reader must know.
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


@dataclass(frozen=True, kw_only=True)
class CavityRow:
    """How well an entry measures one cavity of the heart, over patients; prediction minus reference.

    Args:
        entry: Name.
        label: Label of the cavity.
        ef: Of the ejection fraction, in percentage points.
        edv: Of the volume at end-diastole, in mL.
        esv: Of the volume at end-systole, in mL.
        left_out: Number of patients without ejection fraction, by reason.
        n_missed: Of them, those in which nothing was predicted at end-diastole.
    """

    entry: str
    label: str
    ef: Agreement
    edv: Agreement
    esv: Agreement
    left_out: dict[str, int]
    n_missed: int


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
        comparisons: Tests in the family that Holm corrects.
        smallest_p: Smallest p-value that so many patients and comparisons can give after Holm.
        resamples: Bootstrap samples behind the intervals.
        notes: What a reader must know.
        policy: What empty masks counted.
        declared_policy: What they count in the task, where something else was asked for.
        cavities: Agreement of ejection fractions and volumes, entry by entry; empty where not measured.
        paired_absent: Whether a comparison counts labels that one of two entries rightly left out; see
            `per_patient_together`.
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
    cavities: tuple[CavityRow, ...] = ()
    paired_absent: bool = False
