"""Which of the stored trials count: pure functions on the trials table."""

import math
from collections.abc import Hashable, Mapping
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
    current = pd.Series(True, trials.index) if code is None else trials["code"] == code
    decided = ~trials["status"].isin(UNDECIDED)
    ordered = trials.assign(_decided=decided, _current=current).sort_values(
        ["_decided", "_current", "finished_at"], kind="stable"
    )
    kept = ordered.drop_duplicates("trial", keep="last")
    return kept.assign(stale=~kept["_current"]).drop(columns=["_decided", "_current"])


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
    rows = newest_per_trial(trials[trials["phase"] == "tune"], code)
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
    tuned = [_tuned(row, limits) for row in rows.to_dict("records")]
    best = best_of(tuned, limits)
    return None if best is None else rows.index[tuned.index(best)]


def _tuned(row: Mapping[Any, Any], limits: Limits) -> Tuned:
    known = {name: row.get(name) for name in ("device_s", *limits.most)}
    cost = {name: float(much) for name, much in known.items() if much is not None and math.isfinite(much)}
    return Tuned(
        int(row["number"]), row["status"], float(row["_score"]), int(row.get("trained_epochs", 0)), cost
    )


def constraints_out_of_reach(trials: pd.DataFrame, limits: Limits) -> str:
    """Says which constraints no complete tuning trial of a study keeps to, if that is so; see `out_of_reach`.

    Args:
        trials: Trials table of one study.
        limits: Of the study.
    """
    rows = newest_per_trial(trials[trials["phase"] == "tune"]).assign(_score=0.0)
    return out_of_reach([_tuned(row, limits) for row in rows.to_dict("records")], limits)


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
    ranked = finals.assign(_match=matches).sort_values(["_match", "finished_at"], kind="stable")
    chosen = ranked.drop_duplicates("study", keep="last").set_index("study")["setting"]
    kept = ranked[ranked["setting"] == ranked["study"].map(chosen)]
    kept = kept.assign(outdated=~kept["_match"]).drop(columns="_match")
    kept = kept.drop_duplicates(["study", "fold", "seed"], keep="last")
    return kept.sort_values(["study", "fold", "seed"], ignore_index=True)


def test_looks(trials: pd.DataFrame) -> pd.DataFrame:
    """Counts how many settings of each entry have met the test cases of a task.

    More than one means that the test cases could have chosen between them.

    Args:
        trials: Trials table.

    Returns:
        Columns task, entry, data, split, and looks: distinct settings of complete final trials, over all
        studies of the entry on the same data and split.
    """
    met = trials[(trials["phase"] == "final") & (trials["status"] == "complete")]
    keys = ["task", "entry", "data", "split"]
    settings = met.drop_duplicates([*keys, "study", "setting"])
    return settings.groupby(keys, as_index=False).size().rename(columns={"size": "looks"})


test_looks.__test__ = False  # type: ignore[attr-defined]  # pytest takes it for a test where it is imported
