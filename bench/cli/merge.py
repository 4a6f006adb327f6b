"""`bench merge`: unites results. Heavy imports happen inside the command."""

import sys
from typing import TYPE_CHECKING

import click

from bench.cli.options import FOLDER, PLACE, results_option

if TYPE_CHECKING:
    from bench.results.place import Place

EPILOG = """\
Exit codes: 0 merged; 1 the runs contradict each other, nothing was written; 2 wrong command line, or the output lies
in a run; 4 results cannot be read or written, or nothing whole is left. See docs/sharing.md.
"""


@click.command(epilog=EPILOG)
@click.argument("sources", metavar="RUN...", type=PLACE, nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    required=True,
    help="Folder or URL of the union. What it holds already counts as one of the runs.",
)
@click.option(
    "--prefer",
    type=PLACE,
    metavar="RUN",
    help="The run whose word counts where it contradicts another one; by default nobody's does.",
)
@click.option(
    "--dry-run", is_flag=True, help="Say what would be merged, and what contradicts; write nothing."
)
@click.option(
    "--skip-damaged",
    is_flag=True,
    help="Leave out trials with damaged files, and say which; another run that has them whole stands in.",
)
@results_option
def merge(
    sources: tuple["Place", ...],
    output: "Place",
    prefer: "Place | None",
    dry_run: bool,
    skip_damaged: bool,
    results_root: "Place",
) -> None:
    """Unite the results of several runs into one place.

    RUN is a suite's folder or URL, its name, or a bundle of `bench export`. The same trial, made by the same code,
    must have the same numbers in all of them; where it has not, each contradiction is a line, and nothing is written.
    """
    from bench.cli.merge_command import merge_command

    sys.exit(merge_command(sources, output, prefer, dry_run, skip_damaged, results_root))
