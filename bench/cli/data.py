"""`bench data`: look at data before anything is trained on them, prepare them, and free the cache."""

import sys
from pathlib import Path

import click

from bench.cli.options import data_option

suite_option = click.option(
    "--suite",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Use the tasks as this suite defines them.",
)


@click.group()
def data() -> None:
    """Check, prepare and clean up data."""


@data.command()
@click.argument("target", metavar="TASK|PATH")
@data_option
@suite_option
@click.option(
    "--png", type=click.Path(path_type=Path, dir_okay=False), help="Draw a contact sheet with the labels."
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write tables, findings and pictures as a page.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def check(
    target: str,
    data: tuple[str, ...],
    suite: Path | None,
    png: Path | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Read everything once and list all that is wrong.

    TASK is a task's name (`bench list tasks`), or one of the suite. For a PATH the layout is found out, and the lines
    that a suite needs to use it are printed. Exit code 3 if anything must be mended.
    """
    from bench.cli.data_commands import check_command

    sys.exit(check_command(target, data, suite, png, html, as_json))


@data.command()
@click.argument("tasks", metavar="[TASK]...", nargs=-1)
@data_option
@suite_option
def prepare(tasks: tuple[str, ...], data: tuple[str, ...], suite: Path | None) -> None:
    """Make the arrays of tasks, or of all tasks of a suite, before a run needs them."""
    from bench.cli.data_commands import prepare_command

    sys.exit(prepare_command(tasks, data, suite))


@data.command()
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Also generated data sets, facts about files, and answers about models.",
)
@click.option("--dry-run", is_flag=True, help="Remove nothing; say what would go.")
def clean(everything: bool, dry_run: bool) -> None:
    """Remove prepared arrays and half-made leftovers from the cache.

    All of it is made again when it is needed. Trials that are running keep what they have open.
    """
    from bench.cli.data_commands import clean_command

    sys.exit(clean_command(everything, dry_run))
