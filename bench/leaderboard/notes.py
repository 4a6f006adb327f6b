"""What stands under a table, the same in every format."""

from collections.abc import Mapping
from typing import Any

from bench.leaderboard.facts import MetricFacts
from bench.leaderboard.table import TaskBoard
from bench.stats.aggregate import BRATS_DISTANCE, Policy
from bench.stats.paired import ALPHA
from bench.words import plural

FEW_PATIENTS = 20
SMOKE = (
    "Smoke run: generated data, tiny networks, a few steps. It shows that the suite runs; no number below says "
    "anything about a model or a loss."
)

_AGREED = "a label in neither mask counts as found without error"
_DIAGONAL = "a distance to an empty mask counts the image's diagonal"
POLICY_TEXT: dict[Policy, str] = {
    "nnunet": f"a label in neither mask is left out; {_DIAGONAL}",
    "one": f"{_AGREED}; {_DIAGONAL}",
    "brats": f"{_AGREED}; a distance to an empty mask counts {BRATS_DISTANCE}",
}


def notice(suite: Mapping[str, Any]) -> str:
    """Returns what must stand above the tables of a suite; empty where there is nothing to say."""
    return SMOKE if suite.get("scale") == "smoke" else ""


def heading(board: TaskBoard) -> str:
    """Writes a table's heading, e.g. ``acdc-lv: 50 test patients, 100 cases, 1 fold x 3 seeds``."""
    if not board.rows:
        return f"{board.task}: nothing to rank"
    cases = plural(board.n_cases, "case")
    if not board.n_folds:
        return f"{board.task}: {plural(board.n_patients, 'patient')}, {cases}"
    runs = f"{plural(board.n_folds, 'fold')} x {plural(board.n_seeds, 'seed')}"
    return f"{board.task}: {plural(board.n_patients, 'test patient')}, {cases}, {runs}"


def marks(board: TaskBoard) -> tuple[dict[str, str], list[str]]:
    """Numbers the notes of a board's rows.

    Returns:
        The numbers of each marked entry, e.g. ``1,3``, and the notes in order, each once.
    """
    texts = list(dict.fromkeys(note for row in board.rows for note in row.notes))
    number = {text: str(place) for place, text in enumerate(texts, start=1)}
    marked = {row.entry: ",".join(number[note] for note in row.notes) for row in board.rows if row.notes}
    return marked, texts


def footer(board: TaskBoard) -> list[str]:
    """Returns the lines under a table: what the numbers mean, and what they cannot say."""
    lines = [f"[{number}] {text}" for number, text in enumerate(marks(board)[1], start=1)]
    lines += [f"not ranked: {name} ({reason})" for name, reason in board.pending.items()]
    lines += list(board.notes)
    if not board.rows:
        return lines
    lines.append(
        f"Means over patients; {'seeds, folds, ' if board.n_folds else ''}images and labels averaged first. "
        f"[95% CI]: BCa bootstrap over patients, {board.resamples} resamples."
    )
    if board.comparisons:
        lines += _test_lines(board)
    if board.n_patients < FEW_PATIENTS:
        lines.append(
            f"With {plural(board.n_patients, 'patient')} an interval tends to be too narrow; read it as a hint."
        )
    asked = (
        ""
        if board.policy == board.declared_policy
        else f" (asked for; the task's is {board.declared_policy})"
    )
    lines.append(f"Empty masks, policy {board.policy}{asked}: {POLICY_TEXT[board.policy]}.")
    lost = "train: mean time of a final trial. fail: trials x cases" if board.n_folds else "fail: cases"
    lines.append(
        f"{lost} without a value, counted as the worst. miss: labels there, not predicted. "
        "valid: there and predicted. empty: not there. false: of these, predicted nonetheless."
    )
    lines += [_tolerance_line(facts) for facts in board.facts if facts.tolerances]
    return lines


def _tolerance_line(facts: MetricFacts) -> str:
    """Writes what a metric with a tolerance is, e.g. ``NSD (2 mm): nsd/marching-cubes/tau=2/v1.``"""
    labels: dict[str, list[str]] = {}
    for label, definition in facts.definitions.items():
        labels.setdefault(definition, []).append(label)
    several = len(labels) > 1
    told = [f"{name} ({', '.join(who)})" if several else name for name, who in labels.items()]
    return f"{facts.title}: {', '.join(told)}."


def _test_lines(board: TaskBoard) -> list[str]:
    tests = plural(board.comparisons, "comparison")
    lines = [
        f"p: difference to the best, Wilcoxon signed-rank test over patients, two-sided, Holm over {tests}."
    ]
    shown = {row.verdict for row in board.rows}
    if "tied" in shown:
        lines[0] += f" =: not separable from the best (p >= {ALPHA:g})."
    if "better" in shown:
        lines.append(f"!: p < {ALPHA:g}, but the difference speaks against the entry with the best mean.")
    if board.paired_absent:
        lines.append(
            "to best and p: a label that is not there counts for who left it out as found without error where the "
            "other predicted it or failed; so the difference is not that of the means."
        )
    if any(row.n_compared != board.n_patients for row in board.rows):
        lines.append(f"n: patients of a test, where not all {board.n_patients}.")
    if "cannot tell" in shown:
        lines.append(
            f"?: cannot tell; {plural(board.n_patients, 'patient')} and {tests} "
            f"give no p below {board.smallest_p:.3g}, whatever the difference."
        )
    return lines
