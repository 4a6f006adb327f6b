"""The answers to the claims of a suite whose results are there."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from bench.leaderboard.cells import TaskCells
from bench.leaderboard.claims import ClaimResult, answer_claims
from bench.leaderboard.load import load_tasks
from bench.leaderboard.measure_claim import tasks_of
from bench.leaderboard.sides import AXES, all_sides, labels_of, matching, planned_labels
from bench.plan.registered import registered_at
from bench.results.store import Store
from bench.stats.intervals import RESAMPLES


def suite_claims(
    store: Store,
    loaded: Sequence[TaskCells],
    code: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    without: Collection[str] = (),
) -> list[ClaimResult]:
    """Answers the claims of the suite that was run last.

    Whatever of it is looked at, Holm's family is all of its claims on all of their tasks.

    Args:
        store: Results.
        loaded: Test values of the tasks that are looked at; other claims are answered, but not returned. What else is
            needed is read.
        code: Fingerprint of today's code, as for `load_tasks`.
        resamples: Bootstrap samples.
        seed: Of the bootstrap.
        without: Tasks that were left out: claims on them are not returned.

    Raises:
        ResultsError: If results cannot be read.
    """
    suite = store.read_suite() or {}
    claims = suite.get("claims", [])
    if not claims:
        return []
    planned = planned_labels(suite)
    have = {cells.task: cells for cells in loaded}
    known = list(dict.fromkeys([*(task for task, _ in planned), *have]))
    wanted = {name for claim in claims for name in tasks_of(claim, known) if name in known}
    more = load_tasks(store, tasks=sorted(wanted - have.keys()), code=code) if wanted - have.keys() else []
    every = [*loaded, *more]
    answers = answer_claims(claims, every, resamples, seed, suite.get("compare", AXES), planned)
    by_id = {str(claim["id"]): claim for claim in claims}
    on = {name: set(tasks_of(claim, known)) for name, claim in by_id.items()}
    shown = [one for one in answers if have.keys() & on[one.id] and not on[one.id] & set(without)]
    return [_dated(one, suite, by_id[one.id], every) for one in shown]


def _dated(
    found: ClaimResult, suite: Mapping[str, Any], claim: Mapping[str, Any], tasks: Sequence[TaskCells]
) -> ClaimResult:
    """Says how many of its final trials were there before a claim was written down, and marks one that is late.

    Where only one side had been run, as the baseline of a new model has, nobody could know the answer.
    """
    at = registered_at(suite, claim)
    names = tasks_of(claim, [cells.task for cells in tasks])
    early, total, late = 0, 0, False
    if at is None:
        return found
    for cells in tasks:
        if cells.task not in names:
            continue
        before = {
            entry.name: (entry.finals["finished_at"] < pd.Timestamp(at)).to_numpy(bool)
            for entry in cells.entries
        }
        better, than = (_named(cells, claim[side]) for side in ("better", "than"))
        early += sum(int(before[name].sum()) for name in better | than)
        total += sum(len(before[name]) for name in better | than)
        late = late or all(any(before[name].any() for name in side) for side in (better, than))
    if not early:
        return found
    note = f"written down on {at:%Y-%m-%d %H:%M} UTC, after {early} of {total} of its final trials were run"
    return replace(found, notes=(*found.notes, note), late=late)


def _named(cells: TaskCells, side: Mapping[str, Any]) -> set[str]:
    labels = labels_of(cells)
    return {name for one in all_sides(side) for name in matching(labels, one)}
