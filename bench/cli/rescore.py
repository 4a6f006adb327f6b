"""`bench rescore`: measures kept predictions again. Heavy imports happen inside the command."""

import sys
from typing import TYPE_CHECKING

import click

from bench.cli.options import (
    PLACE,
    data_option,
    jobs_option,
    metrics_option,
    results_option,
    tolerance_option,
)

if TYPE_CHECKING:
    from bench.results.place import Place


@click.command(epilog="See docs/scoring.md.")
@click.argument("results", metavar="RUN", type=PLACE)
@results_option
@data_option
@metrics_option
@tolerance_option
@click.option("--dry-run", is_flag=True, help="Say what would be added, and add nothing.")
@jobs_option
def rescore(
    results: "Place",
    results_root: "Place",
    data: tuple[str, ...],
    metrics: str | None,
    tolerance: str | None,
    dry_run: bool,
    jobs: int | None,
) -> None:
    """Measure the kept predictions of a run again, without training.

    RUN is a suite's folder or URL, or its name. Values of new metrics and definitions are added beside those that
    are there.
    """
    from bench.cli.rescore_command import rescore_command

    sys.exit(rescore_command(results, results_root, data, metrics, tolerance, dry_run, jobs))
