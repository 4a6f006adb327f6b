"""One Optuna study per study of the plan: ask for settings, tell scores. The only file that knows Optuna."""

import json
import logging
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from bench.errors import ResultsError
from bench.plan.parameter import Parameter, is_active
from bench.plan.study import Study

Setting = dict[str, Any]
logging.getLogger("optuna").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Asked:
    """A trial of an Optuna study."""

    number: int
    setting: Setting
    finished: bool
    value: float | None = None


def open_storage(path: Path | None) -> BaseStorage:
    """Returns a journal file that all studies of a suite share, or memory for none.

    Raises:
        ResultsError: If the journal cannot be read.
    """
    if path is None:
        return InMemoryStorage()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _repair(path)
        storage = JournalStorage(JournalFileBackend(str(path)))
        storage.get_all_studies()
        return storage
    except (ValueError, KeyError, OSError) as error:
        raise ResultsError(
            f"{path}: not a readable Optuna journal ({error}); move it away: it is rebuilt from the results"
        ) from error


def _repair(path: Path) -> None:
    # A driver that was killed may leave half a line, to which the next one would be glued, and a lock file.
    # Whoever opens the journal holds the lock of the whole run.
    path.with_name(path.name + ".lock").unlink(missing_ok=True)
    if not path.exists():
        return
    content = path.read_bytes()
    kept = content[: content.rfind(b"\n") + 1]
    if len(kept) < len(content):
        os.truncate(path, len(kept))
    for number, line in enumerate(kept.splitlines(), start=1):
        if not _is_json(line):
            raise ValueError(f"line {number} is not JSON")


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


class Sampling:
    """Settings of one study.

    The sampler is seeded anew for every trial number, so that what trial n gets depends on the seed, n and the
    scores told so far, and not on how often the run was interrupted.

    Args:
        study: Study of the plan.
        storage: From `open_storage`.
        rows: The results store's tuning trials in the order of their numbers, setting and score (none: failed);
            a journal that was lost is rebuilt from them.
    """

    def __init__(self, study: Study, storage: BaseStorage, rows: Sequence[tuple[Setting, float | None]] = ()):
        self._study, self._seed = study, study.seed
        name = f"{study.task.name}/{study.entry}/{study.id}"
        self._optuna = optuna.create_study(
            study_name=name, storage=storage, direction="maximize", load_if_exists=True
        )
        if self._optuna.get_trials(deepcopy=False):
            return
        if rows:
            self._optuna.add_trials([_frozen(study, setting, value) for setting, value in rows])
        else:
            self._optuna.enqueue_trial(encode(study.default_setting(), study.space))

    def trials(self) -> list[Asked]:
        """Returns what was asked so far, in order; one that the last run left open is completed."""
        found = []
        for frozen in self._optuna.get_trials(deepcopy=False):
            if frozen.state == TrialState.WAITING:
                continue
            finished = frozen.state.is_finished()
            if finished:
                setting = decode(frozen.params, self._study.space)
                value = frozen.value if frozen.state == TrialState.COMPLETE else None
            else:
                self._reseed(frozen.number)
                setting, value = self._suggest(Trial(self._optuna, frozen._trial_id)), None
            found.append(Asked(frozen.number, setting, finished, value))
        return found

    def ask(self) -> Asked:
        """Returns the next setting to try; the first is the default."""
        waiting = [t for t in self._optuna.get_trials(deepcopy=False) if t.state == TrialState.WAITING]
        number = waiting[0].number if waiting else len(self._optuna.get_trials(deepcopy=False))
        self._reseed(number)
        trial = self._optuna.ask()
        return Asked(trial.number, self._suggest(trial), finished=False)

    def tell(self, number: int, value: float | None) -> None:
        """Reports a score (higher is better), or a failure with none."""
        if value is None or not math.isfinite(value):
            self._optuna.tell(number, state=TrialState.FAIL, skip_if_finished=True)
        else:
            self._optuna.tell(number, value, skip_if_finished=True)

    def _suggest(self, trial: Trial) -> Setting:
        chosen: Setting = {}
        for parameter in self._study.space:
            if not is_active(parameter, chosen):
                continue
            chosen[parameter.name] = decode_value(parameter, _suggest(trial, parameter))
        return chosen

    def _reseed(self, number: int) -> None:
        seed = (self._seed * 1_000_003 + number * 7_919 + int(self._study.id[:8], 16)) % 2**31
        if self._study.sampler == "random":
            self._optuna.sampler = RandomSampler(seed=seed)
        else:
            with warnings.catch_warnings():
                # `group` searches conditional spaces properly; Optuna 5 still calls it experimental.
                warnings.simplefilter("ignore", ExperimentalWarning)
                self._optuna.sampler = TPESampler(seed=seed, multivariate=True, group=True)


def _frozen(study: Study, setting: Setting, value: float | None) -> FrozenTrial:
    params = encode(setting, study.space)
    return create_trial(
        state=TrialState.FAIL if value is None else TrialState.COMPLETE,
        value=value,
        params=params,
        distributions={p.name: distribution(p) for p in study.space if p.name in params},
    )


def _suggest(trial: Trial, parameter: Parameter) -> Any:
    space = distribution(parameter)
    if isinstance(space, CategoricalDistribution):
        return trial.suggest_categorical(parameter.name, space.choices)
    if isinstance(space, IntDistribution):
        return trial.suggest_int(parameter.name, space.low, space.high, step=space.step, log=space.log)
    assert isinstance(space, FloatDistribution)
    return trial.suggest_float(parameter.name, space.low, space.high, step=space.step, log=space.log)


def distribution(parameter: Parameter) -> BaseDistribution:
    """Returns Optuna's form of a parameter."""
    if parameter.choices is not None:
        return CategoricalDistribution([_plain(choice) for choice in parameter.choices])
    low, high = parameter.low, parameter.high
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=parameter.log, step=int(parameter.step or 1))
    return FloatDistribution(float(low or 0), float(high or 0), log=parameter.log, step=parameter.step)


def encode(setting: Mapping[str, Any], space: Sequence[Parameter]) -> Setting:
    """Returns Optuna's form of a setting: choices that are lists or mappings become JSON text."""
    known = {parameter.name: parameter for parameter in space}
    return {
        name: _plain(value) if known[name].choices is not None else value for name, value in setting.items()
    }


def decode(params: Mapping[str, Any], space: Sequence[Parameter]) -> Setting:
    """Inverts `encode`."""
    known = {parameter.name: parameter for parameter in space}
    return {name: decode_value(known[name], value) for name, value in params.items()}


def decode_value(parameter: Parameter, value: Any) -> Any:
    """Returns the choice that Optuna's value stands for."""
    if parameter.choices is None:
        return value
    return next(choice for choice in parameter.choices if _plain(choice) == value)


def _plain(choice: Any) -> Any:
    if choice is None or isinstance(choice, (bool, int, float, str)):
        return choice
    return json.dumps(choice, sort_keys=True)
