"""Which process of a trial this is, before torch is imported: as torchrun and `accelerate launch` say it."""

import os


def rank() -> int:
    """Returns the number of this process; 0 is the one that prints and writes.

    A single process may stand in an environment that a launcher left behind.
    """
    return _number("RANK", 0) if count() > 1 else 0


def count() -> int:
    """Returns how many processes the trial has."""
    return _number("WORLD_SIZE", 1)


def _number(name: str, otherwise: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else otherwise
