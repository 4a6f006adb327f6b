"""What one trial says on the terminal: a line per epoch, then a table, what it cost, and where the files are."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from medseg.metrics import METRICS
from medseg.training import launch
from medseg.training.config import TrialSpec
from medseg.training.outcome import Epoch, TrialResult
from medseg.training.rows import TrialFolder

WIDTH_WITHOUT_TERMINAL = 120
# More metrics than fit side by side are listed one below the other.
MOST_COLUMNS = 6
COUNTS = ("empty", "missed", "failed")
COLUMNS = "{:>9}  {:>8}  {:>9}  {:>9}  {:>8}  {:>8}  {:>9}  {:>8}"
COST = (
    (
        ("steps", "{:,} steps"),
        ("best_epoch", "best epoch {}"),
        ("wall_s", "{:.1f} s"),
        ("samples_per_s", "{:.0f} samples/s"),
        ("data_share", "data {:.0%}"),
        ("compute_share", "compute {:.0%}"),
        ("validation_share", "validation {:.0%}"),
        ("peak_memory_mb", "peak memory {:,.0f} MB"),
        ("energy_j", "{:,.0f} J"),
        ("case_s", "{:.2g} s to predict a case"),
    ),
    (
        ("parameters", "{:,} parameters"),
        ("gmacs", "{:.3g} GMACs per image"),
        ("device", "{}"),
        ("precision", "{}"),
        ("batch_size", "batch {}"),
    ),
)
"""Lines of what a trial cost: keys of its summary, and how they read."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Goes on in silence: who reads us has seen enough, the trial has not."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Report:
    """Prints a trial; only the first of its processes says anything.

    Args:
        spec: The trial.
        out: Its folder.
        quiet: Print the result only.
        as_json: Print one JSON object at the end and nothing else.
    """

    def __init__(self, spec: TrialSpec, out: Path, quiet: bool, as_json: bool):
        self._spec, self._folder, self._quiet, self._as_json = spec, TrialFolder(out), quiet, as_json
        self._before: Epoch | None = None
        self._console = _Console()
        if not self._console.is_terminal and "COLUMNS" not in os.environ:
            self._console = _Console(width=WIDTH_WITHOUT_TERMINAL)

    def epoch(self, epoch: Epoch) -> None:
        """Prints a line about an epoch."""
        before, self._before = self._before, epoch
        if self._quiet or self._as_json:
            return
        train = self._spec.train
        if before is None:
            score = self._spec.task.selection_metric
            head = ("epoch", "step", "loss", "rate", score, "best", "samples/s", "elapsed")
            self._line(COLUMNS.format(*head), "dim")
        cells = (
            f"{epoch.epoch}/{train.epochs}",
            f"{epoch.step}",
            f"{epoch.train_loss:.4f}",
            f"{epoch.learning_rate:.2e}",
            f"{epoch.score:.4f}",
            f"{epoch.best_score:.4f}",
            f"{epoch.samples_per_s:.0f}",
            _clock(epoch.wall_s),
        )
        better = before is None or epoch.best_score > before.best_score
        self._line(COLUMNS.format(*cells), "bold" if better else "")

    def ended(self, status: str, detail: str) -> None:
        """Says how a trial ended that has no result."""
        if self._as_json and launch.rank() == 0:
            click.echo(json.dumps({"out": str(self._folder.root), "status": status, "detail": detail}))
        else:
            who = f"rank {launch.rank()}: " if launch.rank() else ""
            click.echo(f"{who}{status}: {detail}", err=True)

    def result(self, result: TrialResult) -> None:
        """Prints what a trial left, from its folder."""
        if launch.rank() != 0:
            if result.status == "oom":
                self.ended(result.status, result.detail)
            return
        record = self._folder.read() or {}
        if self._as_json:
            click.echo(json.dumps({"out": str(self._folder.root), **record}, indent=1, allow_nan=False))
            return
        if result.status != "complete":
            more = {"interrupted": "the same command goes on", "timeout": "the same command goes on"}
            hint = f"; {more[result.status]}" if result.status in more else ""
            self._line(f"{result.status}: {result.detail}{hint}", "red")
        else:
            if self._before is not None and not self._quiet:
                self._console.print()
            self._console.print(_table(record["scores"]))
            self._console.print()
        for line in _cost(record["summary"]):
            self._line(line)
        self._line(f"files in {self._folder.root}: {', '.join(self._files())}")

    def _files(self) -> Iterator[str]:
        folder = self._folder
        for path in (folder.record, folder.cases, folder.curves, folder.weights, folder.checkpoint):
            if path.exists():
                yield path.name
        if folder.predictions.is_dir():
            yield f"{folder.predictions.name}/"

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(text, style=style, soft_wrap=True, highlight=False, markup=False)


def _table(scores: list[Mapping[str, Any]]) -> Table:
    """The means over patients: a column per metric, or where those are many a row per metric."""
    units = {row["metric"]: row["unit"] for row in scores}
    titles = {name: METRICS.load(name).title + (f" ({unit})" if unit else "") for name, unit in units.items()}
    if len(titles) > MOST_COLUMNS:
        return _grid(scores, "metric", "label", titles)
    return _grid(scores, "label", "metric", titles)


def _grid(scores: list[Mapping[str, Any]], down: str, across: str, titles: Mapping[str, str]) -> Table:
    """One row per part and value of `down`, one column per value of `across`."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("part", no_wrap=True)
    table.add_column(down, no_wrap=True)
    columns = list(dict.fromkeys(row[across] for row in scores))
    for column in columns:
        table.add_column(titles.get(column, column), justify="right")
    for name in ("patients", *COUNTS):
        table.add_column(name, justify="right")
    groups: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for row in scores:
        groups.setdefault((row["part"], row[down]), {})[row[across]] = row
    for (part, name), rows in groups.items():
        cells = [_mean(rows.get(column)) for column in columns]
        patients = [row["patients"] for row in rows.values()]
        few, most = min(patients), max(patients)
        # Metrics of one label share its counts; labels have their own.
        add = sum if across == "label" else max
        counts = [str(add(row.get(count, 0) for row in rows.values())) for count in COUNTS]
        table.add_row(
            part, titles.get(name, name), *cells, str(most) if few == most else f"{few} to {most}", *counts
        )
    return table


def _mean(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    if row["mean"] is None:
        return "–"
    return f"{row['mean']:.2f}" if row["unit"] else f"{row['mean']:.4f}"


def _cost(summary: Mapping[str, Any]) -> Iterator[str]:
    """What it took; what nobody measured is left out."""
    for parts in COST:
        known = [form.format(summary[name]) for name, form in parts if summary.get(name) is not None]
        if known:
            yield ", ".join(known)
    if (summary.get("processes") or 1) > 1:
        yield f"{summary['processes']} processes"
    for note in filter(None, (summary.get("notes") or "").split("; ")):
        yield f"note: {note}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
