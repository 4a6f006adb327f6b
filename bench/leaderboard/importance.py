"""Which hyper-parameters mattered in tuning: PED-ANOVA of Optuna, on studies rebuilt from the trials table.

Watanabe, Bansal, Hutter (2023), PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces,
IJCAI 2023, https://arxiv.org/abs/2304.10255. fANOVA would need scikit-learn, and knows no conditional parameters.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import create_trial

from bench.leaderboard.planned import PlannedStudy, within_plan
from bench.plan.parameter import Parameter, Setting
from bench.results.select import newest_per_trial
from bench.run.sampling_space import distribution, encode
from bench.words import plural

LEAST_TRIALS = 10
TOP = 5
"""Trials that are the good ones at least, else a tenth of all: what Optuna's documentation asks for."""
SHUFFLES = 39
"""At most one of them above what was found: p <= 0.05, exactly."""


@dataclass(frozen=True)
class Importance:
    """What mattered in one study.

    Args:
        entry: Name.
        names: Hyper-parameters, most important first.
        shares: Of the total importance; they sum to 1.
        chance: Share that chance alone exceeds in one of twenty studies: the same settings, scores shuffled.
        n_trials: Complete tuning trials.
        why: Why there is nothing to show.
    """

    entry: str
    names: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    chance: tuple[float, ...] = ()
    n_trials: int = 0
    why: str = ""


def importances(
    trials: pd.DataFrame,
    suite: Mapping[str, Any],
    planned: Sequence[PlannedStudy],
    task: str,
    entries: Sequence[str],
    seed: int = 0,
) -> list[Importance]:
    """Returns what mattered in each study of a task that was tuned, in the order of the entries.

    Args:
        trials: Trials table.
        suite: The resolved suite, as the results keep it.
        planned: Its studies.
        task: Name of the task.
        entries: Names of those that are asked for.
        seed: Of the shuffles.
    """
    spaces = {study["id"]: study.get("space", []) for study in suite.get("studies", [])}
    tuned = newest_per_trial(within_plan(trials[trials["phase"] == "tune"], planned))
    mine = {study.entry: study for study in planned if study.task == task and spaces.get(study.id)}
    found = []
    for entry in entries:
        if entry in mine:
            study = mine[entry].id
            done = tuned[(tuned["study"] == study) & (tuned["status"] == "complete")].sort_values("number")
            space = [read_parameter(tree) for tree in spaces[study]]
            found.append(importance(entry, done, space, np.random.default_rng(seed)))
    return found


def read_parameter(tree: Mapping[str, Any]) -> Parameter:
    """Reads a parameter that a suite was kept with; the reverse of `Parameter.to_json`."""
    choices = tree.get("choices")
    when = tuple((name, tuple(values)) for name, values in tree.get("when", ()))
    return Parameter(**{**tree, "choices": None if choices is None else tuple(choices), "when": when})


def importance(
    entry: str, trials: pd.DataFrame, space: Sequence[Parameter], rng: np.random.Generator
) -> Importance:
    """Returns what mattered in a study for reaching its best trials.

    Args:
        entry: Name.
        trials: Its complete tuning trials: columns setting_json and value (higher is better).
        space: Its search space.
        rng: Shuffles scores.
    """
    known = trials[np.isfinite(trials["value"].astype(float))]
    number = len(known)
    if len(space) < 2:
        return Importance(entry, n_trials=number, why=f"only {space[0].name} was searched")
    if number < LEAST_TRIALS:
        why = f"{plural(number, 'complete trial')}; at least {LEAST_TRIALS} are needed"
        return Importance(entry, n_trials=number, why=why)
    settings = [encode(json.loads(text), space) for text in known["setting_json"]]
    scores = known["value"].to_numpy(float)
    spaces = {parameter.name: distribution(parameter) for parameter in space}
    study = _study(settings, spaces)
    raw = _evaluate(study, spaces, scores)
    total = float(raw.sum())
    if total <= 0:
        return Importance(entry, n_trials=number, why="all trials scored alike, or had the same setting")
    shuffled = [_evaluate(study, spaces, rng.permutation(scores)) for _ in range(SHUFFLES)]
    chance = np.sort(np.stack(shuffled), axis=0)[-2]
    order = np.argsort(-raw, kind="stable")
    names = list(spaces)
    return Importance(
        entry=entry,
        names=tuple(names[place] for place in order),
        shares=tuple(float(raw[place] / total) for place in order),
        chance=tuple(float(chance[place] / total) for place in order),
        n_trials=number,
    )


def _study(settings: Sequence[Setting], spaces: Mapping[str, BaseDistribution]) -> optuna.Study:
    """Returns a study of these settings; its scores come with each question."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study()
    finally:
        optuna.logging.set_verbosity(before)
    study.add_trials(
        create_trial(value=0.0, params=setting, distributions={name: spaces[name] for name in setting})
        for setting in settings
    )
    return study


def _evaluate(
    study: optuna.Study, spaces: Mapping[str, BaseDistribution], scores: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns the importance of each parameter, not normalised; 0 of one that no trial had."""
    top = PedAnovaImportanceEvaluator(target_quantile=max(0.1, TOP / len(scores)))
    with warnings.catch_warnings():
        # It warns that a low target is a good one, which we know, and of parameters that were active in one trial
        # only: their importance is small then, which is all we say.
        warnings.simplefilter("ignore", UserWarning)
        found = top.evaluate(study, target=lambda trial: -float(scores[trial.number]))
    return np.array([found.get(name, 0.0) for name in spaces])
