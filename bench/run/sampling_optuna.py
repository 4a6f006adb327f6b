"""Optuna's samplers as studies use them."""

import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial

from bench.plan.parameter import Parameter, Setting
from bench.plan.study import Study
from bench.run.outcome import Outcome
from bench.run.sampling_space import distribution, draw
from bench.suite.search import Cost

Space = dict[str, BaseDistribution]


class Method:
    """A way to draw settings; this one draws at random.

    Args:
        study: Study of the plan.
    """

    free: int | None = None
    """Numbers below this depend on no outcome; none: no number does."""
    constrained = False
    """Whether the sampler is told about constraints."""
    against: Cost | None = None
    """The cost that is lowered while the score is raised."""

    def __init__(self, study: Study):
        self.study = study

    @property
    def directions(self) -> list[StudyDirection]:
        """Which way each of the `values` is to go."""
        both = [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]
        return both[:1] if self.against is None else both

    def make(self, seed: int) -> BaseSampler:
        """Returns a sampler for one trial."""
        return RandomSampler(seed=seed)

    def draw(self, trial: Trial) -> Setting:
        """Draws a trial's setting, or recognises the one it was enqueued with."""
        return draw(trial, self.study.space)

    def values(self, outcome: Outcome) -> list[float] | None:
        """Returns what is to be optimised; none of a trial that is no success."""
        if not outcome.complete or outcome.value is None:
            return None
        if self.against is None:
            return [outcome.value]
        cost = outcome.cost.get(self.against)
        return None if cost is None else [outcome.value, cost]


class Tpe(Method):
    """Multivariate TPE on the groups of parameters that are active together."""

    constrained = True

    def __init__(self, study: Study):
        super().__init__(study)
        self.free = study.sampler.option("startup")

    def make(self, seed: int) -> BaseSampler:
        """See `Method.make`."""
        with warnings.catch_warnings():
            # `group` searches conditional spaces properly; Optuna 5 still calls it experimental.
            warnings.simplefilter("ignore", ExperimentalWarning)
            return TPESampler(seed=seed, multivariate=True, group=True, n_startup_trials=self.free or 1)

    def draw(self, trial: Trial) -> Setting:
        """See `Method.draw`."""
        setting = super().draw(trial)
        # TPE keeps what it drew for parameters that turned out not to be active, and takes it for a running trial's
        # setting; after an interruption nobody would remember.
        trial.storage.set_trial_system_attr(trial._trial_id, "tpe:relative_params:0", "")
        return setting


class Cmaes(Method):
    """CMA-ES over the ranges that are always active; choices and the others are drawn at random."""

    free = 1

    def make(self, seed: int) -> BaseSampler:
        """See `Method.make`."""
        return _Cmaes(
            {name: space for name, space in always(self.study.space).items() if not is_choice(space)},
            seed=seed,
            popsize=self.study.sampler.option("population"),
            warn_independent_sampling=False,
        )

    def draw(self, trial: Trial) -> Setting:
        """See `Method.draw`."""
        # An enqueued trial takes its part in its generation, too.
        _ = trial.relative_params
        return super().draw(trial)


class Nsga2(Cmaes):
    """NSGA-II over the parameters that are always active; the others are drawn at random."""

    constrained = True

    def __init__(self, study: Study):
        super().__init__(study)
        self.against = study.sampler.option("against")
        self.free = study.sampler.option("population")

    def make(self, seed: int) -> BaseSampler:
        """See `Method.make`."""
        return _Nsga2(always(self.study.space), seed=seed, population_size=self.free or 2)


METHODS: dict[str, type[Method]] = {"tpe": Tpe, "random": Method, "cmaes": Cmaes, "nsga2": Nsga2}


def make_method(study: Study) -> Method:
    """Returns the method that a study's sampler stands for."""
    return METHODS[study.sampler.name](study)


def always(space: Sequence[Parameter]) -> Space:
    """Returns the dimensions in which every setting has a value, where there is something to choose."""
    found = {parameter.name: distribution(parameter) for parameter in space if not parameter.when}
    return {name: found[name] for name in sorted(found) if not found[name].single()}


def is_choice(space: BaseDistribution) -> bool:
    """Says whether a dimension has no order."""
    return isinstance(space, CategoricalDistribution)


class _Fixed(BaseSampler):
    """Searches the dimensions it is given, not those that the trials so far happen to share."""

    dimensions: Space

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> Space:
        return self.dimensions


class _Cmaes(_Fixed, CmaEsSampler):
    def __init__(self, dimensions: Space, **options: Any):
        super().__init__(**options)
        self.dimensions = dimensions


class _Nsga2(_Fixed, NSGAIISampler):
    def __init__(self, dimensions: Space, **options: Any):
        super().__init__(**options)
        self.dimensions = dimensions
