"""`bench`: one short command each. Heavy imports happen inside the commands, so that --help is instant."""

import os
import sys
import traceback
import warnings
from pathlib import Path

import click

from bench.cli.claims import claims
from bench.cli.compact import compact
from bench.cli.compare import compare
from bench.cli.components import check, show
from bench.cli.data import data
from bench.cli.export import export
from bench.cli.figures import figures
from bench.cli.leaderboard import leaderboard
from bench.cli.merge import merge
from bench.cli.options import data_option, json_option, scale_option
from bench.cli.output import OUTPUT, drop_output, flush_output, prepare_output
from bench.cli.rescore import rescore
from bench.cli.run import run
from bench.cli.score import score
from bench.errors import EXIT_CODES, BenchError, EngineError

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


@cli.command("list")
@click.argument("kind", type=click.Choice(KINDS))
@json_option
def list_(kind: str, as_json: bool) -> None:
    """List the names that a suite can use, what they are, and which package brings them."""
    from bench.cli.component_commands import list_command

    sys.exit(list_command(kind, as_json))


COMMANDS = (
    check,
    claims,
    compact,
    compare,
    data,
    export,
    figures,
    leaderboard,
    merge,
    rescore,
    run,
    score,
    show,
)
for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Runs the command line; every expected error is one readable line and a documented exit code."""
    from medseg.errors import MedsegError
    from medseg.training.outcome import StorageError

    # What Pillow and nibabel grumble about damaged files comes again as one line of ours.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"(PIL|nibabel|nrrd)\b")
    # `module:Class` in a suite is looked up beside the user, as `python -m` would.
    sys.path.insert(0, os.getcwd())
    prepare_output()
    try:
        try:
            cli(standalone_mode=False, prog_name="bench")
        finally:
            # What a full disk does to the output shows here rather than when Python has ended.
            flush_output()
    except BrokenPipeError:
        # Whoever read our output has seen enough, e.g. `bench list models | head -1`.
        drop_output()
        sys.exit(0)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (KeyboardInterrupt, click.exceptions.Abort):
        click.echo("interrupted; run the same command again to go on", err=True)
        sys.exit(130)
    except (OSError, MemoryError, StorageError, EngineError) as error:
        kept = sys.argv[1:2] in (["run"], ["rescore"], ["compact"]) and getattr(error, "goes_on", True)
        hint = "; what was computed is kept, the same command goes on" if kept else ""
        if getattr(error, "filename", None) == OUTPUT:
            drop_output()
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
