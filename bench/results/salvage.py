"""Reads what is whole of damaged results, and leaves out the rest."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from bench.results.groups import read_group
from bench.results.look import Look
from bench.results.names import attempt_name
from bench.results.parts import SUFFIX, DamagedError, part_file, read_each
from bench.results.place import Place
from bench.results.reader import KEY
from bench.results.schema import BESIDE, KEYS
from bench.results.store import Store
from bench.words import plural_rows


class Salvage(Store):
    """Results without what is damaged: all is read once to find that out, and nothing is moved or removed.

    Args:
        root: Place of the results.

    Attributes:
        left_out: What is damaged or lacks parts, a line each.

    Raises:
        ResultsError: If a file is alien or of a newer version, which is no damage.
        OSError: If results cannot be read.
    """

    def __init__(self, root: Place | Path | str):
        super().__init__(root)
        self.left_out: list[str] = []
        self._bad: dict[str, set[str]] = {}
        trials = self._look("trials")
        self._bad["trials"] = self._bad_trials(trials.loose) | self._bad_groups("trials", trials)
        for name in KEYS:
            look = self._look(name)
            loose = {part for part, found in read_each(self.root, name, look.loose) if self._is_bad(found)}
            self._bad[name] = loose | self._bad_groups(name, look)

    def _look(self, name: str, trials: Collection[str] | None = None) -> Look:
        look, bad = super()._look(name, trials), self._bad.get(name, set())
        return (
            Look([part for part in look.loose if part not in bad], look.packed.without(bad)) if bad else look
        )

    def _hear(self, name: str, group: str, error: DamagedError) -> None:
        if str(error) not in self.left_out:
            self.left_out.append(str(error))

    def _is_bad(self, found: Any) -> bool:
        if isinstance(found, DamagedError):
            self.left_out.append(str(found))
        return isinstance(found, DamagedError)

    def _bad_trials(self, loose: list[str]) -> set[str]:
        """Returns trials in files of their own of which one is damaged or missing."""
        bad, attempts = set(), {}
        for part, found in read_each(self.root, "trials", loose):
            if self._is_bad(found):
                bad.add(part)
            else:
                (row,) = found.select(KEY).to_pylist()
                attempts[attempt_name(row)] = part
        for name in BESIDE:
            there = self.root.files(name)
            for attempt in [attempt for attempt in attempts if f"{attempt}{SUFFIX}" not in there]:
                self.left_out.append(f"{self.root / part_file(name, attempt)}: is missing")
                bad.add(attempts.pop(attempt))
            for attempt, found in read_each(self.root, name, list(attempts)):
                if self._is_bad(found):
                    bad.add(attempts.pop(attempt))
        return bad

    def _bad_groups(self, name: str, look: Look) -> set[str]:
        """Returns what lies in files of many of which one is damaged or missing."""
        bad: set[str] = set()
        for group, rows in look.packed.groups():
            for table in ("trials", *BESIDE) if name == "trials" else (name,):
                try:
                    read_group(self.root, table, group, rows.spans(table))
                except (DamagedError, FileNotFoundError) as error:
                    said = str(error) if isinstance(error, DamagedError) else f"{error.filename}: is missing"
                    self.left_out.append(f"{said}; with it go {plural_rows(len(rows), name)}")
                    bad.update(rows.parts())
                    break
        return bad
