"""What is asked of a leaderboard."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import BenchError
from bench.leaderboard.completeness import OnMissing
from bench.stats.aggregate import Policy
from bench.stats.intervals import RESAMPLES
from bench.stats.ranking import Scheme


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked of a leaderboard.

    Args:
        suite: Only trials of this suite.
        task: Only this task.
        metric: What is ranked by.
        metrics: What else is shown; by default the usual ones, where measured.
        rank_by: How ranks are made; see `bench.stats.ranking`.
        columns: Presets and keys of columns; by default what a reader needs first.
        policy: What empty masks count in the tables; by default what each task declares.
        on_missing: What is done about missing values; by default what failed counts as the worst, and who waits for
            final trials is not ranked; see `bench.leaderboard.completeness`.
        baseline: Entry that counts for what is missing.
        per_label: Whether to add a table by label.
        by: Adds a table by ``pathology``, ``size``, ``phase`` or a column of `subgroups`.
        subgroups: File with a row per patient, CSV or Parquet.
        dropped: Rank the entries, too, that the suite has no more.
        definitions: By metric, the definition to show instead of today's.
        resamples: Bootstrap samples.
        seed: Of the bootstrap.
    """

    suite: str | None = None
    task: str | None = None
    metric: str = "dice"
    metrics: tuple[str, ...] | None = None
    rank_by: Scheme = "mean"
    columns: tuple[str, ...] | None = None
    policy: Policy | None = None
    on_missing: OnMissing | None = None
    baseline: str | None = None
    per_label: bool = False
    by: str | None = None
    subgroups: Path | None = None
    dropped: bool = False
    definitions: Mapping[str, str] = field(default_factory=dict)
    resamples: int = RESAMPLES
    seed: int = 0

    @property
    def names(self) -> tuple[str, ...] | None:
        """Columns that are shown: who names metrics sees them beside the usual ones."""
        return ("default", *self.metrics) if self.columns is None and self.metrics else self.columns

    def check(self) -> None:
        """Refuses what does not go together.

        Raises:
            BenchError: If something does not.
        """
        if (self.on_missing == "baseline") != (self.baseline is not None):
            raise BenchError(
                "--on-missing baseline and --baseline ENTRY go together: whose values stand for what is missing"
            )
        if self.subgroups is not None and self.by is None:
            raise BenchError("--subgroups FILE needs --by COLUMN: which column of the file to group by")
