"""What can be said of a case only once all cases are read: which values are labels that nobody knows."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from medseg.errors import DataError
from medseg.scoring.measure import Measured, Protocol
from medseg.scoring.pairs import Pair

SHOWN = 10


@dataclass(frozen=True)
class Result:
    """A case of a system, and what was measured."""

    system: str
    pair: Pair
    measured: Measured

    def where(self, named: bool) -> str:
        """Returns how messages call it: by its case, and by its system if several are `named`."""
        return f"{self.system}: {self.pair.case}" if named else self.pair.case


def known_values(protocol: Protocol, background: Iterable[int], results: Iterable[Result]) -> frozenset[int]:
    """Returns the values that predictions may hold: of labels, of the declared background and of any reference.

    References that hold nothing but background are a cohort of healthy cases.

    Raises:
        DataError: If the references hold other values, and none of the labels.
    """
    found = _held(results)
    labels = protocol.labels.values()
    if found - {0, *background} and found.isdisjoint(labels):
        asked = ", ".join(f"{name}={value}" for name, value in protocol.labels.items())
        raise DataError(f"no reference holds any of the labels {asked}; they hold {_listed(found)}")
    return found | {0, *background, *labels}


def absent_notes(protocol: Protocol, results: Iterable[Result]) -> list[str]:
    """Says which labels no reference holds: they may be mistyped."""
    found = _held(results)
    return [
        f"no reference holds {name}={value}"
        for name, value in protocol.labels.items()
        if found and value not in found
    ]


def judged(protocol: Protocol, result: Result, known: frozenset[int]) -> Result:
    """Fails a prediction that holds values which nobody knows: what they are meant to be cannot be told."""
    strange = result.measured.prediction_values - known
    if not strange:
        return result
    problem = f"{result.pair.prediction}: holds {_listed(strange)}; labels and references only know {_listed(known)}"
    failed = replace(result.measured, values=protocol.unmeasured("failed"), problem=problem, warning="")
    return replace(result, measured=failed)


def with_diagonals(results: Sequence[Result]) -> list[Result]:
    """Gives cases whose reference cannot be read the largest diagonal that any has, as the penalty of distances."""
    every = [result.measured.diagonal for result in results]
    largest = max((diagonal for diagonal in every if not math.isnan(diagonal)), default=math.nan)
    return [
        replace(result, measured=replace(result.measured, diagonal=largest))
        if math.isnan(diagonal)
        else result
        for result, diagonal in zip(results, every, strict=True)
    ]


def background_notes(protocol: Protocol, background: Iterable[int], known: frozenset[int]) -> list[str]:
    """Says which values of the references were not asked for."""
    other = known - {0, *background, *protocol.labels.values()}
    return [f"the references also hold {_listed(other)}: counted as background"] if other else []


def warning_notes(results: Iterable[Result], named: bool) -> list[str]:
    """Says each warning once, with its first case and how many others it is true of."""
    cases: dict[str, list[str]] = {}
    for result in results:
        if result.measured.warning:
            cases.setdefault(result.measured.warning, []).append(result.where(named))
    return [
        f"{where[0]}: {text}" + (f" (and {len(where) - 1} other cases)" if len(where) > 1 else "")
        for text, where in cases.items()
    ]


def _held(results: Iterable[Result]) -> frozenset[int]:
    return frozenset[int]().union(*(result.measured.reference_values for result in results))


def _listed(values: Iterable[int]) -> str:
    every = sorted(values)
    return ", ".join(map(str, every[:SHOWN])) + (" ..." if len(every) > SHOWN else "")
