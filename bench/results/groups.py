"""Files that hold rows of many trials: how they are read, and what is in them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from bench.results.names import part_name
from bench.results.parts import DamagedError, open_part, part_file, read_columns
from bench.results.place import Place
from bench.results.schema import BESIDE, KEYS, TABLES


def read_group(
    place: Place,
    name: str,
    group: str,
    spans: tuple[Any, Any] | None = None,
    columns: Sequence[str] | None = None,
    coded: Sequence[str] = (),
) -> Any:
    """Reads rows of a group.

    Args:
        place: Of the results.
        name: Of the table.
        group: Name of the file, without its suffix.
        spans: Where rows begin and how many there are, as `Index.spans` returns them; all rows by default.
        columns: In this order; all by default.
        coded: Text columns that come as dictionaries.

    Returns:
        An Arrow table in today's columns, in the order of the file.

    Raises:
        FileNotFoundError: If the file is not there.
        ResultsError: If it is damaged or of a newer version.
    """
    where = str(place / part_file(name, group))
    wanted = list(columns or TABLES[name].names)
    with (
        place.open(part_file(name, group)) as source,
        open_part(place, name, group, source, coded) as file,
    ):
        mask = None if spans is None else _mask(spans, file.metadata.num_rows, where)
        blocks, mask = _blocks(file.metadata, mask)
        table = read_columns(file, name, where, wanted, blocks)
    return table if mask is None else table.filter(pa.array(mask))


def _mask(spans: tuple[Any, Any], rows: int, where: str) -> Any:
    starts, counts = spans
    if len(starts) and int((starts + counts).max()) > rows:
        raise DamagedError(f"{where}: damaged: holds {rows:,} rows, fewer than were put into it")
    edges = np.zeros(rows + 1, np.int64)
    np.add.at(edges, starts, 1)
    np.add.at(edges, starts + counts, -1)
    return np.cumsum(edges[:-1]) > 0


def _blocks(metadata: Any, mask: Any) -> tuple[list[int], Any]:
    """Returns which row groups hold wanted rows, and the mask of what they hold; none if all of it is wanted."""
    numbers = list(range(metadata.num_row_groups))
    if mask is None or mask.all():
        return numbers, None
    ends = np.cumsum([metadata.row_group(number).num_rows for number in numbers])
    pieces = np.split(mask, ends[:-1])
    chosen = [number for number, piece in zip(numbers, pieces, strict=True) if piece.any()]
    return chosen, np.concatenate([pieces[number] for number in chosen]) if chosen else None


def group_rows(place: Place, name: str, group: str) -> list[dict[str, Any]]:
    """Returns rows of the index for all that is in a group; errors as in `read_group`.

    Args:
        place: Of the results.
        name: ``"trials"``, or a table of `KEYS`.
        group: Name of the file, without its suffix.
    """
    if name == "trials":
        return _trial_rows(place, group)
    parts = read_group(place, name, group, columns=[KEYS[name]])[KEYS[name]].to_pylist()
    return [index_row(name, part, group, number, len(parts)) for number, part in enumerate(parts)]


def attempts_in(place: Place, name: str, group: str) -> dict[str, int]:
    """Returns the highest attempt at each trial that rows of a group are of; errors as in `read_group`."""
    found: dict[str, int] = {}
    for trial, code, attempt in _runs_of(place, name, group):
        part = part_name({"trial": trial, "code": code})
        found[part] = max(attempt, found.get(part, 0))
    return found


def index_row(table: str, part: str, group: str, row: int, of: int, **more: Any) -> dict[str, Any]:
    """Returns a row of the index; see `INDEX`."""
    return {"table": table, "part": part, "group": group, "row": row, "of": of, **more}


def _trial_rows(place: Place, group: str) -> list[dict[str, Any]]:
    trials = read_group(place, "trials", group, columns=["trial", "code", "attempt", "status"]).to_pylist()
    beside = {name: _runs_there(place, name, group) for name in BESIDE}
    rows = []
    for number, trial in enumerate(trials):
        key, more = (trial["trial"], trial["code"], trial["attempt"]), {}
        for name, runs in beside.items():
            more[f"{name}_from"], more[f"{name}_rows"] = runs.get(key, (0, 0))
        more |= {"status": trial["status"], "attempt": trial["attempt"]}
        rows.append(index_row("trials", part_name(trial), group, number, len(trials), **more))
    return rows


def _runs_there(place: Place, name: str, group: str) -> dict[tuple[Any, ...], tuple[int, int]]:
    try:
        return _runs_of(place, name, group)
    except FileNotFoundError:
        # Of trials whose cases are lost more is left than nothing: whoever reads these hears of it.
        return {}


def _runs_of(place: Place, name: str, group: str) -> dict[tuple[Any, ...], tuple[int, int]]:
    """Returns where the rows of each attempt begin in a group, and how many there are."""
    key = ["trial", "code", "attempt"]
    table = read_group(place, name, group, columns=key, coded=key[:2]).unify_dictionaries().combine_chunks()
    if not len(table):
        return {}
    columns = [table[column].chunk(0) for column in key]
    codes = [getattr(column, "indices", column).to_numpy() for column in columns]
    changes = np.any([np.diff(code) != 0 for code in codes], axis=0)
    starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    counts = np.diff(np.append(starts, len(table)))
    keys = zip(*(column.take(pa.array(starts)).to_pylist() for column in columns), strict=True)
    spans = zip(starts.tolist(), counts.tolist(), strict=True)
    return dict(zip(keys, spans, strict=True))
