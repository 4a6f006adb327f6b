"""What stands under a table, the same in every format."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.leaderboard.against_best import LEAST_TRAININGS
from bench.leaderboard.columns import speaking_counts
from bench.leaderboard.contract import PATIENTS_TEXT
from bench.leaderboard.estimate import LEAST_FOR_INTERVAL
from bench.leaderboard.facts import MetricFacts
from bench.leaderboard.formats import pairs_text
from bench.leaderboard.legend import legend
from bench.leaderboard.spread import ranks_open
from bench.leaderboard.table import TaskBoard
from bench.leaderboard.verdicts import smallest_holm_p
from bench.plan.registered import withdrawn
from bench.stats.paired import ALPHA, LEAST_PATIENTS, holm_level
from bench.words import plural

FEW_PATIENTS = 20
SMOKE = (
    "Smoke run: generated data, tiny networks, a few steps. It shows that the suite runs; no number below says "
    "anything about a model or a loss."
)


def notice(suite: Mapping[str, Any], left_out: Mapping[str, str] | None = None) -> str:
    """Returns what must stand above the tables of a suite; empty where there is nothing to say.

    Args:
        suite: As it was kept.
        left_out: Why tasks are left out, by name.
    """
    tasks = [f"{task}: left out ({why})." for task, why in (left_out or {}).items()]
    smoke = [SMOKE] if suite.get("scale") == "smoke" else []
    return " ".join([*smoke, *tasks, *changed_claims(suite)])


def changed_claims(suite: Mapping[str, Any]) -> list[str]:
    """Says which claims a suite had once and has not any more; nothing where there are none."""
    gone = withdrawn(suite)
    return [f"Claims of earlier runs, changed or dropped since: {', '.join(gone)}."] if gone else []


def heading(board: TaskBoard) -> str:
    """Writes a table's heading, e.g. ``acdc-lv: 50 test patients, 100 cases, 1 fold x 3 seeds``."""
    name = f"{board.task}, {board.part}" if board.part else board.task
    if not board.rows:
        return f"{name}: nothing to rank"
    cases = plural(board.n_cases, "case")
    if board.n_valued != board.n_patients:
        cases += f", {board.facts[0].title} of {plural(board.n_valued, 'patient')}"
    if not board.n_folds:
        return f"{name}: {plural(board.n_patients, 'patient')}, {cases}"
    runs = f"{plural(board.n_folds, 'fold')} x {plural(board.n_seeds, 'seed')}"
    return f"{name}: {plural(board.n_patients, 'test patient')}, {cases}, {runs}"


def marks(board: TaskBoard) -> tuple[dict[str, str], list[str]]:
    """Numbers the notes of a board's rows, but those that all rows have.

    Returns:
        The numbers of each marked entry, e.g. ``1,3``, and the notes in order, each once.
    """
    shared = _shared(board)
    texts = list(dict.fromkeys(note for row in board.rows for note in row.notes if note not in shared))
    number = {text: str(place) for place, text in enumerate(texts, start=1)}
    numbers = {row.entry: [number[note] for note in row.notes if note in number] for row in board.rows}
    return {entry: ",".join(own) for entry, own in numbers.items() if own}, texts


def _shared(board: TaskBoard) -> list[str]:
    """Returns the notes that all of several rows have: a mark on each would tell none apart."""
    if len(board.rows) < 2:
        return []
    return [note for note in board.rows[0].notes if all(note in row.notes for row in board.rows)]


def footer(board: TaskBoard) -> list[str]:
    """Returns all that a reader must know of a table that stands alone."""
    return [*remarks(board), *(line for _, line in about(board)), *legend([board], ("all",))]


def remarks(board: TaskBoard) -> list[str]:
    """Returns what a reader must know of this table; `bench.leaderboard.legend` says what columns mean."""
    lines = [f"[{number}] {text}" for number, text in enumerate(marks(board)[1], start=1)]
    # What is said of the whole table need not be said of each entry.
    said = {note.partition(":")[0] for note in board.notes}
    lines += [f"each entry: {note}" for note in _shared(board) if note.partition(":")[0] not in said]
    lines += [f"not ranked: {name} ({reason})" for name, reason in board.pending.items()]
    lines += list(board.notes)
    if not board.rows:
        return lines
    if board.patients_from in PATIENTS_TEXT and not board.part:
        lines.append(PATIENTS_TEXT[board.patients_from])
    if len(board.rows) > 1:
        lines += _test_lines(board)
        lines += _stability(board)
    if board.n_folds * board.n_seeds == 2 and len(board.rows) > 1:
        lines.append("Two trainings cannot tell how much another seed changes.")
    if board.n_folds * board.n_seeds == 1:
        lines.append(
            "One training per entry: intervals and p are about these networks; another seed may order them otherwise."
        )
    few = board.n_least < LEAST_FOR_INTERVAL
    if few:
        some = board.n_valued >= LEAST_FOR_INTERVAL
        who = "One entry has " if some else ""
        valued = f" with a value of {board.facts[0].title}" if board.n_least != board.n_patients else ""
        lines.append(
            f"{who}{plural(board.n_least, 'patient')}{valued}: no intervals, neither of "
            f"{'its mean' if some else 'means'} nor of ranks; they take {LEAST_FOR_INTERVAL}."
        )
    elif board.n_valued < FEW_PATIENTS:
        lines.append(
            f"With {plural(board.n_valued, 'patient')} an interval tends to be too narrow; read it as a hint."
        )
    return [*lines, *_counts_line(board)]


