"""`bench compact`: gathers results into few files. Heavy imports happen inside the command."""

import sys
from typing import TYPE_CHECKING

import click

from bench.cli.options import PLACE, results_option

if TYPE_CHECKING:
    from bench.results.place import Place


@click.command(
    epilog="Exit codes: 0 done; 1 something is damaged and stays where it is; 4 in use or not writable."
)
@click.argument("results", type=PLACE, required=False)
@results_option
def compact(results: "Place | None", results_root: "Place") -> None:
    """Gather the files of many trials into few, so that results open quickly.

    RESULTS is a suite's folder or URL; the newest by default. `bench run` does it by itself from 1,000 trials on.
    """
    from bench.cli.compact_command import compact_command

    sys.exit(compact_command(results, results_root))
