"""How counts are written."""


def plural(number: float, noun: str, many: str = "") -> str:
    """Writes a count with its noun, e.g. ``2 seeds``.

    Args:
        number: How many.
        noun: Of one.
        many: Of several, where that is not the noun with an s.
    """
    return f"{number:,.15g} {noun}" if number == 1 else f"{number:,.15g} {many or f'{noun}s'}"


_ROWS = {
    "trials": ("trial", "trials"),
    "cases": ("row of cases", "rows of cases"),
    "curves": ("row of curves", "rows of curves"),
    "runs": ("run", "runs"),
    "studies": ("study", "studies"),
    "env": ("environment", "environments"),
}


def plural_rows(number: int, table: str) -> str:
    """Writes a count of rows of a results table: many rows of `cases` are of one case."""
    return plural(number, *_ROWS[table])
