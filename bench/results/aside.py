"""Moves files out of the way, and keeps them."""

from collections.abc import Iterable

from bench.results.place import Place

ASIDE = "damaged"
"""Folder beside those of the tables: whoever reads one of these with all that is in it does not meet it."""


def set_aside(place: Place, files: Iterable[str]) -> None:
    """Moves files into the folder `damaged`, where they are there; what went there before is kept, too.

    Args:
        place: Of the results.
        files: Names, with the folder.

    Raises:
        OSError: If they cannot be moved; then they are where they were.
        ResultsError: If the store refuses.
    """
    for name in files:
        try:
            content = place.read(name)
        except FileNotFoundError:
            continue
        aside, times = f"{ASIDE}/{name}", 1
        while place.exists(aside):
            times += 1
            aside = f"{ASIDE}/{name}.{times}"
        place.write(aside, content)
        place.delete(name)