def about(board: TaskBoard) -> list[tuple[str, str]]:
    """Returns what a reader must know of single columns, by their keys."""
    lines = [(facts.name, _tolerance_line(facts)) for facts in board.facts if facts.tolerances]
    if ranks_open(board):
        patients = plural(board.n_least, "patient")
        lines.append(("true_rank", f"true rank: cannot tell of {patients}; it takes {LEAST_PATIENTS}."))
    return lines


def _test_lines(board: TaskBoard) -> list[str]:
    facts, shown = board.facts[0], {row.verdict for row in board.rows}
    patients, tests = plural(board.n_valued, "patient"), pairs_text(board.comparisons)
    lines = []
    if "cannot tell" in shown:
        lines.append(_cannot_tell(board))
    elif board.n_valued < FEW_PATIENTS:
        lines.append(f"{patients} and {tests}: the smallest p possible is {board.smallest_p:.2g}.")
    if math.isfinite(board.mdd) and any(row.too_small for row in board.rows):
        lines.append(
            f"In parentheses: smaller than what these {patients} would show with 80% power "
            f"({_detectable(board, facts)}){_lucky(board)}."
        )
    if board.scheme == "test" and board.n_valued < LEAST_PATIENTS:
        lines.append(f"Ranks by tests take {LEAST_PATIENTS} patients: all entries share one.")
    elif board.scheme == "test" and len({row.rank for row in board.rows}) == 1:
        lines.append("No entry is significantly better than another: all share a rank, which says nothing.")
    if "unsure" in shown:
        lines.append(_unsure(board))
    if "better" in shown:
        lines.append(
            f"!: p < {ALPHA:g}, but the differences speak against the entry with the best {_ranked(board)}."
        )
    if board.paired_absent:
        lines.append(
            "to best and p: a label that is not there counts for who left it out as found without error where the "
            "other predicted it or failed; so the difference is not that of the means."
        )
    if any(row.n_compared != board.n_valued for row in board.rows):
        lines.append(f"n: patients of a test, where not all {board.n_valued}.")
    return lines


def _cannot_tell(board: TaskBoard) -> str:
    most = max(row.n_compared for row in board.rows if row.verdict == "cannot tell")
    given = plural(most, "patient") + (f" and {pairs_text(board.comparisons)}" if board.comparisons else "")
    least = smallest_holm_p(board.comparisons, most)
    return f"?: cannot tell; {given} give no p below {least:.3g}, whatever the difference; it stands in parentheses."


def _unsure(board: TaskBoard) -> str:
    over, who = "over patients", "other patients"
    if board.n_folds * board.n_seeds >= LEAST_TRAININGS:
        over, who = "over patients, or over patients and trainings,", "other patients or another seed"
    level = f"{100 * (1 - holm_level(board.comparisons)):.4g}%"
    return (
        f"~: p < {ALPHA:g}, but the {level} interval of the mean difference {over} holds zero ({level}: Holm's "
        f"first step over {pairs_text(board.comparisons)}): {who} may order them otherwise."
    )


def _detectable(board: TaskBoard, facts: MetricFacts) -> str:
    ends = [row.mdd for row in board.rows if math.isfinite(row.mdd)]
    low, high = facts.text(min(ends)), facts.text(max(ends))
    return low if low == high else f"{low} to {high}, depending on the entry"


def _lucky(board: TaskBoard) -> str:
    """Says what to think of findings that were more likely missed."""
    if not any(row.too_small and row.verdict in ("worse", "better") for row in board.rows):
        return ""
    return (
        f". Where p is below {ALPHA:g} nonetheless: a study of this size misses such a difference more than one time "
        "in five; found ones tend to be overestimated"
    )


def _ranked(board: TaskBoard) -> str:
    return {"mean": "mean", "rank": "mean rank", "test": "number of wins"}[board.scheme]


def _stability(board: TaskBoard) -> list[str]:
    """Says how much of the ranking stays when patients are drawn anew."""
    if board.ranking is None or len(board.rows) < 3 or board.n_valued < FEW_PATIENTS:
        return []
    tau = board.ranking.tau[~np.isnan(board.ranking.tau)]
    if not len(tau):
        return []
    low, middle, high = np.quantile(tau, [0.025, 0.5, 0.975])
    return [
        f"Kendall's tau of this ranking with those of resampled patients: {middle:.2f} [{low:.2f}, {high:.2f}]."
    ]


def _counts_line(board: TaskBoard) -> list[str]:
    """Says the counts that no column tells: they are the same for all entries."""
    row = board.rows[0]
    said = {
        "n_valid": f"{row.n_valid:,} valid",
        "n_empty_reference": f"{row.n_empty_reference:,} empty",
        "n_missed": f"{row.n_missed:,} missed",
        "n_failed": f"{row.n_failed:,} failed",
    }
    same = [text for key, text in said.items() if "default" not in speaking_counts(board)[key]]
    what = "final trials x cases x labels" if board.n_folds else "cases x labels"
    return [f"Values of each entry ({what}): {', '.join(same)}."] if same else []


def _tolerance_line(facts: MetricFacts) -> str:
    """Writes what a metric with a tolerance is, e.g. ``NSD (2 mm): nsd/marching-cubes/tau=2/v1.``"""
    labels: dict[str, list[str]] = {}
    for label, definition in facts.definitions.items():
        labels.setdefault(definition, []).append(label)
    several = len(labels) > 1
    told = [f"{name} ({', '.join(who)})" if several else name for name, who in labels.items()]
    return f"{facts.title}: {', '.join(told)}."
