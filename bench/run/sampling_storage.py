"""Writes images of studies into an Optuna storage."""

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study.study import _SYSTEM_ATTR_METRIC_NAMES
from optuna.trial import FrozenTrial, TrialState, create_trial

from bench.plan.parameter import Setting
from bench.plan.study import Study
from bench.run.outcome import Outcome
from bench.run.sampling_optuna import make_method
from bench.run.sampling_space import distribution, encode


def open_storage(target: Path | str) -> BaseStorage:
    """Returns a journal file that all studies of a suite share, or the storage at a URL.

    A journal that cannot be read is moved to ``<name>.damaged``.
    """
    if isinstance(target, str) and "://" in target:
        return optuna.storages.get_storage(target)
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _repair(path)
        storage = JournalStorage(JournalFileBackend(str(path)))
        storage.get_all_studies()
        return storage
    except (ValueError, KeyError, TypeError, AssertionError):
        path.replace(path.with_name(f"{path.name}.damaged"))
        return JournalStorage(JournalFileBackend(str(path)))


def _repair(path: Path) -> None:
    # A driver that was killed may leave half a line, to which the next one would be glued, and a lock file.
    # Whoever writes the journal holds the lock of the whole run.
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    if not path.exists():
        return
    content = path.read_bytes()
    kept = content[: content.rfind(b"\n") + 1]
    if len(kept) < len(content):
        os.truncate(path, len(kept))
    for line in kept.splitlines():
        json.loads(line)


@dataclass
class TrialImage:
    """A trial as it is to be shown."""

    setting: Setting
    curve: dict[int, float] = field(default_factory=dict)
    outcome: Outcome | None = None

    def copy(self) -> "TrialImage":
        """Returns a copy that nobody else changes."""
        return replace(self, curve=dict(self.curve))


@dataclass
class _Shown:
    """A trial as it stands in the storage."""

    id: int
    params: dict[str, Any]
    epochs: set[int]
    state: TrialState
    values: list[float] | None

    @classmethod
    def of(cls, trial: FrozenTrial) -> "_Shown":
        return cls(
            trial._trial_id, dict(trial.params), set(trial.intermediate_values), trial.state, trial.values
        )


class StudyImage:
    """One study in an Optuna storage; used by one thread.

    What is there already is kept where it agrees. Where it says something else of a trial, the whole study is written
    anew: Optuna lets nobody change what has ended.

    Args:
        study: Study of the plan.
    """

    def __init__(self, study: Study):
        self._study, self._method = study, make_method(study)
        self._name = f"{study.task.name}/{study.entry}/{study.id}"
        self._distributions = {p.name: distribution(p) for p in study.space}
        self._trials: dict[int, TrialImage] = {}
        self._id: int | None = None
        # By number.
        self._shown: list[_Shown] = []

    def write(
        self,
        storage: BaseStorage,
        news: Mapping[int, TrialImage],
        given_up: Callable[[], bool] = lambda: False,
    ) -> None:
        """Writes trials that are new or changed.

        Args:
            storage: The same one each time.
            news: These trials, by number.
            given_up: Asked before each of them; the rest is left out then.
        """
        self._trials.update(news)
        if self._id is None:
            self._open(storage)
        elif not news:
            return
        if self._agrees() and all(given_up() or self._write(storage, number) for number in sorted(news)):
            return
        assert self._id is not None
        storage.delete_study(self._id)
        self._open(storage)
        for number in sorted(self._trials):
            if not given_up():
                self._write(storage, number)

    def _open(self, storage: BaseStorage) -> None:
        directions = self._method.directions
        study = optuna.create_study(
            study_name=self._name, storage=storage, directions=directions, load_if_exists=True
        )
        self._id = study._study_id
        self._shown = [_Shown.of(trial) for trial in study.get_trials(deepcopy=False)]
        if not study.user_attrs:
            metric = f"validation {self._study.task.selection_metric}"
            study.set_user_attr("task", self._study.task.name)
            study.set_user_attr("entry", self._study.entry)
            names = [metric, str(self._method.against)][: len(directions)]
            # What `set_metric_names` does, but for its warning: warnings cannot be silenced in one thread only.
            storage.set_study_system_attr(study._study_id, _SYSTEM_ATTR_METRIC_NAMES, names)

    def _agrees(self) -> bool:
        """Says whether nothing has ended in the storage that the results do not have."""
        return all(
            number in self._trials for number, shown in enumerate(self._shown) if shown.state.is_finished()
        )

    def _write(self, storage: BaseStorage, number: int) -> bool:
        """Brings one trial up to date; says whether that can be."""
        assert self._id is not None
        while len(self._shown) < number:
            self._shown.append(
                _Shown(storage.create_new_trial(self._id), {}, set(), TrialState.RUNNING, None)
            )
        frozen = self._frozen(self._trials[number])
        if len(self._shown) == number:
            frozen._trial_id = storage.create_new_trial(self._id, template_trial=frozen)
            self._shown.append(_Shown.of(frozen))
            return True
        shown = self._shown[number]
        if shown.params and shown.params != frozen.params:
            return False
        if shown.state.is_finished():
            return not frozen.state.is_finished() or (shown.state, shown.values) == (
                frozen.state,
                frozen.values,
            )
        self._update(storage, shown, frozen)
        return True

    def _update(self, storage: BaseStorage, shown: _Shown, frozen: FrozenTrial) -> None:
        if not shown.params:
            for name, space in frozen.distributions.items():
                storage.set_trial_param(shown.id, name, space.to_internal_repr(frozen.params[name]), space)
        for epoch in sorted(frozen.intermediate_values.keys() - shown.epochs):
            storage.set_trial_intermediate_value(shown.id, epoch, frozen.intermediate_values[epoch])
        if frozen.state.is_finished():
            for key, value in frozen.system_attrs.items():
                storage.set_trial_system_attr(shown.id, key, value)
            for key, value in frozen.user_attrs.items():
                storage.set_trial_user_attr(shown.id, key, value)
            storage.set_trial_state_values(shown.id, frozen.state, frozen.values)
        frozen._trial_id = shown.id
        shown.__dict__.update(_Shown.of(frozen).__dict__)

    def _frozen(self, image: TrialImage) -> FrozenTrial:
        """Returns the trial in Optuna's form."""
        params = encode(image.setting, self._study.space)
        outcome, values, state = image.outcome, None, TrialState.RUNNING
        attrs: dict[str, Any] = {}
        if outcome is not None:
            attrs = {"status": outcome.status, **outcome.cost}
            values, state = self._method.values(outcome), TrialState.FAIL
            if values is not None:
                state = TrialState.COMPLETE
            elif outcome.status == "pruned":
                state = TrialState.PRUNED
                values = [image.curve[max(image.curve)]] if image.curve else None
        return create_trial(
            state=state,
            values=values,
            params=params,
            distributions={name: self._distributions[name] for name in params},
            user_attrs=attrs,
            intermediate_values={e: s for e, s in image.curve.items() if math.isfinite(s)},
            constraints=self._study.excess(outcome.cost) if outcome is not None else None,
        )
