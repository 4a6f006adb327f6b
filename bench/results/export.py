"""Writes results for others: as CSV, as Parquet, or as a bundle; with names that identify nobody, if asked for."""

import json
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.errors import ResultsError
from bench.results.archive import write_archive
from bench.results.bundle import README, environment, manifest
from bench.results.deidentify import deidentify_suite, deidentify_table
from bench.results.files import TEMPORARY
from bench.results.known_names import machine_names, make_known_names
from bench.results.pseudonyms import ALREADY, SALT_MARK, Pseudonyms
from bench.results.roster import Roster
from bench.results.scan import Find, scan
from bench.results.schema import TABLES
from bench.results.sheets import CsvSheets, ParquetSheets, Sheets
from bench.results.store import SUITE_FILE, Store
from bench.results.transfer import trial_batches

Style = Literal["csv", "parquet", "bundle"]
Watch = Callable[[int, int], object]


@dataclass
class Exported:
    """What was written.

    Args:
        rows: By table, how many.
        names: Of cases, patients and hosts that the results hold.
        deidentified: Whether it holds no names: they were taken out now or before.
        known: How many patients' names were looked for.
        patients: How many patients there are; none where the suite does not say.
        short: How many names were too short or too common to be looked for.
        allowed: What was found and allowed.
    """

    rows: Counter[str] = field(default_factory=Counter)
    names: set[str] = field(default_factory=set)
    deidentified: bool = False
    known: int = 0
    patients: int | None = None
    short: int = 0
    allowed: tuple[Find, ...] = ()


def is_deidentified(store: Store) -> bool:
    """Says whether names were taken out of some results; errors as in `Store.read_suite`."""
    return bool((store.read_suite() or {}).get(SALT_MARK))


def check_not_deidentified(store: Store) -> None:
    """Refuses to take names out twice: one patient would have two when results are merged.

    Raises:
        ResultsError: If they were taken out before.
    """
    if is_deidentified(store):
        raise ResultsError(f"{store.root}: these results are de-identified already; {ALREADY}")


def export(
    store: Store,
    out: Path,
    style: Style,
    pseudonyms: Pseudonyms | None = None,
    allowed: Collection[str] = (),
    watch: Watch = lambda done, total: None,
) -> Exported:
    """Writes all tables of some results and their suite.

    Args:
        store: Results; a run may go on meanwhile.
        out: Folder, or file of a bundle; it must not be there, or be an empty folder.
        style: Format.
        pseudonyms: Takes out what may identify; what was written is then looked through. None: results as they are.
        allowed: Texts that may be there nonetheless.
        watch: Told how many trials are done, and how many there are.

    Raises:
        ResultsError: If there is something already, results cannot be read or are de-identified already, the place
            cannot be written, or something was found that may identify. Nothing is left behind then.
    """
    _check_free(out, style)
    if pseudonyms is not None:
        check_not_deidentified(store)
    draft = out.absolute().parent / f"{TEMPORARY}{secrets.token_hex(6)}-{out.stem}"
    try:
        draft.mkdir(parents=True)
        sheets = CsvSheets(draft) if style == "csv" else ParquetSheets(draft)
        roster = Roster(store.read_suite() or {})
        done = _write(store, sheets, pseudonyms, roster, watch)
        suite = _write_suite(roster.suite, draft, pseudonyms)
        done.deidentified = SALT_MARK in suite
        if style == "bundle":
            (draft / "environment.json").write_text(_json(environment(Store(draft))), encoding="utf-8")
            (draft / "README.md").write_text(README, encoding="utf-8")
        if pseudonyms is not None:
            _look_through(draft, done, roster, allowed)
        if style == "bundle":
            write_archive(out, draft, manifest(suite, done.rows, done.deidentified))
        else:
            os.replace(draft, out)
    except OSError as error:
        raise ResultsError(f"{out}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return done


def _check_free(out: Path, style: Style) -> None:
    if style != "bundle" and out.is_dir() and not any(out.iterdir()):
        return
    if out.exists():
        raise ResultsError(f"{out}: is there already; choose another name, or remove it first")


def _write(
    store: Store, sheets: Sheets, pseudonyms: Pseudonyms | None, roster: Roster, watch: Watch
) -> Exported:
    done = Exported()
    with sheets:
        for tables in _tables(store, watch):
            _note(done, roster, tables)
            if pseudonyms is not None:
                tables = {name: deidentify_table(name, rows, pseudonyms) for name, rows in tables.items()}
            sheets.add(tables)
    return done


def _tables(store: Store, watch: Watch) -> Iterator[dict[str, Any]]:
    """Yields what is to be written together: a few trials with their rows, then the other tables."""
    yield from trial_batches(store, watch)
    others = [name for name in TABLES if name not in ("trials", "cases", "curves")]
    yield {name: store.table(name) for name in others}


def _note(done: Exported, roster: Roster, tables: dict[str, Any]) -> None:
    if "cases" in tables:
        roster.add(tables["trials"], tables["cases"])
    for name, table in tables.items():
        done.rows[name] += len(table)
        for column in ("case", "patient", "node"):
            if column in table.column_names:
                done.names.update(word for word in table[column].unique().to_pylist() if word)


def _write_suite(planned: Mapping[str, Any], draft: Path, pseudonyms: Pseudonyms | None) -> Mapping[str, Any]:
    suite = planned if pseudonyms is None else deidentify_suite(planned, pseudonyms)
    (draft / SUITE_FILE).write_text(_json(suite), encoding="utf-8")
    return suite


def _json(tree: Any) -> str:
    return json.dumps(tree, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _look_through(draft: Path, done: Exported, roster: Roster, allowed: Collection[str]) -> None:
    names = {*done.names, *roster.listed}
    found = scan(draft, make_known_names({*names, *machine_names()}), allowed)
    if found.finds:
        raise ResultsError(
            "nothing was written, since the check of what was to be shared found what may identify:\n"
            + "\n".join(f"  {find}" for find in found.finds)
            + "\nSay --allow TEXT for each that is harmless"
        )
    done.known, done.patients = roster.known, roster.total
    done.short, done.allowed = make_known_names(names).short, found.allowed
