"""`bench compare`: is B worse than A? Heavy imports happen inside the command."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.claims import format_option, output_option
from bench.cli.options import PLACE, read_names, results_option

if TYPE_CHECKING:
    from bench.results.place import Place

EPILOG = """\
Exit codes: 0 compared, and every --margin is kept; 1 one is broken; 2 a name that the results do not have, both
sides the same, or a margin that says nothing; 7 none is broken, but of one it cannot be told: too few patients or
trainings, or something is not there on one side. See docs/claims.md.
"""


@click.command(epilog=EPILOG)
@click.argument("sides", metavar="[A B]", nargs=-1)
@click.option("--run", type=PLACE, help="A and B are entries of this run; by default, of the newest.")
@click.option(
    "--code",
    nargs=2,
    metavar="X Y",
    help="A and B are what these versions of the code made in one run: the beginnings of two fingerprints.",
)
@results_option
@click.option("--task", "tasks", multiple=True, help="Only this task. May be repeated.")
@click.option(
    "--metrics",
    callback=read_names,
    metavar="NAME[,NAME...]",
    help="What is compared; by default what has a margin, else Dice.",
)
@click.option(
    "--margin",
    "margins",
    multiple=True,
    metavar="METRIC=VALUE",
    help="By how much B may be worse, e.g. dice=-0.01 or hd95=+1. May be repeated.",
)
@click.option(
    "--rope",
    "ropes",
    multiple=True,
    metavar="METRIC=VALUE",
    help="Differences up to it do not matter, e.g. dice=0.005: how probable it is that B is practically equal. By "
    "default the margin. With it come the --details. May be repeated.",
)
@click.option(
    "--details",
    is_flag=True,
    help="Other tests of each difference, what it scatters by, and what it would take to show it. Markdown and JSON "
    "always have them.",
)
@click.option("--each-label", is_flag=True, help="Margins hold for each label, too, not only for their mean.")
@format_option
@output_option
def compare(
    sides: tuple[str, ...],
    run: "Place | None",
    code: tuple[str, str] | None,
    results_root: "Place",
    tasks: tuple[str, ...],
    metrics: tuple[str, ...] | None,
    margins: tuple[str, ...],
    ropes: tuple[str, ...],
    details: bool,
    each_label: bool,
    style: str,
    output: Path | None,
) -> None:
    """Compare B with A, patient by patient: two runs, two entries of a run, or two versions of the code.

    A and B are folders, bundles, URLs or names of runs; or entries of one run, e.g. "unet + dice". With --code there
    is at most one of them: the run.
    """
    from bench.cli.compare_command import Asked, compare_command

    asked = Asked(
        sides=tuple(map(str.strip, sides)),
        run=run,
        code=None if code is None else (code[0].strip(), code[1].strip()),
        results_root=results_root,
        tasks=tuple(map(str.strip, tasks)),
        metrics=metrics,
        margins=margins,
        each_label=each_label,
        ropes=ropes,
        details=details,
    )
    sys.exit(compare_command(asked, style, output))
