"""`bench score`: measures anyone's predictions. Heavy imports happen inside the command."""

import sys
from pathlib import Path

import click

from bench.cli.options import jobs_option, json_option, metrics_option, tolerance_option

POLICIES = ("nnunet", "one", "brats")


@click.command(epilog="See docs/scoring.md.")
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Reference labels: NIfTI, NRRD, PNG or TIFF, in any folders below. One file will do, too.",
)
@click.option(
    "--prediction",
    "predictions",
    multiple=True,
    required=True,
    metavar="[NAME=]DIR",
    help="Predictions, named as the references are. Repeat it to compare systems.",
)
@click.option("--task", metavar="NAME", help="Take labels, unit, metrics and tolerance of a registered task.")
@click.option(
    "--labels", metavar="NAME=VALUE,...", help="Labels and their values in the files, e.g. RV=1,MYO=2,LV=3."
)
@metrics_option
@tolerance_option
@click.option(
    "--spacing-mm",
    metavar="MM[,MM...]",
    help="Spacing of pictures, which carry none; one number, or one per axis, rows before columns.",
)
@click.option(
    "--policy",
    type=click.Choice(POLICIES),
    help="What a label counts that is in neither mask: nnunet (default) leaves it out, one and brats praise it.",
)
@click.option(
    "--groups",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV with columns image and patient: which cases are of one patient.",
)
@click.option("--patient-pattern", metavar="REGEX", help="Its first group in a case's name is the patient.")
@click.option(
    "--extra",
    type=click.Choice(["error", "ignore"]),
    default="error",
    show_default=True,
    help="Predictions that no reference fits: refuse them, or leave them out.",
)
@json_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write one row per case, label and metric: .csv, .parquet or .json.",
)
@jobs_option
def score(
    reference: Path,
    predictions: tuple[str, ...],
    task: str | None,
    labels: str | None,
    metrics: str | None,
    tolerance: str | None,
    spacing_mm: str | None,
    policy: str | None,
    groups: Path | None,
    patient_pattern: str | None,
    extra: str,
    as_json: bool,
    output: Path | None,
    jobs: int | None,
) -> None:
    """Measure predictions of any origin, with the code and the tables that trials are measured with."""
    from bench.cli.score_command import Asked, score_command

    asked = Asked(
        task=task,
        labels=labels,
        metrics=metrics,
        tolerance=tolerance,
        spacing_mm=spacing_mm,
        groups=groups,
        patient_pattern=patient_pattern,
        ignore_extra=extra == "ignore",
        processes=jobs,
    )
    sys.exit(score_command(reference, predictions, asked, policy, as_json, output))
