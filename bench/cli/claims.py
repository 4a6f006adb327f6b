"""`bench claims`: answers what a suite claimed. Heavy imports happen inside the command."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.options import PLACE, results_option

if TYPE_CHECKING:
    from bench.results.place import Place

EPILOG = """\
Exit codes with --check: 0 every claim is supported; 1 one is refuted or practically equivalent, or was written down,
changed or dropped when its results were there; 7 none is, but one is undecided, or nothing is claimed. See
docs/claims.md.
"""

format_option = click.option(
    "--format",
    "style",
    type=click.Choice(["rich", "md", "json"]),
    default="rich",
    show_default=True,
    help="How to print it.",
)
output_option = click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file."
)


@click.command(epilog=EPILOG)
@click.argument("results", type=PLACE, required=False)
@results_option
@format_option
@output_option
@click.option("--check", is_flag=True, help="End with an exit code that says what the answers are.")
@click.option(
    "--allow-late",
    is_flag=True,
    help="With --check: claims that were written down, changed or dropped after their results count, too.",
)
def claims(
    results: "Place | None",
    results_root: "Place",
    style: str,
    output: Path | None,
    check: bool,
    allow_late: bool,
) -> None:
    """Answer the claims that a suite wrote down before it ran.

    RESULTS is a suite's folder, bundle or URL, or its name; the newest by default. Each claim is supported, refuted,
    practically equivalent or undecided; of what is undecided it says what it would take to decide.
    """
    from bench.cli.claims_command import claims_command

    sys.exit(claims_command(results, results_root, style, output, check, allow_late))
