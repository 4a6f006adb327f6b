"""A leaderboard as plain data: CSV and JSON."""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bench.leaderboard.choose import choose
from bench.leaderboard.claims import ClaimResult
from bench.leaderboard.notes import footer
from bench.leaderboard.provenance import Provenance
from bench.leaderboard.suite_sheet import suite_lines
from bench.leaderboard.table import SuiteBoard, TaskBoard
from bench.results.cells import csv_text

EVERY = ("all",)


def boards_csv(
    boards: Sequence[TaskBoard],
    notice: str = "",
    names: Sequence[str] | None = None,
    of: Provenance | None = None,
) -> str:
    """Writes a row per task, part and entry, with plain numbers; what does not exist is empty.

    Texts that spreadsheets would evaluate have an apostrophe before them; see `csv_text`.

    Args:
        boards: Tables; their parts follow each, with the columns kind and part.
        notice: What must stand above the tables, if anything; a column of its own.
        names: Columns, as for `choose`; all by default.
        of: What they are of; in the last columns.
    """
    last = plain(of or Provenance())
    rows = [row | last for board in boards for row in _rows(board, notice, names or EVERY)]
    heads = dict.fromkeys(name for row in rows for name in row)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(heads) or ["task", "entry"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: csv_text(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
        for row in rows
    )
    return out.getvalue()


def _rows(board: TaskBoard, notice: str, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    with_parts = [board, *board.parts]
    for one in with_parts:
        for row in one.rows:
            flat: dict[str, Any] = {"task": one.task, "kind": one.kind, "part": one.part, "entry": row.entry}
            flat |= {"metric": one.metric, "scheme": one.scheme, "policy": one.policy}
            flat |= {
                "on_missing": one.on_missing or "",
                "n": row.n,
                "folds": one.n_folds,
                "seeds": one.n_seeds,
            }
            for column in choose(one, names, empty=True):
                flat |= column.value(row)
            flat |= {"verdict": row.verdict, "notes": "; ".join(row.notes)}
            yield flat | ({"notice": notice} if notice else {})


def page_json(
    boards: Sequence[TaskBoard],
    claims: Sequence[ClaimResult] = (),
    overall: SuiteBoard | None = None,
    notice: str = "",
    of: Provenance | None = None,
) -> str:
    """Writes everything; NaN and infinite numbers are null."""
    found = {
        **({"of": plain(of)} if of is not None else {}),
        **({"notice": notice} if notice else {}),
        "boards": [_board(board) for board in boards],
        "overall": None if overall is None else plain(overall) | {"footer": suite_lines(overall)},
        "claims": [plain(claim) for claim in claims],
    }
    return json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _board(board: TaskBoard) -> dict[str, Any]:
    found: dict[str, Any] = plain(replace(board, against=None))
    del found["against"]
    found |= {"n_valued": board.n_valued, "n_least": board.n_least}
    for row in found["rows"]:
        # Of values that were put in nothing is tested.
        row |= {"p": None, "p_raw": None} if row["all_failed"] else {}
    found["parts"] = [_board(part) for part in board.parts]
    return found | {"footer": footer(board)}


def plain(value: Any) -> Any:
    """Returns what JSON can hold of dataclasses, tables and arrays; nested tables as row -> column -> number."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, pd.DataFrame):
        return {str(name): plain(row.to_dict()) for name, row in value.iterrows()}
    if isinstance(value, pd.Series):
        return plain(value.to_dict())
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
