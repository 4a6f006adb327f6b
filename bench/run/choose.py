"""Which studies of a suite a run is about: those on some tasks, with some models, with some losses."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.errors import BenchError
from bench.plan.study import Choice, Study
from bench.suite.schema import Suite
from medseg.errors import did_you_mean

MOST_NAMED = 8


@dataclass(frozen=True)
class Chosen:
    """Names of tasks and labels of models and losses; an empty one leaves nothing out."""

    tasks: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()

    def check(self, suite: Suite) -> None:
        """Refuses what the suite does not have, before anything is planned.

        Raises:
            BenchError: If a name is not in the suite, or studies of the suite search over what is to be chosen.
        """
        _known("task", self.tasks, [entry.title for entry in suite.tasks])
        _known("model", self.models, [entry.title for entry in suite.models])
        _known("loss", self.losses, [entry.title for entry in suite.losses])
        if self.models and "model" not in suite.compare:
            raise BenchError(_searched("model"))
        if self.losses and "loss" not in suite.compare:
            raise BenchError(_searched("loss"))

    def of(self, studies: Sequence[Study]) -> list[Study]:
        """Returns those that are chosen.

        Raises:
            BenchError: If there is none: a design of pairs leaves some out.
        """
        found = [study for study in studies if self.has(study)]
        if not found:
            raise BenchError(self._none(studies))
        return found

    def has(self, study: Study) -> bool:
        """Says whether a study is one of them."""
        return (
            (not self.tasks or study.task.name in self.tasks)
            and _any(self.models, study.models)
            and _any(self.losses, study.losses)
        )

    def _none(self, studies: Sequence[Study]) -> str:
        """Says that nothing is chosen, and what there is instead: where one kind of name is left out, or all."""
        wider = [
            replace(self, losses=()),
            replace(self, models=()),
            replace(self, tasks=()),
        ]
        near = [study for study in studies if any(chosen.has(study) for chosen in wider)] or studies
        said = [f"{study.task.name}: {study.entry}" for study in near]
        more = [f"{len(said) - MOST_NAMED} more"] if len(said) > MOST_NAMED else []
        given = [("task", self.tasks), ("model", self.models), ("loss", self.losses)]
        asked = " ".join(f"--{kind} {name}" for kind, names in given for name in names)
        return f"{asked}: these do not meet in the suite; there are {', '.join(said[:MOST_NAMED] + more)}"


def _any(wanted: Sequence[str], choices: Sequence[Choice]) -> bool:
    return not wanted or any(choice.label in wanted for choice in choices)


def _known(kind: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise BenchError(f"--{kind}: the suite has no {kind} '{name}'{did_you_mean(name, known)}")


def _searched(kind: str) -> str:
    return (
        f"--{kind}: the suite does not compare by {kind}; each study chooses its own, so none can be left out"
    )
