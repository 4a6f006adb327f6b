"""`bench`: one short command each. Heavy imports happen inside the commands, so that --help is instant."""

import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.components import check, show
from bench.cli.data import data
from bench.cli.options import PLACE, data_option, json_option, read_names, results_option, scale_option
from bench.cli.rescore import rescore
from bench.cli.run import run
from bench.cli.score import score
from bench.errors import EXIT_CODES, BenchError, EngineError

if TYPE_CHECKING:
    from bench.results.place import Place

KINDS = ("models", "losses", "tasks", "metrics", "recipes")
EPILOG = "Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + "."


@click.group(
    epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(package_name="medseg-bench")
def cli() -> None:
    """A referee for medical image segmentation."""


@cli.command()
@click.argument("suite", type=click.Path(path_type=Path))
@data_option
@scale_option
def plan(suite: Path, data: tuple[str, ...], scale: str) -> None:
    """Check a suite and show what it would run, without running it. Images are looked at once."""
    from bench.cli.commands import plan_command

    sys.exit(plan_command(suite, data, scale))


@cli.command()
@click.argument("results", type=PLACE, required=False)
@results_option
@click.option("--task", help="Show this task only.")
@click.option("--metric", default="dice", show_default=True, help="Rank by this metric.")
@click.option(
    "--metrics",
    callback=read_names,
    metavar="NAME[,NAME...]",
    help="Show these metrics beside it. By default the usual ones, where measured.",
)
@click.option(
    "--policy",
    type=click.Choice(["nnunet", "brats", "one"]),
    help="What empty masks count in the tables; by default what each task declares. Claims keep to the task's.",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(["rich", "md", "csv", "json"]),
    default="rich",
    show_default=True,
    help="How to print it.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file.")
def leaderboard(
    results: "Place | None",
    results_root: "Place",
    task: str | None,
    metric: str,
    metrics: tuple[str, ...] | None,
    policy: str | None,
    style: str,
    output: Path | None,
) -> None:
    """Show who is better, by how much, and how sure. RESULTS is a suite's folder or URL; the newest by default."""
    from bench.cli.commands import leaderboard_command

    sys.exit(leaderboard_command(results, results_root, task, metric, metrics, policy, style, output))


@cli.command("list")
@click.argument("kind", type=click.Choice(KINDS))
@json_option
def list_(kind: str, as_json: bool) -> None:
    """List the names that a suite can use, what they are, and which package brings them."""
    from bench.cli.component_commands import list_command

    sys.exit(list_command(kind, as_json))


for command in (check, data, rescore, run, score, show):
    cli.add_command(command)


def main() -> None:
    """Runs the command line; every expected error is one readable line and a documented exit code."""
    from medseg.errors import MedsegError
    from medseg.training.outcome import StorageError

    # What Pillow and nibabel grumble about damaged files comes again as one line of ours.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"(PIL|nibabel|nrrd)\b")
    # `module:Class` in a suite is looked up beside the user, as `python -m` would.
    sys.path.insert(0, os.getcwd())
    try:
        cli(standalone_mode=False, prog_name="bench")
    except BrokenPipeError:
        # Whoever read our output has seen enough, e.g. `bench list models | head -1`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (KeyboardInterrupt, click.exceptions.Abort):
        click.echo("interrupted; run the same command again to go on", err=True)
        sys.exit(130)
    except (OSError, MemoryError, StorageError, EngineError) as error:
        kept = sys.argv[1:2] in (["run"], ["rescore"]) and getattr(error, "goes_on", True)
        hint = "; what was computed is kept, the same command goes on" if kept else ""
        click.echo(f"bench: {_said(error)}{hint}", err=True)
        sys.exit(getattr(error, "exit_code", 4))
    except (BenchError, MedsegError) as error:
        click.echo(f"bench: {error}", err=True)
        sys.exit(getattr(error, "exit_code", 3))
    except Exception:  # noqa: BLE001 - exit code 1 would say that trials failed
        traceback.print_exc()
        click.echo("bench: this is a bug in bench. Please report the above.", err=True)
        sys.exit(70)


def _said(error: BaseException) -> str:
    """Returns what an error says; of the system's, the file and the reason without its number."""
    if isinstance(error, OSError) and error.strerror and str(error).startswith("[Errno "):
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return str(error)
