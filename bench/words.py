"""How counts are written."""


def plural(number: float, noun: str) -> str:
    """Writes a count with its noun, e.g. ``2 seeds``."""
    return f"{number:,.15g} {noun}" if number == 1 else f"{number:,.15g} {noun}s"
