"""What `bench export` does: one call, one rendering. Imports neither torch nor Ray."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.cli.commands import make_console
from bench.cli.progress import progress_bars
from bench.errors import BenchError
from bench.results.export import Exported, check_not_deidentified, export
from bench.results.find import find_results
from bench.results.known_names import LEAST_DIGITS, LEAST_LETTERS
from bench.results.place import Place
from bench.results.pseudonyms import Pseudonyms, read_salt, salt_warning
from bench.results.store import Store
from bench.words import plural, plural_rows


def export_command(
    results: Place | None,
    results_root: Place,
    output: Path,
    style: Any,
    deidentify: bool,
    salt_file: Path | None,
    allow: tuple[str, ...],
) -> int:
    """Exports results and says what was written.

    Raises:
        BenchError: If options do not go together.
    """
    if not deidentify and (salt_file is not None or allow):
        raise BenchError("--salt-file and --allow go with --deidentify")
    store = Store(find_results(results, results_root))
    pseudonyms = None
    if deidentify:
        # Before a salt is made that nothing needs.
        check_not_deidentified(store)
        pseudonyms = Pseudonyms() if salt_file is None else Pseudonyms(read_salt(salt_file))
    with progress_bars() as bars:
        done = export(store, output, style, pseudonyms, allow, lambda n, of: bars("exporting", n, of))
    lines = [f"Wrote {_counted(done.rows)} to {output}."]
    if style == "bundle":
        with output.open("rb") as stream:
            lines.append(f"SHA-256 {hashlib.file_digest(stream, 'sha256').hexdigest()}")
    if deidentify:
        lines += _looked(done, salt_file)
    elif done.deidentified:
        lines.append("It is de-identified, as what it was made of: it has no more names than that.")
    else:
        lines.append("It holds names of cases, patients and hosts as they are; --deidentify takes them out.")
    for line in lines:
        make_console().print(line, soft_wrap=True, highlight=False, markup=False)
    return 0


def _looked(done: Exported, salt_file: Path | None) -> list[str]:
    """Says what a look through de-identified results is worth."""
    lines = [
        f"De-identified and looked through: {'nothing' if not done.allowed else 'nothing else'} was found."
    ]
    if done.allowed:
        passed = ", ".join(f"{find.word} ({plural(len(find.places), 'place')})" for find in done.allowed)
        lines.insert(0, f"Allowed: {passed}.")
    lines.append(_known(done))
    if done.short:
        lines.append(
            f"{plural(done.short, 'name is', 'names are')} too short or too common to be looked for (fewer than "
            f"{LEAST_LETTERS} letters or {LEAST_DIGITS} digits)."
        )
    if salt_file is None:
        return [*lines, "The salt is thrown away."]
    warning = salt_warning(salt_file)
    return [*lines, f"The salt is in {salt_file}; keep it secret.", *([warning] if warning else [])]


def _known(done: Exported) -> str:
    """Says whose names the check knows: those who were only trained on have no rows."""
    cannot = "it cannot find the names of {}, which were only trained on"
    if done.patients is None:
        known = f"{plural(done.known, 'patient is', 'patients are')} known to this check"
        return f"{known}, of how many the suite does not say; {cannot.format('others')}."
    total = max(done.known, done.patients)
    known = f"{done.known:,} of {plural(total, 'patient is', 'patients are')} known to this check"
    return f"{known}; {cannot.format('the others')}." if done.known < total else f"{known}."


def _counted(rows: Mapping[str, int]) -> str:
    return ", ".join(plural_rows(count, name) for name, count in rows.items() if count)
