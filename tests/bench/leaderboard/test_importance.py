"""What mattered in tuning, on studies whose answer is known."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from bench.leaderboard.importance import LEAST_TRIALS, Importance, importance, importances, read_parameter
from bench.leaderboard.planned import PlannedStudy
from bench.plan.parameter import Parameter

SPACE = [
    Parameter("rate", "train.learning_rate", 1e-3, 1e-4, 1e-2, log=True),
    Parameter("decay", "train.weight_decay", 1e-4, 1e-6, 1e-2, log=True),
    Parameter("optimizer", "train.optimizer", "adam", choices=("adam", "sgd")),
    Parameter("momentum", "train.momentum", 0.9, 0.8, 0.99, when=(("optimizer", ("sgd",)),)),
    Parameter("blocks", "model.blocks", [1, 2], choices=([1, 2], [2, 2], {"deep": True})),
]
Score = Callable[[dict[str, Any], np.random.Generator], float]


def tuned(
    number: int, score: Score, seed: int = 0, sampler: optuna.samplers.BaseSampler | None = None
) -> pd.DataFrame:
    """Returns the complete trials of a study that a sampler of Optuna chose."""
    rng = np.random.default_rng(seed)
    study = optuna.create_study(
        direction="maximize", sampler=sampler or optuna.samplers.RandomSampler(seed=seed)
    )
    rows = []
    for _ in range(number):
        trial = study.ask()
        setting: dict[str, Any] = {
            "rate": trial.suggest_float("rate", 1e-4, 1e-2, log=True),
            "decay": trial.suggest_float("decay", 1e-6, 1e-2, log=True),
            "optimizer": trial.suggest_categorical("optimizer", ["adam", "sgd"]),
        }
        if setting["optimizer"] == "sgd":
            setting["momentum"] = trial.suggest_float("momentum", 0.8, 0.99)
        setting["blocks"] = ([1, 2], [2, 2], {"deep": True})[trial.suggest_int("blocks", 0, 2)]
        value = score(setting, rng)
        study.tell(trial, value)
        rows.append({"setting_json": json.dumps(setting), "value": value})
    return pd.DataFrame(rows)


@pytest.fixture(autouse=True)
def quiet() -> Any:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    assert optuna.logging.get_verbosity() == optuna.logging.WARNING
    optuna.logging.set_verbosity(before)


def by_rate(setting: dict[str, Any], rng: np.random.Generator) -> float:
    return float(-abs(np.log10(setting["rate"]) + 3) + 0.05 * rng.normal())


def find(trials: pd.DataFrame, space: list[Parameter] = SPACE) -> Importance:
    return importance("unet + dice", trials, space, np.random.default_rng(0))


def beyond_chance(found: Importance) -> set[str]:
    return {
        name
        for name, share, chance in zip(found.names, found.shares, found.chance, strict=True)
        if share > chance
    }


def test_what_decides_is_found_and_is_beyond_chance() -> None:
    found = find(tuned(40, by_rate))
    assert found.names[0] == "rate"
    assert "rate" in beyond_chance(found)
    assert sum(found.shares) == pytest.approx(1)
    assert found.shares == tuple(sorted(found.shares, reverse=True))
    assert set(found.names) == {parameter.name for parameter in SPACE}
    assert found.n_trials == 40


def test_a_conditional_parameter_can_be_what_matters() -> None:
    def score(setting: dict[str, Any], rng: np.random.Generator) -> float:
        return float(setting.get("momentum", 0.0)) + 0.001 * float(rng.normal())

    assert {"momentum", "optimizer"} & beyond_chance(find(tuned(40, score)))


def test_a_choice_that_is_a_list_or_a_mapping_can_be_what_matters() -> None:
    def score(setting: dict[str, Any], rng: np.random.Generator) -> float:
        return float(setting["blocks"] == [2, 2]) + 0.001 * float(rng.normal())

    assert "blocks" in beyond_chance(find(tuned(60, score)))


def test_higher_is_better() -> None:
    """The good trials share a rate, the bad ones share nothing: with the sign turned nothing is left to find."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(60):
        good = number % 10 == 0
        rate = 1e-3 if good else 10 ** rng.uniform(-4, -2)
        setting = {"rate": rate, "decay": 10 ** rng.uniform(-6, -2), "optimizer": "adam", "blocks": [1, 2]}
        rows.append({"setting_json": json.dumps(setting), "value": float(good) + 0.01 * rng.random()})
    trials = pd.DataFrame(rows)
    assert "rate" in beyond_chance(find(trials))
    assert "rate" not in beyond_chance(find(trials.assign(value=-trials["value"])))


