"""`bench leaderboard`: what can be asked of results."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.options import PLACE, read_names, results_option

if TYPE_CHECKING:
    from bench.results.place import Place

FORMATS = ("rich", "md", "html", "csv", "latex", "json")
SCHEMES = ("mean", "rank", "test")
ON_MISSING = ("worst", "fail", "exclude-task", "baseline")
POLICIES = ("nnunet", "brats", "one")


def _read_definitions(
    _context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]
) -> dict[str, str]:
    found = {}
    for text in texts:
        metric, sign, definition = text.partition("=")
        if not (metric and sign and definition):
            raise click.BadParameter(
                f"expected METRIC=ID, e.g. nsd=nsd/marching-cubes/tau=2/v1, got {text!r}"
            )
        found[metric] = definition
    return found


EPILOG = """\
Exit codes: 0 shown; 2 wrong command line; 4 no results, results that cannot be read, or values missing with
--on-missing fail. See docs/leaderboard.md.
"""


@click.command(epilog=EPILOG)
@click.argument("results", type=PLACE, required=False)
@results_option
@click.option("--suite", help="Show trials of this suite only; without RESULTS, its folder.")
@click.option("--task", help="Show this task only.")
@click.option("--metric", default="dice", show_default=True, help="Rank by this metric.")
@click.option(
    "--metrics",
    callback=read_names,
    metavar="NAME[,NAME...]",
    help="Show these metrics beside it. By default the usual ones, where measured.",
)
@click.option(
    "--rank-by",
    type=click.Choice(SCHEMES),
    default="mean",
    show_default=True,
    help="mean: of the patients; rank: mean of the ranks within each patient; test: how many others it is "
    "significantly better than.",
)
@click.option(
    "--columns",
    callback=read_names,
    metavar="NAME[,NAME...]",
    help="Columns by name, or sets of them: default, quality, cost, counts, tuning, all.",
)
@click.option(
    "--policy",
    type=click.Choice(POLICIES),
    help="What empty masks count in the tables; by default what each task declares. Claims keep to the task's.",
)
@click.option(
    "--on-missing",
    type=click.Choice(ON_MISSING),
    help="What is done where values are missing: count the worst, refuse, leave the task out, or count the values of "
    "--baseline. By default what failed counts the worst, and an entry with final trials that have not run yet is "
    "not ranked.",
)
@click.option("--baseline", metavar="ENTRY", help="Entry whose values stand for missing ones.")
@click.option("--per-label", is_flag=True, help="Add a table by label.")
@click.option(
    "--by",
    metavar="GROUP",
    help="Add a table by subgroup of patients: pathology, phase, size, or a column of --subgroups.",
)
@click.option(
    "--subgroups",
    type=click.Path(path_type=Path),
    help="CSV or Parquet with a column patient and others, e.g. site, scanner.",
)
@click.option("--dropped", is_flag=True, help="Rank the entries, too, that the suite has no more.")
@click.option(
    "--definition",
    "definitions",
    multiple=True,
    callback=_read_definitions,
    metavar="METRIC=ID",
    help="Show this definition of a metric instead of today's. May be repeated.",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(FORMATS),
    help="How to print it; by default as the file's suffix says, else rich.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file.")
def leaderboard(
    results: "Place | None", results_root: "Place", style: str | None, output: Path | None, **asked: Any
) -> None:
    """Show who is better, by how much, and how sure.

    RESULTS is a suite's folder or URL, its name, or a bundle of `bench export`; the newest by default.
    """
    from bench.cli.leaderboard_command import leaderboard_command

    sys.exit(leaderboard_command(results, results_root, asked, style, output))
