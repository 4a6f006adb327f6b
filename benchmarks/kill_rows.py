"""What two runs of a suite have in common, and what a killed one must not leave. Imported by kill_campaign.py."""

import hashlib
from pathlib import Path

import pandas as pd

from bench.results.store import Store

# What a clock, a meter or the place says. All else is the trial's, to the last bit.
MEASURED = (
    "attempt",
    "started_at",
    "finished_at",
    "wall_s",
    "train_s",
    "device_s",
    "samples_per_s",
    "data_share",
    "compute_share",
    "validation_share",
    "peak_memory_mb",
    "energy_j",
    "node",
    "run",
    "case_s",
)


def committed(results: Path) -> int:
    """Counts the trials that have a row."""
    return sum(1 for _ in (results / "trials").glob("*.parquet"))


def differences(first: Path, second: Path) -> list[str]:
    """Says in what two results folders differ: the three tables, and the files that trials keep."""
    problems = []
    for name in ("trials", "cases", "curves"):
        one, two = (_comparable(getattr(Store(root), name)()) for root in (first, second))
        if name == "trials" and (twice := two.index[two["trial"].duplicated()].tolist()):
            problems.append(f"trials that have two rows: {two.loc[twice, 'trial'].tolist()}")
        try:
            pd.testing.assert_frame_equal(one, two, check_exact=True)
        except AssertionError as error:
            problems.append(f"{name} differ: {str(error).replace(chr(10), '; ')[:600]}")
    for folder in ("weights", "predictions"):
        mine, theirs = _files(first / folder), _files(second / folder)
        problems += [
            f"{folder}/{path}: {'differs' if path in mine and path in theirs else 'in one of them only'}"
            for path in sorted(mine.keys() | theirs.keys())
            if mine.get(path) != theirs.get(path)
        ]
    return problems


def untouched(results: Path, seen: dict[str, int]) -> list[str]:
    """Says which complete trials were written again since the last look, and remembers those there are now.

    Args:
        results: Folder of the suite's results.
        seen: Of earlier looks: when a part was written.
    """
    problems = []
    for path in (results / "trials").glob("*.parquet"):
        written = path.stat().st_mtime_ns
        if path.name in seen and seen[path.name] != written:
            problems.append(f"{path.name} was complete and is written again")
        if pd.read_parquet(path, columns=["status"])["status"].tolist() == ["complete"]:
            seen[path.name] = written
    return problems


def leavings(results: Path) -> list[str]:
    """Says what a complete suite should not have: drafts, checkpoints, parts of attempts that do not count."""
    rows = Store(results).trials()
    parts = {f"{row.trial}-{row.code[:8]}-{row.attempt}.parquet" for row in rows.itertuples()}
    problems = []
    for path in sorted(path for path in results.rglob("*") if path.is_file()):
        name = str(path.relative_to(results))
        alien = path.parent.name in ("cases", "curves") and path.name not in parts
        draft = path.name.startswith(".") and path.name != ".lock"
        if alien or draft or path.parent.name in ("checkpoints", "signals"):
            problems.append(f"left in the results: {name}")
    return problems


def _comparable(table: pd.DataFrame) -> pd.DataFrame:
    kept = table.drop(columns=[name for name in MEASURED if name in table])
    keys = [
        name for name in ("trial", "part", "case", "label", "metric", "definition", "epoch") if name in kept
    ]
    return kept.sort_values(keys, ignore_index=True)


def _files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
