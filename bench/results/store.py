"""The results of one suite: one atomic part per trial and table."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.errors import ResultsError
from bench.results.additions import Additions, compare_cases, with_rows
from bench.results.gathered import known_index, load_all
from bench.results.index import write_index
from bench.results.look import find_trial
from bench.results.names import attempt_name, attempt_of, part_name
from bench.results.parts import part_file, write_table
from bench.results.reader import KEY, Reader
from bench.results.schema import BESIDE, KEYS, UNDECIDED, make_table, stamped_schema

__all__ = ["KEY", "SUITE_FILE", "Store", "part_name"]

Row = Mapping[str, Any]

SUITE_FILE = "suite.json"


class Store(Reader):
    """Results of one suite.

    A trial's part in ``trials/`` is written last and commits it: cases and curves are read only where a trial's
    row names their attempt. So a crash at any moment leaves the trial as it was before. What was gathered into files
    of many trials (see `bench.results.compaction`) stays there until a part in a file of its own takes its place.

    Args:
        root: Place of the suite's results: a folder, or a URL of an object store.
    """

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
        earlier, _ = find_trial(self.root, part)
        if earlier is not None:
            if earlier["status"] not in UNDECIDED and row["status"] in UNDECIDED:
                return False
            row["attempt"] = max(row["attempt"], earlier["attempt"] + 1)
        tables = {
            "cases": make_table("cases", _stamped("cases", cases, row)),
            "curves": make_table("curves", _stamped("curves", curves, row)),
        }
        for name, table in tables.items():
            write_table(self.root, name, attempt_name(row), table)
        write_table(self.root, "trials", part, make_table("trials", [row]))
        self._drop_earlier_attempts(part, row["attempt"])
        return True

    def add_cases(
        self, trial: str, code: str, attempt: int, rows: Sequence[Row], dry_run: bool = False
    ) -> Additions:
        """Adds case rows to a committed trial: other metrics or definitions of what it predicted.

        They are added in one step, or not at all if a row is there with another value. Hold the `RunLock`.

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
        table = self.beside(trial, code, attempt, "cases")
        found = compare_cases(
            table, _stamped("cases", rows, {"trial": trial, "code": code, "attempt": attempt})
        )
        if found.added and not found.conflicts:
            whole = with_rows(table, found.added)
            if not dry_run:
                self._replace_cases(trial, code, attempt, whole)
        return found

    def write_row(self, name: str, row: Row) -> None:
        """Writes a row of a table that has one row per file, or replaces that of the same key.

        Args:
            name: ``"runs"``, ``"studies"`` or ``"env"``.
            row: Of the table.

        Raises:
            ValueError: If it has unknown or missing columns, wrong types or unknown words.
            OSError: If the disk is full or read-only, or the store cannot be reached.
            ResultsError: If the store refuses.
        """
        write_table(self.root, name, str(row[KEYS[name]]), make_table(name, [row]))

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

    def drop(self, part: str) -> None:
        """Forgets a result, by the name of its part; errors as in `Place.delete`."""
        earlier, _ = find_trial(self.root, part)
        self._unlist(part)
        self.root.delete(part_file("trials", part))
        self._drop_earlier_attempts(part, 1 if earlier is None else earlier["attempt"] + 1)

    def _unlist(self, part: str) -> None:
        """Takes a trial out of what was gathered."""
        if known_index(self.root).find("trials", part) is not None:
            write_index(self.root, load_all(self.root).without([part], "trials"))

    def _replace_cases(self, trial: str, code: str, attempt: int, cases: Any) -> None:
        part = part_name({"trial": trial, "code": code})
        name, row = attempt_of(part, attempt), self.row(part)
        if row is not None and find_trial(self.root, part)[1] is not None:
            # A trial that was gathered gets files of its own again; the last one makes them count.
            curves = self.beside(trial, code, attempt, "curves")
            write_table(self.root, "cases", name, cases)
            write_table(self.root, "curves", name, curves.cast(stamped_schema("curves")))
            write_table(self.root, "trials", part, make_table("trials", [row]))
        else:
            write_table(self.root, "cases", name, cases)

    def _drop_earlier_attempts(self, part: str, attempt: int) -> None:
        # By name: to look through the folder after each trial would grow with the square of the trials.
        for number in range(1, attempt):
            for name in BESIDE:
                self.root.delete(part_file(name, attempt_of(part, number)))


def _stamped(name: str, rows: Iterable[Row], trial: Row) -> list[dict[str, Any]]:
    stamped = []
    for row in rows:
        if row.get("trial") != trial["trial"]:
            raise ValueError(f"{name} row of trial {row.get('trial')!r} among those of {trial['trial']!r}")
        stamped.append({**row, "code": trial["code"], "attempt": trial["attempt"]})
    return stamped
