"""One Parquet file of a table: written in one step, and read with a clear word where it is damaged."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.errors import ResultsError
from bench.results.files import write_atomic
from bench.results.schema import TABLES, upgrade

_NULLABLE = {pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}


def write_table(path: Path, table: Any) -> None:
    """Writes an Arrow table; errors as in `write_atomic`."""
    # A single row grows by compression, and takes twice as long to read.
    compression = "zstd" if len(table) > 1 else "none"
    write_atomic(path, lambda draft: pq.write_table(table, draft, compression=compression))


def read_table(name: str, path: Path) -> Any:
    """Returns a part as an Arrow table in today's columns.

    Args:
        name: Of the table: ``"trials"``, ``"cases"`` or ``"curves"``.
        path: Of the part.

    Raises:
        FileNotFoundError: If it is not there.
        ResultsError: If it is damaged, alien or of a newer version.
    """
    try:
        with pq.ParquetFile(path) as file:
            table = file.read(use_threads=False)
    except FileNotFoundError as error:
        raise FileNotFoundError(error.errno, error.strerror, str(path)) from error
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ResultsError(f"{path}: damaged or not Parquet ({reason}); {_remedy(name, path)}") from error
    table = upgrade(name, table, str(path))
    if name == "trials" and len(table) != 1:
        raise ResultsError(
            f"{path}: must hold one trial, holds {len(table)}; delete it and run the suite again"
        )
    return table


def make_frame(name: str, tables: list[Any]) -> pd.DataFrame:
    """Returns Arrow tables, one after the other, as a frame; typed even if there is none."""
    schema = TABLES[name]
    table = pa.concat_tables(tables) if tables else schema.empty_table()
    frame: pd.DataFrame = table.to_pandas()
    for field in schema:
        if field.nullable and field.type in _NULLABLE:
            frame[field.name] = table[field.name].to_pandas(types_mapper=_NULLABLE.get)
    return frame


def _remedy(name: str, path: Path) -> str:
    part = path if name == "trials" else path.parents[1] / "trials" / f"{path.stem.rsplit('-', 1)[0]}.parquet"
    return f"delete {part} and run the suite again: that trial is then made anew"
