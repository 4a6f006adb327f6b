"""What `bench score` does: one call, one rendering. Imports no torch."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from bench.cli.progress import progress_bars
from bench.cli.score_options import (
    check_tolerance,
    parse_labels,
    parse_metrics,
    parse_spacing,
    parse_systems,
    parse_tolerance,
)
from bench.cli.score_output import check_output, print_json, print_tables, write_rows
from bench.errors import BenchError
from medseg.errors import RegistryError, UnknownNameError
from medseg.metrics import METRICS
from medseg.scoring.files import printable
from medseg.scoring.measure import Protocol, Unit
from medseg.scoring.request import Request, flat_reference, unspaced_reference
from medseg.scoring.score import Scored, score
from medseg.tasks import TASKS, TaskSpec

DEFAULT_METRICS = ("dice", "iou", "hd95", "assd", "nsd", "sensitivity", "precision")
"""Measured where neither metrics nor a task are named; nsd if a tolerance is given."""
MOST_REASONS = 5
MOST_OF_EACH = 2
"""Reasons of each system, where there are several."""
VOLUME = "reference_volume_ml"
NO_PHASES = (
    "no ejection fractions: no phases known; --groups with a column phase, or names that end in _ED and _ES"
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was typed, as text."""

    task: str | None
    labels: str | None
    metrics: str | None
    tolerance: str | None
    spacing_mm: str | None
    groups: Path | None
    patient_pattern: str | None
    ignore_extra: bool
    processes: int | None


def score_command(
    reference: Path,
    predictions: tuple[str, ...],
    asked: Asked,
    policy: Any,
    as_json: bool,
    output: Path | None,
) -> int:
    """Scores predictions and prints tables or rows; returns the exit code."""
    if output is not None:
        check_output(output)
    systems = parse_systems(predictions)
    task = _task(asked.task)
    request = _request(asked, task)
    with _orderly_end(), progress_bars() as watch:
        scored = score(reference.expanduser(), systems, request, check_protocol, watch)
    if output is not None:
        write_rows(output, scored.rows)
    if as_json:
        print_json(scored, several=len(systems) > 1)
    else:
        print_tables(scored, list(systems), task, policy)
    _say([*_reasons(scored), *scored.notes, *_no_phases(scored, task)], Console(stderr=as_json))
    return 1 if scored.problems else 0


def check_protocol(protocol: Protocol, references: Sequence[Path]) -> None:
    """Refuses what cannot be measured, before anything is.

    Raises:
        BenchError: If a metric needs a tolerance, probabilities, millimetres or volumes that there are not, or the
            spacing has not one number per axis.
    """
    given = protocol.spacing_mm
    if given is not None and (other := unspaced_reference(references, given)):
        path, axes = other
        raise BenchError(
            f"--spacing-mm: {path} has {axes} axes: expected 1 or {axes} numbers, got {len(given)}"
        )
    check_tolerance(protocol.tolerance_mm, tuple(protocol.labels))
    for name in protocol.metrics:
        spec = METRICS.load(name)
        if spec.needs_probabilities:
            raise BenchError(f"--metrics: {name} needs probabilities, which label files do not hold")
        if spec.quantity == "volume" and protocol.unit != "mm":
            raise BenchError(f"--metrics: {name} is a volume and needs millimetres: give --spacing-mm")
        if spec.quantity == "volume" and (flat := flat_reference(references)):
            raise BenchError(
                f"--metrics: {name} is a volume, and {flat} has two axes; name metrics without it"
            )
    try:
        protocol.unmeasured("missing")
    except ValueError as error:
        raise BenchError(f"--tolerance-mm: {error}") from error


def _task(name: str | None) -> TaskSpec | None:
    if name is None:
        return None
    try:
        task: TaskSpec = TASKS.load(name)
    except (UnknownNameError, RegistryError) as error:
        raise BenchError(f"--task: {error}") from error
    return task


def _request(asked: Asked, task: TaskSpec | None) -> Request:
    if task is not None and asked.labels is not None:
        raise BenchError("--labels and --task exclude each other: a task has labels")
    tolerance = parse_tolerance(asked.tolerance) if asked.tolerance else None
    spacing = parse_spacing(asked.spacing_mm) if asked.spacing_mm else None
    request = Request(
        metrics=(),
        labels=parse_labels(asked.labels) if asked.labels else None,
        spacing_mm=spacing,
        tolerance_mm=tolerance,
        groups=asked.groups,
        patient_pattern=_pattern(asked.patient_pattern),
        ignore_extra=asked.ignore_extra,
        processes=asked.processes,
    )
    if task is not None:
        request = _of_task(request, task)
    named = parse_metrics(asked.metrics) if asked.metrics else None
    return replace(request, metrics=named or _default_metrics(request, task))


def _of_task(request: Request, task: TaskSpec) -> Request:
    """Fills in what a task says and nobody typed."""
    unit: Unit = "mm" if request.spacing_mm else task.unit
    # A tolerance in pixels is none in millimetres.
    declared = task.tolerances() if unit == task.unit else None
    return replace(
        request,
        labels=task.labels,
        background=task.background,
        unit=unit,
        spacing_mm=request.spacing_mm or task.file_spacing_mm,
        tolerance_mm=declared if request.tolerance_mm is None else request.tolerance_mm,
        soft=task.format == "covid_radiography",
        patient_pattern=request.patient_pattern or (None if request.groups else task.patient_pattern),
    )


def _default_metrics(request: Request, task: TaskSpec | None) -> tuple[str, ...]:
    """Returns the task's metrics, or the usual ones, without those that lack a tolerance or probabilities."""
    names = task.metrics if task is not None else DEFAULT_METRICS
    specs = {name: METRICS.load(name) for name in names}
    return tuple(
        name
        for name, spec in specs.items()
        if not spec.needs_probabilities and not (spec.needs_tolerance and request.tolerance_mm is None)
    )


def _pattern(text: str | None) -> str | None:
    if text is None:
        return None
    import re

    try:
        groups = re.compile(text).groups
    except re.error as error:
        raise BenchError(f"--patient-pattern: no regular expression: {error}") from error
    if groups < 1:
        raise BenchError(f"--patient-pattern {text}: needs a group in parentheses that is the patient")
    return text


@contextmanager
def _orderly_end() -> Iterator[None]:
    """Takes SIGTERM for Ctrl-C meanwhile: workers are ended, and the exit code says so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _reasons(scored: Scored) -> list[str]:
    """Returns why the first cases failed, of each system some."""
    systems = {row["system"] for row in scored.rows}
    most = MOST_REASONS if len(systems) == 1 else MOST_OF_EACH
    lines = [line for problems in scored.problems.values() for line in problems[:most]]
    left = sum(map(len, scored.problems.values())) - len(lines)
    return [*lines, f"and {left} other cases: column note of -o"] if left else lines


def _no_phases(scored: Scored, task: TaskSpec | None) -> list[str]:
    """Says why there are no ejection fractions, of a task that has some."""
    if task is None or not task.cavities or VOLUME not in scored.protocol.metrics:
        return []
    return [] if any(row["phase"] for row in scored.rows) else [NO_PHASES]


def _say(lines: Sequence[str], console: Console) -> None:
    """Says what failed and what was assumed."""
    for line in lines:
        click.echo(printable(line), err=console.stderr)
