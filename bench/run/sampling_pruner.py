"""Which trials of a study end early: Optuna's pruners on the scores of all trials so far."""

from collections.abc import Iterator, Mapping, Sequence

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, SuccessiveHalvingPruner
from optuna.samplers import RandomSampler
from optuna.storages import InMemoryStorage
from optuna.trial import Trial, TrialState

from bench.plan.study import Study
from bench.run.outcome import Outcome


def make_pruning(study: Study) -> "Pruning | None":
    """Returns the pruning of a study, if it has any."""
    return None if study.pruner.name == "none" else Pruning(study)


def make_pruner(study: Study) -> BasePruner:
    """Returns Optuna's pruner with a study's options. A resource is an epoch; epochs count from 1."""
    option = study.pruner.option
    if study.pruner.name == "asha":
        return SuccessiveHalvingPruner(
            min_resource=option("min_epochs"), reduction_factor=option("reduction")
        )
    if study.pruner.name == "hyperband":
        return HyperbandPruner(
            min_resource=option("min_epochs"),
            max_resource=study.tune_epochs,
            reduction_factor=option("reduction"),
        )
    return MedianPruner(n_startup_trials=option("startup"), n_warmup_steps=option("min_epochs"))


class Pruning:
    """Follows the trials of one study.

    The default setting and trials that are through with their epochs are never ended, but are what others are
    measured against.

    Args:
        study: Study of the plan.
    """

    def __init__(self, study: Study):
        self._last = study.tune_epochs
        self._reduction: int = study.pruner.option("reduction") or 1
        self._first_rung: int | None = study.pruner.option("min_epochs") if self._reduction > 1 else None
        # Hyperband deals trials out to its brackets by the study's name and the trial's number.
        self._optuna = optuna.create_study(
            study_name=study.id,
            storage=InMemoryStorage(),
            sampler=RandomSampler(seed=0),
            pruner=make_pruner(study),
            direction="maximize",
        )
        self._earlier: list[tuple[int, Mapping[int, float], Outcome]] = []
        self._trials: list[Trial] = []
        self._heard: dict[int, int] = {}
        self._over: set[int] = set()

    def load(self, number: int, curve: Mapping[int, float], outcome: Outcome | None) -> None:
        """Takes what an earlier run left of a trial; it is looked at once another trial reports."""
        if outcome is not None:
            self._earlier.append((number, curve, outcome))

    def report(self, number: int, epoch: int, score: float) -> bool:
        """Takes a score after an epoch; says whether to end the trial."""
        self._catch_up()
        trial = self._hear(number, epoch, score)
        return trial is not None and trial.should_prune() and number > 0

    def ended(self, number: int, outcome: Outcome) -> None:
        """Takes a trial's end; only complete ones are what the median is taken of."""
        self._catch_up()
        self._end(number, outcome)

    def _catch_up(self) -> None:
        earlier, self._earlier = self._earlier, []
        for number, curve, outcome in earlier:
            for epoch in self._worth_reading(sorted(curve)):
                trial = self._hear(number, epoch, curve[epoch])
                if trial is not None and self._first_rung is not None:
                    # Halving notes what a trial had at a rung when it is asked there.
                    trial.should_prune()
            self._end(number, outcome)

    def _worth_reading(self, epochs: Sequence[int]) -> Iterator[int]:
        """Returns the epochs whose scores trials are compared by: at the rungs, or for the median all of them."""
        rung = self._first_rung
        for epoch in epochs:
            if rung is None:
                yield epoch
            elif epoch >= rung:
                yield epoch
                while rung <= epoch:
                    rung *= self._reduction

    def _end(self, number: int, outcome: Outcome) -> None:
        if number in self._over:
            return
        self._over.add(number)
        if outcome.complete:
            self._optuna.tell(self._trial(number), outcome.value)
        else:
            state = TrialState.PRUNED if outcome.status == "pruned" else TrialState.FAIL
            self._optuna.tell(self._trial(number), state=state)

    def _hear(self, number: int, epoch: int, score: float) -> Trial | None:
        """Takes note of a score; returns the trial if it could be ended after this epoch."""
        if number in self._over or epoch >= self._last:
            return None
        trial = self._trial(number)
        # A trial that goes on from its checkpoint may repeat epochs, with the same scores.
        if epoch > self._heard.get(number, 0):
            self._heard[number] = epoch
            trial.report(score, epoch)
        return trial

    def _trial(self, number: int) -> Trial:
        # Numbers are Optuna's, too; those that nothing was heard of yet are open.
        while len(self._trials) <= number:
            self._trials.append(self._optuna.ask())
        return self._trials[number]
