"""The results of one suite on disk: one atomic part per trial and table."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.compute as pc

from bench.errors import ResultsError
from bench.results.additions import Additions, compare_cases, with_rows
from bench.results.files import write_atomic
from bench.results.parts import make_frame, read_table, write_table
from bench.results.schema import UNDECIDED, make_table

Row = Mapping[str, Any]

SUITE_FILE = "suite.json"


class Store:
    """Results of one suite.

    A trial's part in ``trials/`` is written last and commits it: cases and curves are read only where a trial's
    row names their attempt. So a crash at any moment leaves the trial as it was before.

    Args:
        root: Folder of the suite's results; made when something is written.
    """

    def __init__(self, root: Path):
        self.root = root

    def write(self, trial: Row, cases: Sequence[Row], curves: Sequence[Row]) -> bool:
        """Writes all that a trial left, replacing an earlier result of the same trial and code.

        Args:
            trial: A row of the trials table. Its attempt is raised above that of the result it replaces.
            cases: Rows of the cases table; `code` and `attempt` are filled in.
            curves: Rows of the curves table; likewise.

        Returns:
            Whether it was written: an interruption or a lost worker never replaces a complete result.

        Raises:
            ValueError: If a row has unknown or missing columns, wrong types or unknown words, or belongs to
                another trial.
            OSError: If the disk is full or read-only; what was there stays.
            ResultsError: If the earlier result cannot be read.
        """
        row = dict(trial)
        make_table("trials", [row])
        part = _part_name(row)
        earlier = self._earlier(part)
        if earlier is not None:
            status, attempt = earlier
            if status == "complete" and row["status"] in UNDECIDED:
                return False
            row["attempt"] = max(row["attempt"], attempt + 1)
        tables = {
            "cases": make_table("cases", _stamped("cases", cases, row)),
            "curves": make_table("curves", _stamped("curves", curves, row)),
        }
        for name, table in tables.items():
            write_table(self.root / name / f"{part}-{row['attempt']}.parquet", table)
        write_table(self.root / "trials" / f"{part}.parquet", make_table("trials", [row]))
        self._drop_other_attempts(part, row["attempt"])
        return True

    def add_cases(
        self, trial: str, code: str, attempt: int, rows: Sequence[Row], dry_run: bool = False
    ) -> Additions:
        """Adds case rows to a committed trial: other metrics or definitions of what it predicted.

        The part is replaced in one step, or not at all if a row is there with another value. Hold the `RunLock`.

        Args:
            trial: Id of the trial.
            code: Of the code that made it.
            attempt: Its number.
            rows: As in `write`.
            dry_run: Write nothing.

        Raises:
            ValueError: As in `write`; or if a row comes twice.
            OSError: If the disk is full or read-only; what was there stays.
            ResultsError: If there is no such attempt, or it cannot be read.
        """
        row = {"trial": trial, "code": code, "attempt": attempt}
        path, table = self._cases_of(row)
        found = compare_cases(table, _stamped("cases", rows, row))
        if found.added and not found.conflicts:
            whole = with_rows(table, found.added)
            if not dry_run:
                write_table(path, whole)
        return found

    def cases_of(self, trial: str, code: str, attempt: int) -> pd.DataFrame:
        """Returns the case rows of one committed trial, which `cases` would look for among all.

        Args:
            trial: Id of the trial.
            code: Of the code that made it.
            attempt: Its number.

        Raises:
            ResultsError: If there is no such attempt, or it cannot be read.
        """
        return make_frame("cases", [self._cases_of({"trial": trial, "code": code, "attempt": attempt})[1]])

    def trials(self) -> pd.DataFrame:
        """Returns one row per trial and code, in the order in which they finished.

        Raises:
            ResultsError: If a part is damaged, alien or of a newer version.
        """
        return make_frame("trials", self._parts()).sort_values(["finished_at", "trial"], ignore_index=True)

    def cases(self, trials: Collection[str] | None = None, part: str | None = None) -> pd.DataFrame:
        """Returns the case rows of committed trials.

        Args:
            trials: Ids of the trials to read; all by default.
            part: ``"validation"`` or ``"test"``; both by default.

        Raises:
            ResultsError: If a part is missing, damaged, alien or of a newer version.
        """
        return make_frame("cases", self._rows_of("cases", trials, part))

    def curves(self, trials: Collection[str] | None = None) -> pd.DataFrame:
        """Returns the learning curves of committed trials; arguments and errors as in `cases`."""
        return make_frame("curves", self._rows_of("curves", trials, None))

    def write_suite(self, suite: Row) -> None:
        """Keeps the resolved suite, as JSON, beside the tables."""
        text = json.dumps(suite, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomic(self.root / SUITE_FILE, lambda path: _write_text(path, text))

    def read_suite(self) -> dict[str, Any] | None:
        """Returns the suite that was kept, or none.

        Raises:
            ResultsError: If the file is damaged.
        """
        path = self.root / SUITE_FILE
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ResultsError(
                f"{path}: cannot be read ({error}); run the suite again to renew it"
            ) from error
        if not isinstance(found, dict):
            raise ResultsError(f"{path}: must hold an object, got {type(found).__name__}")
        return found

    def _parts(self, trials: Collection[str] | None = None) -> list[Any]:
        wanted = None if trials is None else set(trials)
        return [
            read_table("trials", path)
            for path in sorted((self.root / "trials").glob("*.parquet"))
            if wanted is None or path.stem.rpartition("-")[0] in wanted
        ]

    def _rows_of(self, name: str, trials: Collection[str] | None, part: str | None) -> list[Any]:
        try:
            return self._read_rows(name, trials, part)
        except FileNotFoundError:
            # A run may have replaced an attempt between our two looks; a second pair of looks settles it.
            pass
        try:
            return self._read_rows(name, trials, part)
        except FileNotFoundError as error:
            raise self._hole(error) from error

    def _read_rows(self, name: str, trials: Collection[str] | None, part: str | None) -> list[Any]:
        tables = []
        for table in self._parts(trials):
            row = table.select(["trial", "code", "attempt"]).to_pylist()[0]
            found = read_table(name, self.root / name / f"{_part_name(row)}-{row['attempt']}.parquet")
            tables.append(found if part is None else found.filter(pc.field("part") == part))
        return tables

    def _cases_of(self, row: Row) -> tuple[Path, Any]:
        """Returns the path of a trial's cases and what it holds; the trial's own part says which attempt counts."""
        part, attempt = _part_name(row), row["attempt"]
        earlier = self._earlier(part)
        if earlier is None or earlier[1] != attempt:
            raise ResultsError(
                f"{self.root}: attempt {attempt} of trial {row['trial']} is not there any more"
            )
        path = self.root / "cases" / f"{part}-{attempt}.parquet"
        try:
            return path, read_table("cases", path)
        except FileNotFoundError as error:
            raise self._hole(error) from error

    def _hole(self, error: FileNotFoundError) -> ResultsError:
        return ResultsError(
            f"{error.filename}: this part of a trial is missing; put it back, or delete the trial's part in "
            f"{self.root / 'trials'} and run the suite again"
        )

    def _earlier(self, part: str) -> tuple[str, int] | None:
        path = self.root / "trials" / f"{part}.parquet"
        if not path.exists():
            return None
        row = read_table("trials", path).to_pylist()[0]
        return row["status"], row["attempt"]

    def _drop_other_attempts(self, part: str, attempt: int) -> None:
        for name in ("cases", "curves"):
            for path in (self.root / name).glob(f"{part}-*.parquet"):
                if path.name != f"{part}-{attempt}.parquet":
                    path.unlink(missing_ok=True)


def _part_name(row: Row) -> str:
    return f"{row['trial']}-{row['code'][:8]}"


def _stamped(name: str, rows: Iterable[Row], trial: Row) -> list[dict[str, Any]]:
    stamped = []
    for row in rows:
        if row.get("trial") != trial["trial"]:
            raise ValueError(f"{name} row of trial {row.get('trial')!r} among those of {trial['trial']!r}")
        stamped.append({**row, "code": trial["code"], "attempt": trial["attempt"]})
    return stamped


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
