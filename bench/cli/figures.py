"""`bench figures`: draws a leaderboard's figures. Heavy imports happen inside the command."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.leaderboard import ON_MISSING, POLICIES, SCHEMES
from bench.cli.options import PLACE, read_local, read_names, results_option

if TYPE_CHECKING:
    from bench.results.place import Place


@click.command(epilog="See docs/figures.md for what each figure shows and how to read it.")
@click.argument("results", metavar="[RUN]", type=PLACE, required=False)
@results_option
@click.option("--suite", help="Only trials of this suite.")
@click.option("--task", help="Draw this task only.")
@click.option("--metric", default="dice", show_default=True, help="The metric that entries are ranked by.")
@click.option(
    "--rank-by",
    type=click.Choice(SCHEMES),
    default="mean",
    show_default=True,
    help="As of `bench leaderboard`.",
)
@click.option(
    "--policy", type=click.Choice(POLICIES), help="What empty masks count, if not what tasks declare."
)
@click.option(
    "--on-missing",
    type=click.Choice(ON_MISSING),
    default="worst",
    show_default=True,
    help="What is done where values are missing, as of `bench leaderboard`.",
)
@click.option("--baseline", metavar="ENTRY", help="Entry whose values stand for missing ones.")
@click.option("--dropped", is_flag=True, help="Rank the entries, too, that the suite has no more.")
@click.option(
    "--only",
    callback=read_names,
    metavar="NAME[,NAME...]",
    help="Draw these figures only, e.g. intervals,ranks.",
)
@click.option(
    "-o",
    "--output",
    callback=read_local,
    metavar="PATH",
    default="figures",
    show_default=True,
    help="Folder to write to; captions.md there tells how to read each figure.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["svg", "pdf", "png"]),
    default="svg",
    show_default=True,
    help="svg and pdf for papers, png for slides.",
)
@click.option(
    "--theme",
    type=click.Choice(["light", "dark"]),
    default="light",
    show_default=True,
    help="Colours on white or on black.",
)
def figures(
    results: "Place | None",
    results_root: "Place",
    only: tuple[str, ...] | None,
    output: Path,
    kind: str,
    theme: str,
    **asked: Any,
) -> None:
    """Draw the figures of a leaderboard as files.

    RUN is a suite's folder, bundle or URL, or its name; the newest by default. `bench leaderboard --format html` has
    the same figures beside its tables in one page.
    """
    from bench.cli.figures_command import figures_command

    sys.exit(figures_command(results, results_root, asked, only, output, kind, theme))
