"""Where settings come from: an Optuna study in memory, or a grid."""

import logging
from collections.abc import Mapping
from functools import cached_property
from typing import Protocol

import optuna
from optuna.storages import InMemoryStorage
from optuna.trial import Trial, TrialState

from bench.plan.grid import grid_settings
from bench.plan.parameter import Setting
from bench.plan.study import Study
from bench.run.outcome import Outcome
from bench.run.sampling_optuna import make_method
from bench.run.sampling_space import encode

logging.getLogger("optuna").setLevel(logging.ERROR)


class Source(Protocol):
    """Gives numbers their settings. They come in order, each is either suggested or placed."""

    @property
    def size(self) -> int | None:
        """How many settings there are; none: any number."""

    def free(self, number: int) -> bool:
        """Says whether a setting depends on no outcome at all."""

    def suggest(self, number: int) -> Setting:
        """Returns the setting of the next number."""

    def place(self, number: int, setting: Setting) -> None:
        """Takes note of the next number's setting, which an earlier run had suggested."""

    def tell(self, number: int, outcome: Outcome, curve: Mapping[int, float]) -> None:
        """Takes note of an outcome; numbers come in order."""


def make_source(study: Study) -> Source:
    """Returns the source that a study's sampler stands for."""
    return GridSource(study) if study.sampler.name == "grid" else OptunaSource(study)


class GridSource:
    """Every setting of a grid, each once."""

    def __init__(self, study: Study):
        self._study = study
        self.size: int | None = study.most_settings

    def free(self, number: int) -> bool:
        """Always: a grid asks nobody."""
        return True

    def suggest(self, number: int) -> Setting:
        """See `Source.suggest`; the default comes first."""
        return dict(self._settings[number])

    @cached_property
    def _settings(self) -> list[Setting]:
        return grid_settings(self._study.space, seed_of(self._study, 0))

    def place(self, number: int, setting: Setting) -> None:
        """Nothing: a number says it all."""

    def tell(self, number: int, outcome: Outcome, curve: Mapping[int, float]) -> None:
        """Nothing: no outcome matters."""


class OptunaSource:
    """An Optuna study in memory.

    The sampler is made anew for each number, with a seed of its own; what it remembers, it keeps with the trials.
    """

    size: int | None = None

    def __init__(self, study: Study):
        self._study, self._method = study, make_method(study)
        self._optuna = optuna.create_study(storage=InMemoryStorage(), directions=self._method.directions)
        self._open: dict[int, Trial] = {}

    def free(self, number: int) -> bool:
        """See `Source.free`."""
        return self._method.free is None or number < self._method.free

    def suggest(self, number: int) -> Setting:
        """See `Source.suggest`; the first is the default."""
        if number == 0:
            setting = self._study.default_setting()
            self.place(0, setting)
            return setting
        return self._begin(number)

    def place(self, number: int, setting: Setting) -> None:
        """See `Source.place`."""
        self._optuna.enqueue_trial(encode(setting, self._study.space))
        self._begin(number)

    def tell(self, number: int, outcome: Outcome, curve: Mapping[int, float]) -> None:
        """See `Source.tell`; a score that is not finite, or has no cost to be weighed against, is a failure."""
        trial = self._open.pop(number)
        if self._method.constrained:
            for name, excess in self._study.excess(outcome.cost).items():
                trial.set_constraint(name, excess)
        values = self._method.values(outcome)
        if values is not None:
            self._optuna.tell(trial, values)
        elif outcome.status == "pruned" and self._method.against is None:
            for epoch, score in sorted(curve.items()):
                trial.report(score, epoch)
            self._optuna.tell(trial, state=TrialState.PRUNED)
        else:
            self._optuna.tell(trial, state=TrialState.FAIL)

    def _begin(self, number: int) -> Setting:
        self._optuna.sampler = self._method.make(seed_of(self._study, number))
        trial = self._optuna.ask()
        assert trial.number == number, f"trial {trial.number} was asked as {number}"
        setting = self._method.draw(trial)
        self._open[number] = trial
        return setting


def seed_of(study: Study, number: int) -> int:
    """Returns the seed of a trial's own random numbers."""
    return (study.seed * 1_000_003 + number * 7_919 + int(study.id[:8], 16)) % 2**31
