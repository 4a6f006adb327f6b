"""Settings of one study: which trial gets which, whatever order trials end in.

Setting n is a function of the study's seed, of n, and of the outcomes of the trials up to n - window, taken in the
order of their numbers. So neither the number of slots, nor luck, nor an interruption changes what is tried.
The results store is the truth: numbers that have a row keep its setting, the others are asked for again.
"""

import json
from collections.abc import Sequence

from bench.plan.parameter import Setting
from bench.plan.study import Study
from bench.results.counting import Tuned, best_of, out_of_reach
from bench.run.outcome import Asked, Outcome, Tried
from bench.run.sampling_mirror import Mirror
from bench.run.sampling_pruner import make_pruning
from bench.run.sampling_source import make_source

__all__ = ["Asked", "Mirror", "Outcome", "Sampling", "Tried"]


class Sampling:
    """Settings of one study.

    Args:
        study: Study of the plan.
        rows: What the results store holds of its tuning trials, in any order.
        mirror: Shows the suite's studies in an Optuna dashboard.
    """

    def __init__(self, study: Study, rows: Sequence[Tried] = (), mirror: Mirror | None = None):
        self._study = study
        self._settings: dict[int, Setting] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._curves: dict[int, dict[int, float]] = {}
        self._source = make_source(study)
        self._pruning = make_pruning(study)
        self._placed = self._told = 0
        for row in sorted(rows, key=lambda row: row.number):
            self._settings.setdefault(row.number, row.setting)
            self._curves[row.number] = dict(row.curve)
            if row.outcome is not None:
                self._outcomes[row.number] = row.outcome
            if self._pruning is not None:
                self._pruning.load(row.number, row.curve, row.outcome)
        self._mirrored = mirror.follow(study, rows) if mirror else None

    @property
    def exhausted(self) -> bool:
        """Whether every setting that there is has been asked for."""
        return self._source.size is not None and self._missing() >= self._source.size

    def trials(self) -> list[Asked]:
        """Returns the trials that have a setting, in the order of their numbers."""
        return [self._asked(number) for number in sorted(self._settings)]

    def ask(self) -> Asked | None:
        """Returns the lowest number without a setting with its setting; number 0 has the default.

        Returns:
            None if scores of earlier trials are needed first, or if there are no more settings (`exhausted`).
        """
        number = self._missing()
        if self.exhausted or not self._catch_up(number):
            return None
        self._settings[number] = self._source.suggest(number)
        self._placed = number + 1
        if self._mirrored is not None:
            self._mirrored.asked(number, self._settings[number])
        return self._asked(number)

    def tell(self, number: int, outcome: Outcome, like: int | None = None) -> None:
        """Takes a trial's outcome. One that is told again replaces the first.

        Args:
            number: Of the trial.
            outcome: How it ended.
            like: An earlier number with the same setting, whose curve is this one's, too.

        Raises:
            ValueError: If the number was never asked for.
        """
        if number not in self._settings:
            raise ValueError(f"trial {number} of {self._study.entry} was never asked for")
        self._outcomes[number] = outcome
        if like is not None and like != number:
            self._curves[number] = dict(self._curves.get(like, {}))
        if self._pruning is not None:
            self._pruning.ended(number, outcome)
        if self._mirrored is not None:
            self._mirrored.ended(number, outcome)

    def report(self, number: int, epoch: int, score: float) -> bool:
        """Takes a trial's score after an epoch, from 1; says whether the trial should be ended now."""
        self._curves.setdefault(number, {})[epoch] = score
        if self._mirrored is not None:
            self._mirrored.reported(number, epoch, score)
        return self._pruning is not None and self._pruning.report(number, epoch, score)

    def epochs(self, number: int) -> int:
        """Returns the last epoch after which a trial has a score, as far as its curve is known."""
        return max(self._curves.get(number, ()), default=0)

    def best(self) -> Asked | None:
        """Returns the complete trial with the highest score, the earliest of equals.

        One that breaks a constraint, or that only a larger budget than today's paid for, does not count.

        Returns:
            None if no trial is left.
        """
        best = best_of(self._tuned(), self._study.limits)
        return None if best is None else self._asked(best.number)

    def out_of_reach(self) -> str:
        """Says which constraints no setting that was tried keeps to, if that is so."""
        return out_of_reach(self._tuned(), self._study.limits)

    def _tuned(self) -> list[Tuned]:
        seen: set[str] = set()
        tuned = []
        for number, outcome in sorted(self._outcomes.items()):
            # One that drew a setting again has no row, and tables are to choose alike.
            setting = json.dumps(self._settings[number], sort_keys=True)
            if setting not in seen:
                seen.add(setting)
                tuned.append(Tuned(number, outcome.status, outcome.value, self.epochs(number), outcome.cost))
        return tuned

    def _asked(self, number: int) -> Asked:
        outcome = self._outcomes.get(number)
        return Asked(number, self._settings[number], outcome is not None, outcome.value if outcome else None)

    def _missing(self) -> int:
        """Returns the lowest number without a setting."""
        number = self._placed
        while number in self._settings:
            number += 1
        return number

    def _catch_up(self, number: int) -> bool:
        """Shows the source what came before a number, as it came; says whether enough is known for that."""
        for earlier in range(self._placed, number):
            if not self._tell_before(earlier):
                return False
            self._source.place(earlier, self._settings[earlier])
            self._placed = earlier + 1
        return self._tell_before(number)

    def _tell_before(self, number: int) -> bool:
        """Tells the source the outcomes on which a setting depends; says whether all of them are known."""
        if self._source.free(number):
            return True
        while self._told <= number - self._study.window:
            if self._told not in self._outcomes:
                return False
            self._source.tell(self._told, self._outcomes[self._told], self._curves.get(self._told, {}))
            self._told += 1
        return True
