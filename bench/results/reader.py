"""The results of one suite, as they are read: parts in files of their own, and those that were gathered."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bench.errors import ResultsError
from bench.results.coded import read_coded
from bench.results.gathered import fail
from bench.results.groups import read_group
from bench.results.look import Look, find_trial, look_at, settled
from bench.results.names import attempt_name, attempt_of, part_name
from bench.results.parts import DamagedError, make_frame, read_table, read_tables, remedy
from bench.results.place import Place, open_place
from bench.results.schema import TABLES

KEY = ["trial", "code", "attempt"]


class Reader:
    """Reads results.

    Args:
        root: Place of the suite's results: a folder, or a URL of an object store.
    """

    def __init__(self, root: Place | Path | str):
        self.root = open_place(root)

    def trials(self, without: Collection[str] = ()) -> pd.DataFrame:
        """Returns one row per trial and code, in the order in which they finished.

        Args:
            without: Columns that are left out. `spec_json` is larger than all others together.

        Raises:
            ResultsError: If a part is damaged, alien or of a newer version.
        """
        columns = [name for name in TABLES["trials"].names if name not in without]
        frame = make_frame("trials", self._tables("trials", columns=columns), columns)
        return frame.sort_values(["finished_at", "trial"], ignore_index=True)

    def cases(self, trials: Collection[str] | None = None, part: str | None = None) -> pd.DataFrame:
        """Returns the case rows of committed trials.

        Args:
            trials: Ids of the trials to read; all by default.
            part: ``"validation"`` or ``"test"``; both by default.

        Raises:
            ResultsError: If a part is missing, damaged, alien or of a newer version.
        """
        return make_frame("cases", self._tables("cases", trials, part))

    def case_table(
        self,
        trials: Collection[str] | None = None,
        part: str | None = None,
        columns: Sequence[str] | None = None,
        known: pd.DataFrame | None = None,
    ) -> Any:
        """Returns the case rows of committed trials as an Arrow table, small enough for millions of them.

        Args:
            trials: As in `cases`.
            part: As in `cases`.
            columns: Names, in the order in which they are to come; all by default.
            known: Rows that `trials` returned before. Their attempts are taken, so that they are not read again;
                where one was replaced since, all are looked for anew.

        Returns:
            Texts are dictionaries with narrow codes, the same words in all chunks of a column: `to_pandas` makes
            categorical columns of them. The words are in the order in which they came.

        Raises:
            ResultsError: As in `cases`.
        """
        names = list(columns or TABLES["cases"].names)
        rows = [] if known is None else known[KEY].to_dict("records")
        said = {part_name(row): attempt_name(row) for row in rows}

        def read() -> Any:
            look = self._look("trials", trials)
            try:
                return read_coded(self.root, "cases", self._attempts(look, said), look.packed, names, part)
            except FileNotFoundError:
                said.clear()
                raise

        return settled(read)

    def curves(self, trials: Collection[str] | None = None) -> pd.DataFrame:
        """Returns the learning curves of committed trials; arguments and errors as in `cases`."""
        return make_frame("curves", self._tables("curves", trials, None))

    def runs(self) -> pd.DataFrame:
        """Returns one row per `bench run`, in the order in which they began; errors as in `trials`."""
        return make_frame("runs", self._tables("runs")).sort_values(["started_at", "run"], ignore_index=True)

    def studies(self) -> pd.DataFrame:
        """Returns one row per study, sorted by task and entry; errors as in `trials`."""
        by = ["task", "entry", "study"]
        return make_frame("studies", self._tables("studies")).sort_values(by, ignore_index=True)

    def env(self) -> pd.DataFrame:
        """Returns what each run ran on, sorted by run; errors as in `trials`."""
        return make_frame("env", self._tables("env")).sort_values("run", ignore_index=True)

    def table(self, name: str, trials: Collection[str] | None = None) -> Any:
        """Returns a table as Arrow, with its nulls, in today's columns.

        Args:
            name: One of `TABLES`.
            trials: As in `cases`.

        Raises:
            ResultsError: As in `cases`.
        """
        return pa.concat_tables([TABLES[name].empty_table(), *self._tables(name, trials)])

    def cases_of(self, trial: str, code: str, attempt: int) -> pd.DataFrame:
        """Returns the case rows of one committed trial, which `cases` would look for among all.

        Args:
            trial: Id of the trial.
            code: Of the code that made it.
            attempt: Its number.

        Raises:
            ResultsError: If there is no such attempt, or it cannot be read.
        """
        return make_frame("cases", [self.beside(trial, code, attempt, "cases")])

    def beside(self, trial: str, code: str, attempt: int, name: str) -> Any:
        """Returns the rows of one committed trial in ``"cases"`` or ``"curves"`` as Arrow; else as `cases_of`."""
        part = part_name({"trial": trial, "code": code})

        def read() -> Any:
            row, packed = find_trial(self.root, part)
            if row is None or row["attempt"] != attempt:
                raise ResultsError(f"{self.root}: attempt {attempt} of trial {trial} is not there any more")
            if packed is None:
                return read_table(self.root, name, attempt_of(part, attempt))
            with remedy(name):
                return read_group(self.root, name, str(row["group"]), packed.spans(name))

        return settled(read)

    def parts(self) -> list[str]:
        """Returns the names of all trials' parts, sorted; see `part_name`."""
        look = self._look("trials")
        return sorted([*look.loose, *look.packed.parts()])

    def row(self, part: str) -> dict[str, Any] | None:
        """Returns a trial's row, by the name of its part; none where it is not there. Errors as in `trials`."""

        def read() -> dict[str, Any] | None:
            found, packed = find_trial(self.root, part)
            if packed is not None and found is not None:
                table = read_group(self.root, "trials", str(found["group"]), packed.spans("trials"))
                (found,) = table.to_pylist()
            return found

        return settled(read)

    def status(self, part: str) -> str | None:
        """Returns how a trial ended, by the name of its part; none where it is not there. Errors as in `trials`."""
        found, _ = find_trial(self.root, part)
        return None if found is None else str(found["status"])

    def _look(self, name: str, trials: Collection[str] | None = None) -> Look:
        return look_at(self.root, name, trials, self._hear)

    def _hear(self, name: str, group: str, error: DamagedError) -> None:
        """Hears of a damaged group with rows that are known from nowhere else."""
        fail(name, group, error)

    def _tables(
        self,
        name: str,
        trials: Collection[str] | None = None,
        part: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> list[Any]:
        def read() -> list[Any]:
            beside = name in ("cases", "curves")
            look = self._look("trials" if beside else name, trials)
            loose = self._attempts(look) if beside else look.loose
            tables = list(read_tables(self.root, name, loose, columns))
            for group, rows in look.packed.groups():
                with remedy(name):
                    tables.append(read_group(self.root, name, group, rows.spans(name), columns))
            return [table if part is None else table.filter(pc.field("part") == part) for table in tables]

        return settled(read)

    def _attempts(self, look: Look, known: Mapping[str, str] | None = None) -> list[str]:
        """Returns the names of the parts that hold the cases and curves of trials in files of their own.

        Args:
            look: What is there.
            known: Some of these names, by the part of the trial, which is not read then.
        """
        names = dict(known or {})
        unread = [part for part in look.loose if part not in names]
        tables = read_tables(self.root, "trials", unread, KEY)
        names |= {
            part: attempt_name(table.to_pylist()[0]) for part, table in zip(unread, tables, strict=True)
        }
        return [names[part] for part in look.loose]
