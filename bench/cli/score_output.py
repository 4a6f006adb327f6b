"""Scored values as tables on the screen, as rows of JSON, and as files."""

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from bench.errors import BenchError, ResultsError
from bench.results.cells import csv_text
from medseg.scoring.files import printable
from medseg.scoring.score import COLUMNS, Row, Scored
from medseg.tasks import TaskSpec

JSON_COLUMNS = ("case", "label", "metric", "definition", "value", "status")
SUFFIXES = (".csv", ".parquet", ".json")


def check_output(path: Path) -> None:
    """Refuses a file that cannot be written, before anything is measured.

    Raises:
        BenchError: If its extension is not known, or its folder does not exist.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise BenchError(f"--output {path}: expected a name that ends in {', '.join(SUFFIXES)}")
    if not path.absolute().parent.is_dir():
        raise BenchError(f"--output {path}: no folder {path.absolute().parent}")


def print_json(scored: Scored, several: bool) -> None:
    """Prints one list of rows; what is no finite number is null."""
    owned = any(row["patient"] != row["case"] for row in scored.rows)
    columns = [
        *(["system"] if several else []),
        *JSON_COLUMNS[:1],
        *(["patient"] if owned else []),
        *JSON_COLUMNS[1:],
    ]
    click.echo(_json(_printable(scored.rows), columns))


def print_tables(scored: Scored, systems: Sequence[str], task: TaskSpec | None, policy: Any) -> None:
    """Prints what a leaderboard says of the systems and, of a single one, a table of its labels.

    Args:
        scored: What was measured.
        systems: Names of the systems.
        task: The task that they were scored by, if any.
        policy: What empty masks count, if that was asked for.
    """
    from bench.cli.commands import make_console
    from bench.leaderboard.scored import label_rows, label_table, scored_board, scored_cells
    from bench.leaderboard.terminal import Leaderboard
    from medseg.metrics import METRICS

    systems = [printable(name) for name in systems]
    cells = scored_cells(_printable(scored.rows), systems, task, policy, scored.protocol.unit)
    names = list(scored.protocol.metrics)
    ranked = [name for name in names if METRICS.load(name).ranked]
    console = make_console()
    if ranked:
        board = scored_board(cells, ranked[0], ranked)
        console.print(Leaderboard([board], names=("default", *ranked)))
    if len(systems) == 1:
        console.print(label_table(label_rows(cells, systems[0], names)))


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Writes all columns of all rows; the file is whole or absent.

    Raises:
        ResultsError: If it cannot be written.
    """
    from bench.results.files import write_atomic

    write = _WRITERS[path.suffix.lower()]
    try:
        write_atomic(path, lambda draft: write(draft, _printable(rows)))
    except OSError as error:
        raise ResultsError(f"{path}: cannot be written ({error.strerror or error})") from error


def _printable(rows: Sequence[Row]) -> list[Row]:
    """Returns rows that can be written as UTF-8: names of systems and reasons come from file names."""
    return [
        {name: printable(value) if isinstance(value, str) else value for name, value in row.items()}
        for row in rows
    ]


def _write_csv(path: Path, rows: Sequence[Row]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: csv_text(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
        | {"value": "" if math.isnan(row["value"]) else row["value"]}
        for row in rows
    )
    path.write_text(text.getvalue(), encoding="utf-8")


def _write_json(path: Path, rows: Sequence[Row]) -> None:
    path.write_text(f"{_json(rows, COLUMNS)}\n", encoding="utf-8")


def _write_parquet(path: Path, rows: Sequence[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = ("value", "diagonal")
    schema = pa.schema([(name, pa.float64() if name in numbers else pa.string()) for name in COLUMNS])
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path, compression="zstd")


_WRITERS: Mapping[str, Callable[[Path, Sequence[Row]], None]] = {
    ".csv": _write_csv,
    ".json": _write_json,
    ".parquet": _write_parquet,
}


def _json(rows: Sequence[Row], columns: Sequence[str]) -> str:
    lines = (json.dumps({name: _plain(row[name]) for name in columns}, ensure_ascii=False) for row in rows)
    return "[\n" + ",\n".join(lines) + "\n]"


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
