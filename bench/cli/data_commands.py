"""What each command of `bench data` does: one call, one rendering. Imports no torch."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from bench.cli.commands import make_console, parse_roots
from bench.cli.data_report import say_report
from bench.cli.data_targets import Tasks, find_tasks, suite_lines
from bench.cli.progress import progress_bars
from bench.errors import BenchError, DataMissingError, SuiteError
from bench.words import plural
from medseg.data import index_dataset, resolve_root
from medseg.data.cache import cache_dir
from medseg.data.check import Report, Watch, check_dataset
from medseg.data.check.page import MOST_CASES, page
from medseg.data.check.summary import as_tree
from medseg.data.clean import Cleaned, clean
from medseg.data.draw import strip
from medseg.data.ensure import ensure_prepared
from medseg.data.guess_task import guess_task
from medseg.data.sheet import draw_sheet
from medseg.errors import DataError
from medseg.tasks import TaskSpec

MB = 1e6
UNFIT = 3
SHEET_ROWS, SHEET_COLUMNS = 8, 6


def check_command(
    target: str, data: tuple[str, ...], suite: Path | None, png: Path | None, html: Path | None, as_json: bool
) -> int:
    """Checks a data set and prints what was found; returns the exit code."""
    tasks = find_tasks(suite, parse_roots(data))
    with progress_bars() as watch:
        task, root, guessed = _target(target, tasks, watch)
        drawn = MOST_CASES if html else 0
        report = check_dataset(task, root, cache_dir(), strip if html else None, drawn, watch, tasks.beside)
    written = list(_written(report, png, html))
    if as_json:
        click.echo(json.dumps(as_tree(report), indent=2, ensure_ascii=False))
    else:
        use = suite_lines(task, root.resolve()) if guessed and report.dataset is not None else ""
        say_report(report, written, use, make_console())
    return UNFIT if report.problems else 0


def prepare_command(names: tuple[str, ...], data: tuple[str, ...], suite: Path | None) -> int:
    """Prepares the arrays of tasks; one that fails does not keep the others from it."""
    if not names and suite is None:
        raise SuiteError([(None, "name a task to prepare, or a suite by --suite")])
    tasks = find_tasks(suite, parse_roots(data))
    chosen = [tasks.task(name) for name in dict.fromkeys(names or tasks.known or ())]
    console = make_console()
    problems = []
    for task in chosen:
        try:
            line = _prepare(task, tasks)
        except DataError as error:
            text = str(error)
            problems.append(text if task.name in text else f"{task.name}: {text}")
        else:
            console.print(line, soft_wrap=True, highlight=False, markup=False)
    if problems:
        raise DataMissingError("\n".join(problems))
    return 0


def clean_command(everything: bool, dry_run: bool) -> int:
    """Frees the cache and says what went."""
    console = make_console()
    cache = cache_dir()
    freed, files = 0, dict[Path, list[Cleaned]]()
    for item in clean(cache, everything, dry_run):
        freed += 0 if item.kept else item.size_bytes
        if item.path.suffix == ".json" and not item.kept:
            files.setdefault(item.path.parent, []).append(item)
        else:
            what = f"kept, {item.kept}" if item.kept else _megabytes(item.size_bytes)
            console.print(f"{item.path}: {what}", soft_wrap=True, highlight=False, markup=False)
    for folder, items in files.items():
        size = _megabytes(sum(item.size_bytes for item in items))
        console.print(f"{folder}: {len(items)} files, {size}", soft_wrap=True, highlight=False, markup=False)
    verb = "would free" if dry_run else "freed"
    console.print(f"{verb} {_megabytes(freed)} in {cache}", soft_wrap=True, highlight=False, markup=False)
    return 0


def _target(target: str, tasks: Tasks, watch: Watch) -> tuple[TaskSpec, Path, bool]:
    """Returns the task, its folder, and whether the task was made up."""
    path = Path(target).expanduser()
    if tasks.known is None and not tasks.has(target) and path.is_dir():
        task = guess_task(path, cache_dir(), lambda done, total: watch("files", done, total))
        return task, resolve_root(task, {task.dataset: path}, cache_dir()), True
    kind = "a file" if path.is_file() else "no folder"
    task = tasks.task(target, hint=f", and {kind} of that name" if tasks.known is None else "")
    return task, resolve_root(task, tasks.roots, cache_dir()), False


def _prepare(task: TaskSpec, tasks: Tasks) -> str:
    cache = cache_dir()
    root = resolve_root(task, tasks.roots, cache)
    with progress_bars(f"{task.name}: ") as watch:
        dataset = index_dataset(
            task, root, cache, lambda done, total: watch("files", done, total), tasks.beside
        )
        done = ensure_prepared(task, dataset, cache, lambda done, total: watch("cases", done, total))
    how = {"verified": "already prepared, verified", "made": "", "made anew": "was damaged, made anew"}[
        done.how
    ]
    facts = [
        plural(len(dataset.cases), "case"),
        plural(len(done.prepared.labels), "slice"),
        _megabytes(done.size_bytes),
        f"{done.wall_s:.1f} s",
        how,
    ]
    return f"{task.name}: {', '.join(fact for fact in facts if fact)}: {done.prepared.path}"


def _written(report: Report, png: Path | None, html: Path | None) -> Iterator[str]:
    """Writes what was asked for; yields a line about each file."""
    if html is not None:
        _write(html, page(report).encode())
        yield f"written: {html}"
    readable = tuple(item.case for item in report.facts if item.intensities and item.pixels)
    if png is not None and report.dataset is not None and readable:
        dataset = replace(report.dataset, cases=readable)
        _write(png, draw_sheet(report.task, dataset, SHEET_ROWS, SHEET_COLUMNS))
        yield f"written: {png}"
    elif png is not None:
        yield f"not written: {png}, there is no case to draw"


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UnwritableError(f"cannot write {path}: {error.strerror or error}") from error


class UnwritableError(BenchError):
    """A file that the command line asks for cannot be written."""


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / MB:,.1f} MB"
