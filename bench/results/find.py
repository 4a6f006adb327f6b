"""Where results lie."""

from pathlib import Path

from bench.errors import ResultsError
from bench.results.parts import SUFFIX
from bench.results.place import Place, open_place


def find_results(where: Place | Path | str | None, root: Place | Path | str) -> Place:
    """Returns the place of a suite's results.

    Args:
        where: The place, or its name within `root`; none takes the suite that got a trial last.
        root: Place that holds the results of each suite in a folder.

    Raises:
        ResultsError: If there are no results, or the place cannot be there.
        OSError: If it cannot be reached.
    """
    base = open_place(root)
    if where is not None:
        place = open_place(where)
        place.hasty().check()
        for found in (place, *([base / str(place)] if place.folder is not None else [])):
            if "trials" in found.folders():
                return found
        place.check()
        known = sorted(_suites(base))
        hint = f"; {base} holds {', '.join(known)}" if known else ""
        raise ResultsError(f"{place}: no results there{hint}")
    base.hasty().check()
    newest = _suites(base)
    if not newest:
        raise ResultsError(f"no results in {base}; `bench run SUITE` makes some")
    return base / max(sorted(newest), key=lambda name: newest[name])


def _suites(base: Place) -> dict[str, float]:
    """Returns the folders that hold trials, and when the last one came."""
    found = {}
    for name in base.folders():
        times = [time for file, time in (base / name).files("trials").items() if file.endswith(SUFFIX)]
        if times:
            found[name] = max(times)
    return found
