"""What every model must do. Our tests run it over the registry; `bench check` runs it on anyone's model."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter

from medseg.components import CONSTRUCTION_ERRORS, one_line
from medseg.errors import MedsegError
from medseg.training.conformance import learning, numbers, shapes
from medseg.training.conformance.subject import Subject, seeded

__all__ = ["CHECKS", "Check", "CheckResult", "Subject", "run_check", "run_checks"]

Check = Callable[[Subject], str | None]

CHECKS: dict[str, Check] = {
    "output_shape": shapes.output_shape,
    "logits": numbers.logits,
    "sizes_that_divide": shapes.sizes_that_divide,
    "other_sizes": shapes.other_sizes,
    "gradient": learning.gradient,
    "evaluation_repeats": numbers.evaluation_repeats,
    "samples_independent": numbers.samples_independent,
    "state_round_trip": numbers.state_round_trip,
    "bfloat16": numbers.bfloat16,
    "channels_last": numbers.channels_last,
    "compiles": numbers.compiles,
    "overfits": learning.overfits,
}


@dataclass(frozen=True)
class CheckResult:
    """Outcome of one check; `problem` is none where it passed."""

    name: str
    problem: str | None
    wall_s: float = 0.0


def run_checks(subject: Subject) -> Iterator[CheckResult]:
    """Runs all checks on a model, and yields the outcome of each as soon as it is known.

    Global random state is left as it was.

    Raises:
        MedsegError: If the model cannot be built at all.
    """
    subject.build()
    for name in CHECKS:
        yield run_check(name, subject)


def run_check(name: str, subject: Subject) -> CheckResult:
    """Runs one of `CHECKS`; one that cannot be run to its end has failed."""
    started = perf_counter()
    try:
        with seeded(subject.seed):
            problem = CHECKS[name](subject)
    except (MedsegError, *CONSTRUCTION_ERRORS) as error:
        problem = f"{type(error).__name__}: {one_line(error)}"
    return CheckResult(name, problem, perf_counter() - started)
