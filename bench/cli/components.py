"""`bench show` and `bench check`: models, losses, tasks, metrics and recipes before a budget is spent on them."""

import sys

import click

from bench.cli.options import (
    channels_option,
    classes_option,
    json_option,
    narrow_option,
    option_option,
    parse_options,
    size_option,
)

model_argument = click.argument("name", metavar="NAME|MODULE:CLASS")


@click.group()
def show() -> None:
    """Show a model, loss, task, metric or recipe: what it is, its options, what it costs."""


@show.command("model")
@model_argument
@option_option
@channels_option
@classes_option
@size_option("224")
@click.option(
    "--batch", type=click.IntRange(min=1), default=2, show_default=True, help="Images in the measured step."
)
@click.option("--no-measure", is_flag=True, help="Measure no training step; counts only.")
@json_option
def show_model(
    name: str,
    options: tuple[str, ...],
    channels: int,
    classes: int,
    size: tuple[int, int],
    batch: int,
    no_measure: bool,
    as_json: bool,
) -> None:
    """Show a model: layers, paper, options, parameters, GMACs, size divisor, licence; time and memory here."""
    from bench.cli.component_commands import show_model_command

    given = parse_options(options)
    sys.exit(show_model_command(name, given, channels, classes, size, batch, not no_measure, as_json))


@show.command("loss")
@model_argument
@option_option
@classes_option
@json_option
def show_loss(name: str, options: tuple[str, ...], classes: int, as_json: bool) -> None:
    """Show a loss: formula, paper, options, search space."""
    from bench.cli.component_commands import show_loss_command

    sys.exit(show_loss_command(name, parse_options(options), classes, as_json))


@show.command("task")
@click.argument("name")
@json_option
def show_task(name: str, as_json: bool) -> None:
    """Show a task: data set, labels, size, split, metrics."""
    from bench.cli.component_commands import show_task_command

    sys.exit(show_task_command(name, as_json))


@show.command("metric")
@click.argument("name")
@json_option
def show_metric(name: str, as_json: bool) -> None:
    """Show a metric: definition, direction, what empty masks count."""
    from bench.cli.component_commands import show_metric_command

    sys.exit(show_metric_command(name, as_json))


@show.command("recipe")
@click.argument("name")
@json_option
def show_recipe(name: str, as_json: bool) -> None:
    """Show a recipe: its source, what it sets, and every hyper-parameter of training with its search range."""
    from bench.cli.component_commands import show_recipe_command

    sys.exit(show_recipe_command(name, as_json))


@click.group()
def check() -> None:
    """Check a model of your own before a budget is spent on it."""


@check.command("model")
@model_argument
@option_option
@channels_option
@classes_option
@size_option("64")
@narrow_option
@click.option(
    "--skip",
    multiple=True,
    metavar="CHECK",
    help="A check to leave out, e.g. compiles, which can take minutes. May be repeated.",
)
@json_option
def check_model(
    name: str,
    options: tuple[str, ...],
    channels: int,
    classes: int,
    size: tuple[int, int],
    narrow: bool,
    skip: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run the checks that every model here passes, and say what fails.

    NAME is a registered model (`bench list models`), MODULE:CLASS any importable one, from where you stand or
    installed; monai:SwinUNETR and smp:Unet are short for those of MONAI and segmentation_models_pytorch. Small
    images and narrow options keep it fast. Exit code 1 if a check fails.
    """
    from bench.cli.component_commands import check_model_command

    given = parse_options(options)
    sys.exit(check_model_command(name, given, channels, classes, size, narrow, skip, as_json))
