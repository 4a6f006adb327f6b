"""What is there of results at one moment, while others write, replace and gather."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from bench.errors import ResultsError
from bench.results.gathered import Tell, fail, forget, known_index, load_index
from bench.results.index import Index, is_group, loose_parts
from bench.results.names import attempt_name, part_name
from bench.results.parts import group_remedy, read_table
from bench.results.place import Place

__all__ = ["Look", "attempt_name", "find_trial", "look_at", "part_name", "settled"]

LOOKS = 20
"""Times that results are read anew while others replace or gather them."""

Found = TypeVar("Found")


@dataclass(frozen=True)
class Look:
    """What of a table is there.

    Args:
        loose: Parts in files of their own, sorted. They win over what was gathered of them before.
        packed: All others.
    """

    loose: list[str]
    packed: Index


def look_at(place: Place, name: str, trials: Collection[str] | None = None, tell: Tell = fail) -> Look:
    """Returns what of a table is there.

    Args:
        place: Of the results.
        name: Of the table.
        trials: Ids of the trials that are wanted; all by default.
        tell: See `load_index`.
    """
    # The folder first: what leaves it while we look is in the index by then.
    names = place.files(name)
    loose = loose_parts(names)
    packed = load_index(place, name, names, tell).without(loose)
    if trials is not None:
        wanted = set(trials)
        loose = [part for part in loose if part.rpartition("-")[0] in wanted]
        packed = packed.keep([part for part in packed.parts() if part.rpartition("-")[0] in wanted])
    return Look(loose, packed)


def find_trial(place: Place, part: str) -> tuple[dict[str, Any] | None, Index | None]:
    """Returns a trial's row, or that of the index where the trial was gathered, with the index of it.

    Args:
        place: Of the results.
        part: Name of the trial's part.
    """
    try:
        rows: list[dict[str, Any]] = read_table(place, "trials", part).to_pylist()
        return rows[0], None
    except FileNotFoundError:
        pass
    index = known_index(place)
    row = index.find("trials", part)
    return row, None if row is None else index.keep([part])


def settled(read: Callable[[], Found]) -> Found:
    """Reads; what others have replaced or gathered between two of our looks is looked for again.

    Raises:
        ResultsError: If a file is missing for good.
    """
    missed: set[str] = set()
    while True:
        try:
            return read()
        except FileNotFoundError as error:
            # Gone twice, it has not gone anywhere else.
            if error.filename in missed or len(missed) >= LOOKS:
                raise ResultsError(_say_missing(str(error.filename))) from error
            missed.add(error.filename)
            forget()


def _say_missing(file: str) -> str:
    table, _, name = file.rpartition("/")
    if not is_group(name):
        return f"{file}: this part of a trial is missing; put it back, or let `bench run SUITE` make the trial anew"
    return f"{file}: this file of many is missing; {group_remedy(table.rpartition('/')[2])}"
