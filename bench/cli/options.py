"""Options that several commands share."""

import click

data_option = click.option(
    "--data",
    "data",
    multiple=True,
    metavar="NAME=PATH",
    help="Where a data set lies, e.g. acdc=/data/ACDC. Wins over the suite's data: block and MEDSEG_DATA.",
)
