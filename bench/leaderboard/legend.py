"""What the columns of all tables mean: said once, below them."""

from collections.abc import Collection, Sequence

from bench.leaderboard.choose import choose
from bench.leaderboard.estimate import LEAST_FOR_INTERVAL
from bench.leaderboard.formats import SHARES, pairs_text
from bench.leaderboard.table import TaskBoard
from bench.stats.aggregate import BRATS_DISTANCE, Policy
from bench.stats.paired import ALPHA
from bench.stats.ranking import RESAMPLES as RANK_RESAMPLES
from bench.stats.ranking import Scheme

_AGREED = "a label in neither mask counts as found without error"
_DIAGONAL = "a distance to an empty mask counts the image's diagonal"
POLICY_TEXT: dict[Policy, str] = {
    "nnunet": f"a label in neither mask is left out; {_DIAGONAL}",
    "one": f"{_AGREED}; {_DIAGONAL}",
    "brats": f"{_AGREED}; a distance to an empty mask counts {BRATS_DISTANCE}",
}
SCHEME_TEXT: dict[Scheme, str] = {
    "mean": "of the mean over patients",
    "rank": "of the mean over patients of the rank within each",
    "test": "of the number of entries that it is significantly better than (one-sided, Holm over all pairs)",
}
COUNT_TEXT = {
    "n_failed": "fail: {lost} without a value, counted as {counted}.",
    "n_missed": "miss: labels there, not predicted.",
    "n_valid": "valid: there and predicted.",
    "n_empty_reference": "empty: not there.",
    "n_hallucinated": "false: of these, predicted nonetheless.",
    "n_imputed": "put in: values that stand for missing ones.",
}
AS_BASELINE = "those of the baseline, or as the worst where it lacks them, too"
ALWAYS_TOLD = frozenset({"n_failed", "n_missed", "n_valid", "n_empty_reference"})
"""Counts that a column or a line below the table tells."""
COST_TEXT = {
    "parameters": "params: trainable.",
    "gmacs": "GMACs: of one image.",
    "gpu_hours": "train: device time of one training, with validation, all of its processes together; mean.",
    "train_s": "steps: of it, training steps.",
    "case_s": "per case: to predict a test case; median.",
    "peak_memory_mb": "memory: largest peak.",
    "energy_j": "energy: of one training; mean.",
    "tune_hours": "tuning: device time of the planned trials, each once, as last run; failed ones, too.",
}
QUALITY_TEXT = {
    "rank_biserial": "effect: rank-biserial correlation with the best, -1 (always worse) to 1.",
    "improvement": "P(better): chance to be better than the best in a patient; ties count half.",
    "difference_trained": "with other seeds: difference to the best, interval over patients and trainings.",
    "mean_trained": "mean with other seeds: bootstrap over patients and trainings, both drawn.",
    "true_rank": "true rank: between these places lie the true ranks by mean of all entries at once, with 95% "
    "confidence.",
    "spread": f"spread: {SHARES}: shares in the variance of an entry's values, run by run.",
    "mdd": "detectable: smallest difference to the best that so many patients show with 80% power.",
    "gain": "default, tuned, gain: on validation cases, higher is better. The tuned setting was chosen on them: "
    "the gain is an upper bound, not what test cases will show.",
}


def legend(
    boards: Sequence[TaskBoard], names: Sequence[str] | None = None, keys: Collection[str] | None = None
) -> list[str]:
    """Returns the lines that say what the shown columns are, and how they were made.

    Args:
        boards: All tables.
        names: Columns, as for `choose`.
        keys: Those of them that there was room for; all by default.
    """
    ranked = [board for board in boards if board.rows]
    if not ranked:
        return []
    shown = {column.key for board in ranked for column in choose(board, names)}
    lost = "trials x cases" if any(board.n_folds for board in ranked) else "cases"
    shown = shown if keys is None else shown & set(keys)
    counted = AS_BASELINE if any(board.on_missing == "baseline" for board in ranked) else "the worst"
    failed = COUNT_TEXT["n_failed"].format(lost=lost, counted=counted)
    return [
        *_rank_lines(ranked),
        *_mean_lines(ranked),
        *(_test_lines(ranked) if shown & {"p", "difference"} else []),
        *_policy_lines(ranked),
        *_said(QUALITY_TEXT, shown),
        *_said(COUNT_TEXT | {"n_failed": failed}, shown | ALWAYS_TOLD),
        *_said(COST_TEXT, shown if any(board.n_folds for board in ranked) else ()),
        *_device_lines(ranked, shown),
    ]


def _rank_lines(boards: Sequence[TaskBoard]) -> list[str]:
    if not any(board.ranking is not None for board in boards):
        return []
    schemes = ", ".join(dict.fromkeys(SCHEME_TEXT[board.scheme] for board in boards))
    return [
        f"#: rank {schemes}; [95% CI]: over {RANK_RESAMPLES:,} resamples of the patients, all entries together; "
        "other trainings are left out."
    ]


def _mean_lines(boards: Sequence[TaskBoard]) -> list[str]:
    first = "seeds, folds, " if any(board.n_folds for board in boards) else ""
    resamples = max(board.resamples for board in boards)
    line = f"Means over patients; {first}images and labels averaged first."
    if any(board.n_valued >= LEAST_FOR_INTERVAL for board in boards):
        line += f" [95% CI]: BCa bootstrap over patients, {resamples:,} resamples."
    return [line]


def _test_lines(boards: Sequence[TaskBoard]) -> list[str]:
    family = max(board.comparisons for board in boards)
    if not family:
        return []
    same = len({board.comparisons for board in boards}) == 1
    over = pairs_text(family) if same else "all pairs of entries of a task"
    line = f"p: difference to the best, Wilcoxon signed-rank test over patients, two-sided, Holm over {over}."
    if any(row.verdict == "tied" for board in boards for row in board.rows):
        line += f" =: not separable from the best (p >= {ALPHA:g})."
    if any(row.verdict == "worse" for board in boards for row in board.rows):
        line += " Not bold: worse by the test and by all intervals of the mean difference."
    return [line]


def _policy_lines(boards: Sequence[TaskBoard]) -> list[str]:
    said: dict[str, list[str]] = {}
    for board in boards:
        asked = (
            ""
            if board.policy == board.declared_policy
            else f" (asked for; the task's is {board.declared_policy})"
        )
        said.setdefault(
            f"Empty masks, policy {board.policy}{asked}: {POLICY_TEXT[board.policy]}.", []
        ).append(board.task)
    if len(said) == 1:
        return list(said)
    return [f"{', '.join(tasks)}: {line}" for line, tasks in said.items()]


def _said(texts: dict[str, str], shown: Collection[str]) -> list[str]:
    line = " ".join(text for key, text in texts.items() if key in shown)
    return [line] if line else []


def _device_lines(boards: Sequence[TaskBoard], shown: Collection[str]) -> list[str]:
    devices = {name for board in boards for row in board.rows for name in row.cost.devices}
    timed = {"gpu_hours", "train_s", "case_s", "peak_memory_mb", "energy_j", "tune_hours"}
    if len(devices) < 2 or not timed & set(shown):
        return []
    return [f"Costs were measured on unlike devices ({', '.join(sorted(devices))}) and do not compare."]
