"""Where results lie."""

from pathlib import Path

import pyarrow.compute as pc

from bench.errors import ResultsError
from bench.results.groups import read_group
from bench.results.index import groups_in, loose_parts
from bench.results.parts import SUFFIX, DamagedError
from bench.results.place import Place, open_place


def find_results(where: Place | Path | str | None, root: Place | Path | str) -> Place:
    """Returns the place of a suite's results.

    Args:
        where: The place, or its name within `root`; none takes the suite that got a trial last, whenever its files
            were gathered.
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
    if len(newest) > 1:
        newest = {name: max(time, _gathered(base / name)) for name, time in newest.items()}
    return base / max(sorted(newest), key=lambda name: newest[name])


def _suites(base: Place) -> dict[str, float]:
    """Returns the folders that hold trials, and when the last one in a file of its own came; 0 if there is none."""
    found = {}
    for name in base.folders():
        files = (base / name).files("trials")
        if any(file.endswith(SUFFIX) for file in files):
            found[name] = max([files[f"{part}{SUFFIX}"] for part in loose_parts(files)], default=0.0)
    return found


def _gathered(place: Place) -> float:
    """Returns when the last of the trials that were gathered finished: their files change when others come."""
    times = [0.0]
    for group in groups_in(place.files("trials")):
        try:
            last = pc.max(read_group(place, "trials", group, columns=["finished_at"])["finished_at"]).as_py()
        except (DamagedError, FileNotFoundError):
            continue
        times += [last.timestamp()] if last is not None else []
    return max(times)
