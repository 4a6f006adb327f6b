"""A user's table of patients: site, scanner, or whatever results may be told apart by."""

from pathlib import Path

import pandas as pd

from bench.errors import DataMissingError

PATIENT = "patient"


def read_subgroups(path: Path) -> pd.DataFrame:
    """Reads a table of patients.

    Args:
        path: CSV, or Parquet where it is so named, with a column ``patient`` as in the results, a row each.

    Returns:
        All columns but ``patient`` as texts, indexed by it.

    Raises:
        DataMissingError: If it cannot be read, has no such column, or a patient has several rows.
    """
    try:
        if path.suffix.lower() == ".parquet":
            table = pd.read_parquet(path).astype("string")
        else:
            table = pd.read_csv(path, dtype="string")
    except (OSError, ValueError, ImportError) as error:
        said = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise DataMissingError(f"--subgroups {path}: cannot be read ({said})") from error
    if PATIENT not in table.columns or len(table.columns) < 2:
        raise DataMissingError(
            f"--subgroups {path}: expected a column '{PATIENT}' and at least another, "
            f"got {', '.join(map(str, table.columns)) or 'none'}"
        )
    twice = table.loc[table[PATIENT].duplicated(), PATIENT]
    if len(twice):
        raise DataMissingError(f"--subgroups {path}: expected a row per patient; {twice.iloc[0]} has several")
    return table.set_index(PATIENT)
