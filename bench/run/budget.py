"""What the tuning of a study has spent of its budget. Nothing here looks at more than one trial at a time."""

from dataclasses import dataclass

from bench.plan.study import Budget
from bench.results.counting import LEAST_TRIAL_S, charged_epochs, charged_s
from bench.run.policy import Known


@dataclass
class Spending:
    """Charges tuning trials to a budget, each once.

    By trials and by device time everything counts that a trial cost, however it ended. By epochs a pruned trial
    counts the epochs that it trained, any other one all of its epochs: failing early buys no further tries.
    A number that drew a setting which was trained already is charged as if it were trained again.

    Args:
        budget: Of the study; none: nothing is tuned.
        tune_epochs: Epochs of a whole tuning trial.
    """

    budget: Budget | None
    tune_epochs: int
    trials: int = 0
    epochs: int = 0
    device_s: float = 0.0
    open: int = 0
    _charged_s: float = 0.0

    def begin(self) -> None:
        """A number was given out; until it ends it is taken to cost what a whole trial does."""
        self.open += 1

    def end(self, known: Known, epochs: int = 0) -> None:
        """A number has ended for good.

        Args:
            known: How.
            epochs: That it trained, if it was pruned.
        """
        self.open -= 1
        self.trials += 1
        self.epochs += charged_epochs(known.status, epochs, self.tune_epochs)
        self.device_s += known.device_s
        self._charged_s += charged_s(known.device_s)

    @property
    def pays(self) -> bool:
        """Whether the budget pays for another whole trial."""
        if self.budget is None:
            return False
        if self.budget.trials is not None:
            return self.trials + self.open < self.budget.trials
        if self.budget.epochs is not None:
            return self.epochs + (self.open + 1) * self.tune_epochs <= self.budget.epochs
        return self._expected_s < self._most_s

    @property
    def share(self) -> float:
        """Part of the budget that is spent or promised to open trials, from 0 to 1."""
        if self.budget is None:
            return 1.0
        if self.budget.trials is not None:
            return min(1.0, (self.trials + self.open) / self.budget.trials)
        if self.budget.epochs is not None:
            return min(1.0, (self.epochs + self.open * self.tune_epochs) / self.budget.epochs)
        return min(1.0, self._expected_s / self._most_s)

    @property
    def _most_s(self) -> float:
        assert self.budget is not None
        assert self.budget.device_hours is not None
        return self.budget.device_hours * 3600

    @property
    def _expected_s(self) -> float:
        mean = self._charged_s / self.trials if self.trials else LEAST_TRIAL_S
        return self._charged_s + mean * self.open
