"""Texts in CSV files, which spreadsheets would take for formulas."""

import re

FORMULA = "^('*[=+\\-@\\t\\r])"
"""How texts begin that spreadsheets evaluate, or that were marked already: as both `re` and RE2 read it."""
_FORMULA = re.compile(FORMULA)


def csv_text(text: str) -> str:
    """Returns a text with an apostrophe before it where a spreadsheet would evaluate it.

    Where there are apostrophes before such a text already one more is put there, so that taking off one gives back
    every text.
    """
    return f"'{text}" if _FORMULA.match(text) else text
