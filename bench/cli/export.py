"""`bench export`: writes results for others. Heavy imports happen inside the command."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.options import PLACE, read_local, results_option

if TYPE_CHECKING:
    from bench.results.place import Place

EPILOG = (
    "See docs/sharing.md for what each format holds, and for what --deidentify takes out and what it cannot."
)


@click.command(epilog=EPILOG)
@click.argument("results", metavar="[RUN]", type=PLACE, required=False)
@results_option
@click.option(
    "-o",
    "--output",
    callback=read_local,
    metavar="PATH",
    required=True,
    help="Folder, or file of a bundle. It must not be there yet.",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(["csv", "parquet", "bundle"]),
    required=True,
    help="A CSV file per table, results as a folder of Parquet, or all in one file that `bench leaderboard` opens.",
)
@click.option(
    "--deidentify",
    is_flag=True,
    help="Replace names of cases and patients, take out paths, host names and texts, and look through the result.",
)
@click.option(
    "--salt-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Secret behind the new names, made if it is not there. With the same one names are the same again; by "
    "default it is thrown away.",
)
@click.option(
    "--allow",
    multiple=True,
    metavar="TEXT",
    help="A word that the look through the result may find; may be repeated.",
)
def export(
    results: "Place | None",
    results_root: "Place",
    output: Path,
    style: str,
    deidentify: bool,
    salt_file: Path | None,
    allow: tuple[str, ...],
) -> None:
    """Write results for others: tables, or a frozen bundle.

    RUN is a suite's folder or URL, its name, or a bundle; the newest run by default.
    """
    from bench.cli.export_command import export_command

    sys.exit(export_command(results, results_root, output, style, deidentify, salt_file, allow))
