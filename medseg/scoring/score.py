"""Scores systems: finds their files, measures every case of every system, and returns a row per value."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from medseg.errors import DataError
from medseg.metrics import METRICS
from medseg.scoring.files import LabelFile, case_ids, find_predictions, find_references
from medseg.scoring.judge import (
    Result,
    absent_notes,
    background_notes,
    judged,
    known_values,
    warning_notes,
    with_diagonals,
)
from medseg.scoring.measure import Protocol, measure
from medseg.scoring.pairs import Pair, Pairing, extra_message, pair
from medseg.scoring.patients import Owner, owners
from medseg.scoring.pool import map_cases
from medseg.scoring.request import Request, make_protocol

Row = dict[str, Any]
Check = Callable[[Protocol, Sequence[Path]], None]
Watch = Callable[[str, int, int], None]

COLUMNS = (
    *("system", "case", "patient", "subgroup", "phase"),
    *("label", "metric", "definition", "value", "status", "unit", "diagonal", "note"),
)


@dataclass(frozen=True)
class Scored:
    """What was measured.

    Args:
        rows: One per system, case, label and metric, with `COLUMNS`; a case that could not be measured has rows
            ``missing`` or ``failed`` with the reason as their note.
        protocol: How it was measured.
        problems: ``case: reason`` of those by system, with the system before it where there are several. A system
            without any is not there.
        notes: What a reader should know.
    """

    rows: list[Row]
    protocol: Protocol
    problems: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]


def score(
    reference: Path,
    systems: Mapping[str, Path],
    request: Request,
    check: Check = lambda protocol, references: None,
    watch: Watch = lambda stage, done, total: None,
) -> Scored:
    """Scores the predictions of one or several systems.

    A script calls it below ``if __name__ == "__main__"``, or with one process: others import the script.

    Args:
        reference: Folder of the references, or one file.
        systems: Folder of the predictions, or one file, by name.
        request: What is wanted.
        check: Told the protocol and the references before anything is measured; raises what it will.
        watch: Told a stage, and how many files of how many are done.

    Raises:
        DataError: If folders are missing or empty, files cannot be paired, the references hold other
            values than the labels, or cases cannot be assigned to patients.
    """
    found, notes = find_references(reference)
    references = case_ids(found)
    owner, more = owners(references, request.groups, request.patient_pattern)
    pairings = {name: _paired(reference, references, root, request) for name, root in systems.items()}
    files = [file.path for file in references.values()]
    protocol = make_protocol(files, request, partial(watch, "references"))
    check(protocol, files)
    results = [
        result for name in systems for result in _measured(protocol, name, pairings[name], request, watch)
    ]
    known = known_values(protocol, request.background, results)
    absent = absent_notes(protocol, results)
    results = [judged(protocol, result, known) for result in with_diagonals(results)]
    named = len(systems) > 1
    notes += [*more, *_left_out(pairings, systems)]
    notes += [*absent, *background_notes(protocol, request.background, known), *warning_notes(results, named)]
    rows = [row for result in results for row in _rows(protocol, owner[result.pair.case], result)]
    return Scored(rows, protocol, _problems(results, named), tuple(notes))


def _problems(results: Sequence[Result], named: bool) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for result in results:
        if result.measured.problem:
            found.setdefault(result.system, []).append(f"{result.where(named)}: {result.measured.problem}")
    return {system: tuple(lines) for system, lines in found.items()}


def _paired(reference: Path, references: Mapping[str, LabelFile], root: Path, request: Request) -> Pairing:
    predictions = find_predictions(root)
    if reference.is_file() and root.is_file():
        return Pairing(tuple(Pair(case, file.path, root) for case, file in references.items()), ())
    found = pair(references, predictions)
    matched = any(one.prediction for one in found.pairs)
    if found.extra and not (request.ignore_extra and matched):
        hint = "; --extra ignore leaves them out" if matched else ""
        raise DataError(f"{extra_message(found.extra, root, references.values())}{hint}")
    return found


def _left_out(pairings: Mapping[str, Pairing], systems: Mapping[str, Path]) -> list[str]:
    return [
        f"{systems[name]}: left out {len(pairing.extra)} without a reference, e.g. {pairing.extra[0].name}"
        for name, pairing in pairings.items()
        if pairing.extra
    ]


def _measured(
    protocol: Protocol, system: str, pairing: Pairing, request: Request, watch: Watch
) -> Iterator[Result]:
    pairs = pairing.pairs
    with closing(map_cases(partial(measure, protocol), pairs, request.processes)) as measured:
        for done, (one, found) in enumerate(zip(pairs, measured, strict=True), start=1):
            watch(system, done, len(pairs))
            yield Result(system, one, found)


def _rows(protocol: Protocol, owner: Owner, result: Result) -> list[Row]:
    units = {name: METRICS.load(name).unit(protocol.unit) for name in protocol.metrics}
    return [
        {
            "system": result.system,
            "case": result.pair.case,
            "patient": owner.patient,
            "subgroup": owner.subgroup,
            "phase": owner.phase,
            "label": value.label,
            "metric": value.metric,
            "definition": value.definition,
            "value": value.value,
            "status": value.status,
            "unit": units[value.metric],
            "diagonal": result.measured.diagonal,
            "note": result.measured.problem or result.measured.warning,
        }
        for value in result.measured.values
    ]
