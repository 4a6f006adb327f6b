"""Errors that a user can act on, and the exit codes of `bench`."""

from dataclasses import dataclass

EXIT_CODES: dict[int, str] = {
    0: "done",
    1: "some trials or checks failed, a margin is broken, a claim does not hold; their rows say why",
    2: "wrong command line or suite",
    3: "data missing or unreadable",
    4: "results missing, locked, or not readable or writable",
    5: "stopped by --limit or --max-hours; the same command goes on",
    6: "Ray cannot be started, was lost, or has no room for a trial",
    7: "cannot tell: too few patients or trainings to decide (compare --margin, claims --check)",
    70: "a bug in bench: please report it",
    130: "interrupted; run the same command again to go on",
}


class BenchError(Exception):
    """Base of the domain's errors; the CLI prints it as one line and exits with `exit_code`.

    Args:
        goes_on: Whether the same command may go on after a run that ended so.
    """

    exit_code = 2

    def __init__(self, *said: object, goes_on: bool = True):
        super().__init__(*said)
        self.goes_on = goes_on


@dataclass(frozen=True)
class Location:
    """A place in a suite file; lines and columns count from 1."""

    path: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


class SuiteError(BenchError):
    """A suite is refused. Holds every problem that was found, each with its place.

    Args:
        problems: Pairs of place and message; place is None where no file is involved.
    """

    exit_code = 2

    def __init__(self, problems: list[tuple[Location | None, str]]):
        self.problems = problems
        super().__init__("\n".join(f"{where}: {text}" if where else text for where, text in problems))


class DataMissingError(BenchError):
    """A task's data set cannot be found or read."""

    exit_code = 3


class ResultsError(BenchError):
    """Results are missing, unreadable, of an unknown schema version, or locked by another run."""

    exit_code = 4


class NoSuchNameError(ResultsError):
    """The command line names a task, an entry, a metric or code that the results do not have."""

    exit_code = 2


class NothingInCommonError(ResultsError):
    """Two sides have nothing that could be compared."""


class EngineError(BenchError):
    """Ray cannot be started, was lost in mid-run, or has no room for a trial; what was computed is kept."""

    exit_code = 6
