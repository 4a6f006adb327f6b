"""Names of what belongs to a trial."""

from collections.abc import Mapping
from typing import Any


def part_name(row: Mapping[Any, Any]) -> str:
    """Returns the name of a trial's part, from its id and its code."""
    return f"{row['trial']}-{row['code'][:8]}"


def attempt_name(row: Mapping[Any, Any]) -> str:
    """Returns the name of the parts with the cases and curves of an attempt at a trial."""
    return attempt_of(part_name(row), row["attempt"])


def attempt_of(part: str, attempt: int) -> str:
    """Returns the same from the name of the trial's part."""
    return f"{part}-{attempt}"
