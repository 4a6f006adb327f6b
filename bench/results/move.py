"""Moves a trial's result from one store to another."""

from typing import Any

from bench.results.parts import read_table
from bench.results.store import Store


def move_trial(source: Store, part: str, target: Store) -> dict[str, Any]:
    """Moves one result; where the target has a complete one of the same trial and code, that one stays.

    Args:
        source: Where it is.
        part: Name of its part, one of `Store.parts`.
        target: Where it goes.

    Returns:
        Its row of the trials table.

    Raises:
        FileNotFoundError: If it is not there.
        OSError: If the target cannot be reached; the source still has it then.
        ResultsError: If it cannot be read, or the target refuses.
    """
    (row,) = read_table(source.root, "trials", part).to_pylist()
    trial: dict[str, Any] = row
    if target.status(part) != "complete":
        name = f"{part}-{trial['attempt']}"
        cases, curves = (read_table(source.root, table, name).to_pylist() for table in ("cases", "curves"))
        target.write(trial, cases, curves)
    source.drop(part)
    return trial
