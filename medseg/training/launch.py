"""Which process of a trial this is, before torch is imported: as torchrun and `accelerate launch` say it."""

import os


def rank() -> int:
    """Returns the number of this process; 0 is the one that prints and writes.

    A single process may stand in an environment that a launcher left behind.
    """
    several = _number("WORLD_SIZE", 1) > 1
    return _number("RANK", 0) if several else 0


def _number(name: str, otherwise: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else otherwise
