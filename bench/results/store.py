"""The results of one suite: one atomic part per trial and table."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.compute as pc

from bench.errors import ResultsError
from bench.results.additions import Additions, compare_cases, with_rows
from bench.results.parts import SUFFIX, make_frame, part_file, read_table, read_tables, write_table
from bench.results.place import Place, open_place
from bench.results.schema import UNDECIDED, make_table

Row = Mapping[str, Any]

SUITE_FILE = "suite.json"
KEY = ["trial", "code", "attempt"]


class Store:
    """Results of one suite.

    A trial's part in ``trials/`` is written last and commits it: cases and curves are read only where a trial's
    row names their attempt. So a crash at any moment leaves the trial as it was before.

    Args:
        root: Place of the suite's results: a folder, or a URL of an object store.
    """

    def __init__(self, root: Place | Path | str):
        self.root = open_place(root)

    def write(self, trial: Row, cases: Sequence[Row], curves: Sequence[Row]) -> bool:
        """Writes all that a trial left, replacing an earlier result of the same trial and code.

        Args:
            trial: A row of the trials table. Its attempt is raised above that of the result it replaces.
            cases: Rows of the cases table; `code` and `attempt` are filled in.
            curves: Rows of the curves table; likewise.

        Returns:
            Whether it was written: an interruption or a lost worker says nothing about the trial, and never
            replaces a result that does.

        Raises:
            ValueError: If a row has unknown or missing columns, wrong types or unknown words, or belongs to
                another trial.
            OSError: If the disk is full or read-only, or the store cannot be reached; what was there stays.
            ResultsError: If the earlier result cannot be read, or the store refuses.
        """
        row = dict(trial)
        make_table("trials", [row])
        part = part_name(row)
        earlier = self._earlier(part)
        if earlier is not None:
            status, attempt = earlier
            if status not in UNDECIDED and row["status"] in UNDECIDED:
                return False
            row["attempt"] = max(row["attempt"], attempt + 1)
        tables = {
            "cases": make_table("cases", _stamped("cases", cases, row)),
            "curves": make_table("curves", _stamped("curves", curves, row)),
        }
        for name, table in tables.items():
            write_table(self.root, name, f"{part}-{row['attempt']}", table)
        write_table(self.root, "trials", part, make_table("trials", [row]))
        self._drop_earlier_attempts(part, row["attempt"])
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
        part, table = self._cases_of(row)
        found = compare_cases(table, _stamped("cases", rows, row))
        if found.added and not found.conflicts:
            whole = with_rows(table, found.added)
            if not dry_run:
                write_table(self.root, "cases", part, whole)
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
        self.root.write(SUITE_FILE, text.encode())

    def read_suite(self) -> dict[str, Any] | None:
        """Returns the suite that was kept, or none.

        Raises:
            ResultsError: If the file is damaged.
        """
        where = f"{self.root / SUITE_FILE}"
        try:
            found = json.loads(self.root.read(SUITE_FILE).decode())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ResultsError(
                f"{where}: cannot be read ({error}); run the suite again to renew it"
            ) from error
        if not isinstance(found, dict):
            raise ResultsError(f"{where}: must hold an object, got {type(found).__name__}")
        return found

    def parts(self) -> list[str]:
        """Returns the names of all trials' parts, sorted; see `part_name`."""
        names = self.root.files("trials")
        return sorted(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))

    def row(self, part: str) -> dict[str, Any] | None:
        """Returns a trial's row, by the name of its part; none where it is not there. Errors as in `trials`."""
        try:
            rows: list[dict[str, Any]] = read_table(self.root, "trials", part).to_pylist()
        except FileNotFoundError:
            return None
        return rows[0]

    def status(self, part: str) -> str | None:
        """Returns how a trial ended, by the name of its part; none where it is not there. Errors as in `trials`."""
        earlier = self._earlier(part)
        return None if earlier is None else earlier[0]

    def drop(self, part: str) -> None:
        """Forgets a result, by the name of its part; errors as in `Place.delete`."""
        earlier = self._earlier(part)
        self.root.delete(part_file("trials", part))
        self._drop_earlier_attempts(part, 1 if earlier is None else earlier[1] + 1)

    def _parts(self, trials: Collection[str] | None = None) -> list[Any]:
        wanted = None if trials is None else set(trials)
        chosen = [part for part in self.parts() if wanted is None or part.rpartition("-")[0] in wanted]
        return list(read_tables(self.root, "trials", chosen))

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
        rows = [row for table in self._parts(trials) for row in table.select(KEY).to_pylist()]
        names = [f"{part_name(row)}-{row['attempt']}" for row in rows]
        tables = read_tables(self.root, name, names)
        return [table if part is None else table.filter(pc.field("part") == part) for table in tables]

    def _cases_of(self, row: Row) -> tuple[str, Any]:
        """Returns the part with a trial's cases and what it holds; the trial's own says which attempt counts."""
        part, attempt = part_name(row), row["attempt"]
        earlier = self._earlier(part)
        if earlier is None or earlier[1] != attempt:
            raise ResultsError(
                f"{self.root}: attempt {attempt} of trial {row['trial']} is not there any more"
            )
        cases = f"{part}-{attempt}"
        try:
            return cases, read_table(self.root, "cases", cases)
        except FileNotFoundError as error:
            raise self._hole(error) from error

    def _hole(self, error: FileNotFoundError) -> ResultsError:
        return ResultsError(
            f"{error.filename}: this part of a trial is missing; put it back, or let `bench run SUITE` make the "
            "trial anew"
        )

    def _earlier(self, part: str) -> tuple[str, int] | None:
        row = self.row(part)
        return None if row is None else (row["status"], row["attempt"])

    def _drop_earlier_attempts(self, part: str, attempt: int) -> None:
        # By name: to look through the folder after each trial would grow with the square of the trials.
        for number in range(1, attempt):
            for name in ("cases", "curves"):
                self.root.delete(part_file(name, f"{part}-{number}"))


def part_name(row: Row) -> str:
    """Returns the name of a trial's part, from its id and its code."""
    return f"{row['trial']}-{row['code'][:8]}"


def _stamped(name: str, rows: Iterable[Row], trial: Row) -> list[dict[str, Any]]:
    stamped = []
    for row in rows:
        if row.get("trial") != trial["trial"]:
            raise ValueError(f"{name} row of trial {row.get('trial')!r} among those of {trial['trial']!r}")
        stamped.append({**row, "code": trial["code"], "attempt": trial["attempt"]})
    return stamped
