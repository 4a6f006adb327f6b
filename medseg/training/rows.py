"""The folder of one trial: trial.json, case rows, learning curve. Every file is whole or absent."""

import hashlib
import json
import math
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import medseg
from medseg.errors import ConfigError
from medseg.training.config import TrialSpec
from medseg.training.outcome import Row, TrialResult

RECORD_VERSION = 1
RUNNING = "running"
"""Status in trial.json of a trial that is at work, or was killed."""

# Arrow types by column; of columns that are not listed Arrow finds the type.
_TEXT = ("part", "case", "patient", "subgroup", "phase", "label", "metric", "definition", "status", "unit")
CASES = dict.fromkeys(_TEXT, "string") | {"diagonal": "float64", "value": "float64"}
_FLOATS = ("train_loss", "learning_rate", "score", "wall_s")
CURVES = {"epoch": "int32", "step": "int64"} | dict.fromkeys(_FLOATS, "float64")


class TrialFolder:
    """Where one trial keeps what it leaves. trial.json commits: it is written first, and again last.

    Args:
        root: The folder; made when something is written.
    """

    def __init__(self, root: Path):
        self.root = root
        self.record = root / "trial.json"
        self.cases = root / "cases.parquet"
        self.curves = root / "curves.parquet"
        self.weights = root / "best.safetensors"
        self.checkpoint = root / "last.safetensors"
        self.predictions = root / "predictions"
        self.lock = root / ".lock"

    def read(self) -> Row | None:
        """Returns trial.json, or none where there is none.

        Raises:
            ConfigError: If the folder holds files that this command did not write, or cannot read any more.
        """
        other = "; choose another --out"
        if not self.record.exists():
            alien = [path.name for path in self._results() if path.exists()]
            if alien:
                raise ConfigError(str(self.root), f"has {alien[0]} but no trial.json{other}")
            return None
        try:
            record = json.loads(self.record.read_text(encoding="utf-8"))
            version = int(record["version"])
            record["spec_hash"], record["spec"], record["status"]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(str(self.record), f"is not a trial of this command{other}") from error
        if version > RECORD_VERSION:
            raise ConfigError(str(self.record), f"was written by a newer medseg-bench{other}")
        return dict(record)

    def is_complete(self, record: Mapping[str, Any]) -> bool:
        """Says whether a trial and its tables are complete."""
        return record["status"] == "complete" and self.cases.exists() and self.curves.exists()

    def load(self, record: Mapping[str, Any]) -> TrialResult:
        """Returns the result that the folder holds."""
        cases, curves = (_read_rows(path) for path in (self.cases, self.curves))
        return TrialResult(record["status"], record["detail"], dict(record["summary"]), cases, curves)

    def write(self, record: Mapping[str, Any], cases: Sequence[Row], curves: Sequence[Row]) -> None:
        """Writes the tables and then trial.json.

        Raises:
            OSError: If the disk is full or read-only; what was there stays.
        """
        _write_rows(self.cases, cases, CASES)
        _write_rows(self.curves, curves, CURVES)
        self.write_record(record)

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Writes trial.json alone; see `write`."""
        text = json.dumps(plain(record), indent=1, allow_nan=False) + "\n"
        write_atomic(self.record, lambda path: path.write_text(text, encoding="utf-8"))

    def earlier_curves(self, before_epoch: float = math.inf) -> list[Row]:
        """Returns the learning curve that earlier runs of the same trial left."""
        rows = _read_rows(self.curves) if self.curves.exists() else []
        return [row for row in rows if row["epoch"] < before_epoch]

    def clear(self) -> None:
        """Removes what a trial left; trial.json, which is about to be written anew, stays until then."""
        for path in self._results():
            if path.is_dir():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)

    def _results(self) -> tuple[Path, ...]:
        return self.checkpoint, self.cases, self.curves, self.weights, self.predictions


def spec_hash(spec: TrialSpec) -> str:
    """Returns 16 hexadecimal digits over everything in a trial's description."""
    return hashlib.sha256(json.dumps(spec_tree(spec), sort_keys=True).encode()).hexdigest()[:16]


def spec_tree(spec: TrialSpec) -> Row:
    """Returns a trial's description as JSON values."""
    tree: Row = json.loads(spec.model_dump_json())
    return tree


def first_difference(old: Any, new: Any, path: str = "") -> str:
    """Returns the first field in which two trees differ, with both values; empty where they are equal."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*new, *old]):
            below = f"{path}.{key}" if path else str(key)
            if key not in old or key not in new:
                return f"{below} is {'new' if key in new else 'gone'}"
            found = first_difference(old[key], new[key], below)
            if found:
                return found
        # The order of labels is the order of the classes.
        order = path.endswith("labels") and list(old) != list(new)
        return f"{path} are {', '.join(old)} there and {', '.join(new)} here" if order else ""
    return "" if old == new else f"{path} is {_shown(old)} there and {_shown(new)} here"


@cache
def code_hash() -> str:
    """Returns 16 hexadecimal digits over the source files of `medseg`."""
    root, total = Path(medseg.__path__[0]), hashlib.sha256()
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in root.rglob("*.py")):
        content = path.read_bytes()
        total.update(f"{name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()[:16]


def plain(value: Any) -> Any:
    """Returns a value as JSON has it: what is not finite is null, times are text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.isoformat() if isinstance(value, datetime) else value


def write_atomic(path: Path, write: Callable[[Path], Any]) -> None:
    """Writes a file beside its place, flushes it to the disk and moves it there in one step.

    Args:
        path: Final place; its folder is made if need be.
        write: Called with the temporary path.

    Raises:
        OSError: If the disk is full or read-only; nothing is left behind then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
    try:
        write(draft)
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _write_rows(path: Path, rows: Sequence[Row], types: Mapping[str, str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = dict.fromkeys([*types, *(rows[0] if rows else ())])
    columns = {
        name: pa.array(
            [row.get(name) for row in rows], pa.type_for_alias(types[name]) if name in types else None
        )
        for name in names
    }
    write_atomic(path, lambda draft: pq.write_table(pa.table(columns), draft))


def _read_rows(path: Path) -> list[Row]:
    import pyarrow.parquet as pq

    rows: list[Row] = pq.ParquetFile(path).read().to_pylist()
    return rows


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