def test_the_same_question_has_the_same_answer() -> None:
    trials = tuned(20, by_rate)
    assert find(trials) == find(trials)


@pytest.mark.parametrize(
    ("trials", "space", "why"),
    [
        (tuned(LEAST_TRIALS - 1, by_rate), SPACE, "9 complete trials; at least 10 are needed"),
        (tuned(20, by_rate).assign(value=np.nan), SPACE, "0 complete trials; at least 10 are needed"),
        (tuned(20, by_rate), SPACE[:1], "only rate was searched"),
    ],
)
def test_too_little_says_so(trials: pd.DataFrame, space: list[Parameter], why: str) -> None:
    found = find(trials, space)
    assert (found.why, found.names) == (why, ())


def test_parameters_come_back_as_the_suite_kept_them() -> None:
    for parameter in SPACE:
        assert read_parameter(json.loads(json.dumps(parameter.to_json()))) == parameter


def test_studies_of_a_task_in_the_order_that_is_asked_for() -> None:
    spaces = [parameter.to_json() for parameter in SPACE]
    suite = {
        "studies": [{"id": "s1", "space": spaces}, {"id": "s2", "space": spaces}, {"id": "s3", "space": []}]
    }
    planned = [PlannedStudy("s1", "lung", "a", {}, ()), PlannedStudy("s2", "lung", "b", {}, ()),
               PlannedStudy("s3", "lung", "c", {}, ()), PlannedStudy("s2", "heart", "b", {}, ())]  # fmt: skip
    rows = [
        tuned(12, by_rate, seed).assign(study=study, trial=lambda table, s=study: s + table.index.astype(str))
        for seed, study in enumerate(("s1", "s2"))
    ]
    trials = pd.concat(rows, ignore_index=True).assign(
        phase="tune", status="complete", code="today", finished_at=0, setting="", fold=0, seed=0
    )
    trials["number"] = trials.groupby("study").cumcount()
    # What did not complete has no score to compare.
    trials.loc[trials.index[-1], "status"] = "pruned"
    found = importances(trials, suite, planned, "lung", ["c", "b", "a"])
    assert [(one.entry, one.n_trials) for one in found] == [("b", 11), ("a", 12)]
    assert [one.entry for one in importances(trials, suite, planned, "lung", ["a"])] == ["a"]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", [optuna.samplers.RandomSampler, optuna.samplers.TPESampler])
@pytest.mark.parametrize("number", [10, 30, 60])
def test_chance_is_exceeded_as_often_as_it_says(
    sampler: type[optuna.samplers.BaseSampler], number: int
) -> None:
    """Where nothing matters, one bar in twenty is filled: 600 bars per case, 5% +- 3 standard errors."""
    filled = total = 0
    for seed in range(120):
        trials = tuned(number, lambda _, rng: float(rng.normal()), seed, sampler(seed=seed))  # type: ignore[call-arg]
        found = importance("a", trials, SPACE, np.random.default_rng(seed))
        filled += len(beyond_chance(found))
        total += len(SPACE)
    assert filled / total < 0.05 + 3 * np.sqrt(0.05 * 0.95 / total)
