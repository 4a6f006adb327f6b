"""Reads cases and curves whole to find what is damaged: its end may be missing, or a block of it be another's."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from bench.results.coded import text_columns
from bench.results.index import Index
from bench.results.parts import DamagedError, open_part, part_file, read_whole
from bench.results.place import Place
from bench.results.schema import BESIDE, version_of

THREADS = 4
"""An object store takes its time to answer; a disk does not mind."""


def damaged_parts(place: Place, name: str, parts: Sequence[str]) -> set[str]:
    """Returns which of parts in files of their own are damaged or missing.

    Args:
        place: Of the results.
        name: Of the table.
        parts: Names of files, without their suffix.

    Raises:
        ResultsError: If one is alien or of a newer version, which is no damage.
        OSError: If results cannot be read.
    """

    def is_whole(part: str) -> bool:
        try:
            read_whole(place, name, part, place.read(part_file(name, part)))
        except (DamagedError, FileNotFoundError):
            return False
        return True

    if not parts:
        return set()
    with ThreadPoolExecutor(THREADS) as threads:
        return {part for part, whole in zip(parts, threads.map(is_whole, parts), strict=True) if not whole}


def damaged_group(place: Place, group: str, rows: Index, names: Sequence[str] = BESIDE) -> str:
    """Returns the first file of a group of trials that is damaged or missing; empty where all are whole.

    Args:
        place: Of the results.
        group: Name of their files, without the suffix.
        rows: What the index knows of it.
        names: Tables that are looked at.

    Raises:
        ResultsError: As in `damaged_parts`.
        OSError: Likewise.
    """
    for name in names:
        try:
            _read_through(place, name, group, rows)
        except (DamagedError, FileNotFoundError):
            return part_file(name, group)
    return ""


def _read_through(place: Place, name: str, group: str, rows: Index) -> None:
    where = place / part_file(name, group)
    starts, counts = rows.spans(name)
    with (
        place.open(part_file(name, group)) as source,
        open_part(place, name, group, source, text_columns(name)) as file,
    ):
        version_of(file.schema_arrow, str(where))
        held = file.metadata.num_rows
        if len(starts) and int((starts + counts).max()) > held:
            raise DamagedError(f"{where}: damaged: holds {held:,} rows, fewer than were put into it")
        # One block at a time: all of them may not fit into memory.
        for block in range(file.metadata.num_row_groups):
            file.read_row_group(block, use_threads=False)
