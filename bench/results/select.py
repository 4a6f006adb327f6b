"""Which of the stored trials count: pure functions on the trials table."""

import math
from collections.abc import Hashable, Iterable, Mapping
from itertools import repeat
from typing import Any

import pandas as pd

from bench.results.counting import Limits, Tuned, best_of, out_of_reach
from bench.results.schema import UNDECIDED

ATTEMPT = ["trial", "code", "attempt"]


def newest_per_trial(trials: pd.DataFrame, code: str | None = None) -> pd.DataFrame:
    """Keeps one row per trial: that of today's code where there is one, else the newest.

    A trial that was interrupted or lost with one code does not hide its result with another.

    Args:
        trials: Trials table.
        code: Fingerprint of today's code; none takes the newest row of each trial.

    Returns:
        The rows with a bool column ``stale``: made by other code than `code`.
    """
    # Of the few columns that decide: to sort all of them takes many times as long.
    keys = trials[["trial", "finished_at"]].assign(
        decided=~trials["status"].isin(UNDECIDED),
        current=True if code is None else (trials["code"] == code),
    )
    ordered = keys.set_axis(range(len(keys))).sort_values(
        ["decided", "current", "finished_at"], kind="stable"
    )
    kept = ordered.drop_duplicates("trial", keep="last")
    return trials.iloc[kept.index].assign(stale=~kept["current"].to_numpy(bool))


def best_trials(
    trials: pd.DataFrame,
    code: str | None = None,
    higher_is_better: bool | Mapping[str, bool] = True,
    limits: Mapping[str, Limits] | None = None,
) -> pd.DataFrame:
    """Returns the best complete tuning trial of each study.

    Args:
        trials: Trials table.
        code: Fingerprint of today's code. Where a trial has a row of it, that row counts; else its newest
            row does, and the result says ``stale``.
        higher_is_better: Direction of `value`, for all studies or by selection metric. Our own training
            stores scores of which the higher is better, whatever the metric.
        limits: By study, what its tuning may spend and a setting may cost. A column ``trained_epochs`` says after
            how many epochs a trial was pruned; see `with_trained_epochs`.

    Returns:
        A row per study that has a complete tuning trial with a value that counts; of equals the lowest number.
    """
    tuning = trials[trials["phase"] == "tune"]
    if tuning.empty:
        return tuning.assign(stale=False).reset_index(drop=True)
    rows = newest_per_trial(tuning, code)
    if isinstance(higher_is_better, Mapping):
        higher = rows["metric"].map(higher_is_better).astype(bool)
    else:
        higher = pd.Series(higher_is_better, rows.index)
    scored = rows.assign(_score=rows["value"].where(higher, -rows["value"]))
    chosen = [_best(mine, (limits or {}).get(str(study))) for study, mine in scored.groupby("study")]
    found = [label for label in chosen if label is not None]
    return scored.loc[found].drop(columns="_score").reset_index(drop=True)


def _best(rows: pd.DataFrame, limits: Limits | None) -> Hashable | None:
    """Returns the label of a study's best row."""
    rows = rows.sort_values(["number", "finished_at"], kind="stable")
    if limits is not None:
        # A number has one row, unless a budget was spent before numbers were kept; the first one counts.
        rows = rows.drop_duplicates("number")
    limits = limits or Limits()
    tuned = _tuned(rows, limits)
    best = best_of(tuned, limits)
    return None if best is None else rows.index[tuned.index(best)]


def _tuned(rows: pd.DataFrame, limits: Limits) -> list[Tuned]:
    """Returns rows with a score as budgets count them; costs only where there is a limit to them."""
    spent = () if limits.device_s is None else ("device_s",)
    asked = [name for name in dict.fromkeys((*spent, *limits.most)) if name in rows.columns]
    costs: Iterable[Mapping[Any, Any]] = rows[asked].to_dict("records") if asked else repeat({}, len(rows))
    epochs = rows["trained_epochs"].tolist() if "trained_epochs" in rows.columns else repeat(0, len(rows))
    known = zip(
        rows["number"].tolist(), rows["status"].tolist(), rows["_score"].tolist(), epochs, costs, strict=True
    )
    return [
        Tuned(number, status, score, trained, {k: float(v) for k, v in cost.items() if _is_known(v)})
        for number, status, score, trained, cost in known
    ]


