"""A run begins with what is there: rows of the store become answers, what is missing becomes work."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.plan.plan import Plan
from bench.plan.study import Study
from bench.results.select import newest_per_trial
from bench.results.sound import sound_trials
from bench.results.store import Store
from bench.run.fuse import Fuse
from bench.run.history import costs, outcome_of, tuning_trials
from bench.run.policy import Allowance, Known, Policy
from bench.run.queue import StudyQueue
from bench.run.sampling import Mirror, Sampling
from bench.run.tracker import StudyState, Tracker


def known_of(row: Mapping[str, Any]) -> Known:
    """Returns what a row of the trials table, or a worker's last report, says of its trial."""
    cost = costs(row)
    return Known(
        status=row["status"],
        value=outcome_of(row).value,
        stale=bool(row.get("stale", False)),
        attempt=int(row["attempt"]),
        device_s=cost.get("device_s", 0.0),
        detail=row.get("detail") or "",
        cost=cost,
    )


def make_queues(
    plan: Plan,
    studies: Sequence[Study],
    store: Store,
    code: str,
    policy: Policy,
    allowance: Allowance,
    fuse: Fuse,
    mirror: Mirror | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> list[StudyQueue]:
    """Returns a queue per study, holding what the store knows; what is damaged there is set aside and said."""
    trials = newest_per_trial(sound_trials(store, say, policy.anew), code)
    known = {str(row["trial"]): known_of(row) for row in _records(trials)}

    def runs_again(trial: str) -> bool:
        # One that was interrupted has no outcome either way.
        return policy.needs_run(known[trial]) or not known[trial].decided

    queues, curves = [], _curves(store, trials, studies)
    for study in studies:
        data = plan.data[study.task.name]
        sampling = None
        if study.tune_total:
            rows = tuning_trials(trials, study.id, runs_again, curves.get(study.id))
            sampling = Sampling(study, rows, mirror)
        identity = (data.fingerprint, data.split.hash)
        queues.append(StudyQueue(study, sampling, known, policy, identity, allowance, fuse))
    return queues


def _curves(store: Store, trials: pd.DataFrame, studies: Sequence[Study]) -> dict[str, pd.DataFrame]:
    """Returns the learning curves by study, of studies whose pruner needs them; read in one go.

    A trial may have curves of other code beside those of the row that counts.
    """
    pruning = [study.id for study in studies if study.pruner.name != "none"]
    tuned = trials[trials["study"].isin(pruning) & (trials["phase"] == "tune")]
    if tuned.empty:
        return {}
    owner = dict(zip(tuned["trial"], tuned["study"], strict=True))
    curves = store.curves(set(owner)).merge(tuned[["trial", "code", "attempt"]])
    return {str(study): mine for study, mine in curves.groupby(curves["trial"].map(owner))}


def make_tracker(queues: Sequence[StudyQueue]) -> Tracker:
    """Returns the display's bookkeeping, counting what is already there."""
    states = {}
    for queue in queues:
        study = queue.study
        tune, final = queue.finished()
        rows = (*tune, *final)
        states[study.id] = StudyState(
            task=study.task.name,
            entry=study.entry,
            tune_total=max(study.tune_total, len(tune)),
            final_total=study.final_total,
            tune_epochs=study.tune_epochs,
            final_epochs=study.final_epochs,
            tune_done=len(tune),
            final_done=len(final),
            failed=sum(known.failed for known in rows),
            pruned=sum(known.status == "pruned" for known in rows),
            best=max((known.value for known in tune if known.value is not None), default=None),
            queue=queue,
        )
    return Tracker(states, slots=1)


def _records(trials: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in trials.to_dict("records")]
