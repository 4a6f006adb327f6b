"""Where each trial of a study stands: open, decided, or given up for this run."""

from collections.abc import Iterable, Sequence

from bench.run.policy import Known, Tally


class Standing:
    """The rows of trials, as the store has them, and which of them this run still works on.

    Args:
        rows: The store's, by trial id; kept up to date.

    Attributes:
        tally: How many trials failed.
        given_up: Trials that were lost or stopped at every attempt of this run, and how the last one ended.
    """

    def __init__(self, rows: dict[str, Known]):
        self.rows = rows
        self.tally = Tally()
        self.given_up: dict[str, Known] = {}
        # Trials that are ready, waiting or running, and the tuning trials' numbers: several may draw one setting.
        self._open: set[str] = set()
        self._numbers: dict[str, list[int]] = {}

    def draw(self, trial: str, number: int) -> bool:
        """Notes that a number has drawn a trial; says whether it is the first one to."""
        numbers = self._numbers.setdefault(trial, [])
        numbers.append(number)
        return len(numbers) == 1

    def numbers(self, trial: str) -> Sequence[int]:
        """Returns the numbers that have drawn a trial; the first one's is the trial's curve."""
        return self._numbers.get(trial, ())

    def open(self, trial: str) -> None:
        """Notes that the run is going to work on a trial."""
        self._open.add(trial)

    def is_open(self, trial: str) -> bool:
        """Says whether this run still works on a trial."""
        return trial in self._open

    def note(self, trial: str, known: Known) -> None:
        """Takes the end of an attempt; an interruption or a loss replaces no end, as in the store."""
        earlier = self.rows.get(trial)
        if known.ended or earlier is None or not earlier.ended:
            self.rows[trial] = known

    def close(self, trial: str, known: Known) -> None:
        """Takes the end of a trial's last attempt in this run."""
        self._open.discard(trial)
        if not known.ended:
            self.given_up[trial] = known
        if known.status != "interrupted":
            self.tally.count(known)

    @property
    def interrupted(self) -> bool:
        """Whether a trial was stopped by others at every attempt."""
        return any(known.status == "interrupted" for known in self.given_up.values())

    @property
    def kept(self) -> list[Known]:
        """How trials were given up of which an earlier result stands."""
        return [known for trial, known in self.given_up.items() if self.rows[trial].ended]

    def tuned(self, lost: bool = False) -> list[Known]:
        """Returns the rows of the tuning trials that are decided; each number counts, though two may be one trial.

        Args:
            lost: Those whose worker died, too; the next run tries them again.
        """
        return self.settled((trial for trial, numbers in self._numbers.items() for _ in numbers), lost)

    def settled(self, trials: Iterable[str], lost: bool = False) -> list[Known]:
        """Returns the rows of these trials that are decided; see `tuned`."""
        rows = (self.rows.get(trial) for trial in trials if trial not in self._open)
        return [
            row for row in rows if row is not None and (row.decided or (lost and row.status == "infra_lost"))
        ]