def _is_known(cost: Any) -> bool:
    return cost is not None and not pd.isna(cost) and math.isfinite(cost)


def constraints_out_of_reach(trials: pd.DataFrame, limits: Limits) -> str:
    """Says which constraints no complete tuning trial of a study keeps to, if that is so; see `out_of_reach`.

    Args:
        trials: Trials table of one study.
        limits: Of the study.
    """
    rows = newest_per_trial(trials[trials["phase"] == "tune"]).assign(_score=0.0)
    return out_of_reach(_tuned(rows, limits), limits)


def with_trained_epochs(trials: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Adds a column ``trained_epochs``: the last epoch after which a trial has a score, 0 where that is not known.

    Args:
        trials: Trials table.
        curves: Curves table, of these trials or of some of them.
    """
    last = curves[curves["score"].notna()].groupby(ATTEMPT, as_index=False)["epoch"].max()
    epochs = trials[ATTEMPT].merge(last, how="left", on=ATTEMPT)["epoch"].fillna(0).astype(int)
    return trials.assign(trained_epochs=epochs.to_numpy())


def current_finals(
    trials: pd.DataFrame,
    code: str | None = None,
    higher_is_better: bool | Mapping[str, bool] = True,
    limits: Mapping[str, Limits] | None = None,
) -> pd.DataFrame:
    """Returns the final trials that speak for each study.

    These are the finals with the setting that tuning found best. Where there is no such final (no tuning, or
    tuning went on and its winner was not retrained yet) they are those with the setting that finished last.

    Args:
        trials: Trials table.
        code: Fingerprint of today's code; see `best_trials`.
        higher_is_better: See `best_trials`.
        limits: See `best_trials`.

    Returns:
        A row per study, fold and seed, whatever its status, with bool columns ``stale`` (made by other code)
        and ``outdated`` (its setting is no longer the one that tuning found best).
    """
    finals = newest_per_trial(trials[trials["phase"] == "final"], code)
    best = best_trials(trials, code, higher_is_better, limits).set_index("study")["setting"]
    wanted = finals["study"].map(best)
    matches = (wanted.isna() | (finals["setting"] == wanted)).astype(bool)
    run = ["study", "fold", "seed"]
    keys = finals[[*run, "setting", "finished_at"]].assign(match=matches).set_axis(range(len(finals)))
    ranked = keys.sort_values(["match", "finished_at"], kind="stable")
    chosen = ranked.drop_duplicates("study", keep="last").set_index("study")["setting"]
    kept = ranked[ranked["setting"] == ranked["study"].map(chosen)]
    kept = kept.drop_duplicates(run, keep="last").sort_values(run)
    found = finals.iloc[kept.index].reset_index(drop=True)
    return found.assign(outdated=~kept["match"].to_numpy(bool))


def test_looks(trials: pd.DataFrame) -> pd.DataFrame:
    """Counts how many settings of each entry have met the test cases of a task.

    More than one means that the test cases could have chosen between them.

    Args:
        trials: Trials table.

    Returns:
        Columns task, entry, data, split, and looks: distinct settings of complete final trials, over all
        studies of the entry on the same data and split.
    """
    keys = ["task", "entry", "data", "split"]
    there = (trials["phase"] == "final") & (trials["status"] == "complete")
    met = trials.loc[there, [*keys, "study", "setting"]]
    settings = met.drop_duplicates([*keys, "study", "setting"])
    return settings.groupby(keys, as_index=False).size().rename(columns={"size": "looks"})


test_looks.__test__ = False  # type: ignore[attr-defined]  # pytest takes it for a test where it is imported
