"""Optuna's form of a study's search space and settings."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import BaseTrial

from bench.plan.parameter import Parameter, Setting, is_active
from bench.suite.search import same


def distribution(parameter: Parameter) -> BaseDistribution:
    """Returns Optuna's form of a parameter."""
    if parameter.choices is not None:
        return CategoricalDistribution([_plain(choice) for choice in parameter.choices])
    low, high = parameter.low, parameter.high
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=parameter.log, step=int(parameter.step or 1))
    return FloatDistribution(float(low or 0), float(high or 0), log=parameter.log, step=parameter.step)


def draw(trial: BaseTrial, space: Sequence[Parameter]) -> Setting:
    """Returns the setting of an Optuna trial: those parameters that are active in it."""
    setting: Setting = {}
    for parameter in space:
        if is_active(parameter, setting):
            setting[parameter.name] = _decoded(parameter, _suggest(trial, parameter))
    return setting


def encode(setting: Mapping[str, Any], space: Sequence[Parameter]) -> Setting:
    """Returns Optuna's form of a setting: choices that are lists or mappings become JSON text."""
    known = {parameter.name: parameter for parameter in space}
    return {
        name: _plain(value) if known[name].choices is not None else value for name, value in setting.items()
    }


def _suggest(trial: BaseTrial, parameter: Parameter) -> Any:
    space = distribution(parameter)
    if isinstance(space, CategoricalDistribution):
        return trial.suggest_categorical(parameter.name, space.choices)
    if isinstance(space, IntDistribution):
        return trial.suggest_int(parameter.name, space.low, space.high, step=space.step, log=space.log)
    assert isinstance(space, FloatDistribution)
    return trial.suggest_float(parameter.name, space.low, space.high, step=space.step, log=space.log)


def _decoded(parameter: Parameter, value: Any) -> Any:
    if parameter.choices is None:
        return value
    return next(choice for choice in parameter.choices if same(_plain(choice), value))


def _plain(choice: Any) -> Any:
    if choice is None or isinstance(choice, (bool, int, float, str)):
        return choice
    return json.dumps(choice, sort_keys=True)
