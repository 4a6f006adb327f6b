"""`bench run`: its options. Heavy imports happen inside the command."""

import sys
from pathlib import Path
from typing import Any

import click

from bench.cli.options import Positive, data_option, read_names, results_option, scale_option

EPILOG = """\
Exit codes: 0 all that was asked for is complete; 1 some trials failed; 4 results cannot be read or written; 5 stopped
by --limit or --max-hours; 6 Ray is lost, cannot be started or has no room; 130 interrupted. After 4, 5, 6 and 130 the
same command goes on. See docs/running.md.
"""
PORTS = 2**16
RETRY_WORDS = (
    "failed",
    "diverged",
    "oom",
    "timeout",
    "data_error",
    "crashed",
    "pruned",
    "infra_lost",
    "damaged",
)


def read_failures(_context: click.Context, _parameter: click.Parameter, text: str) -> str:
    """Checks a number of trials, or a share of them."""
    digits = text.removesuffix("%")
    if not (digits.isascii() and digits.isdigit()) or (text != digits and int(digits) > 100):
        raise click.BadParameter(
            f"expected a number of trials or a share of them, e.g. 10 or 50%, got {text!r}"
        )
    return text


def read_address(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    """Checks where a Ray cluster is said to be; what is said of Ray's client comes later."""
    if text is None or text == "auto" or text.startswith("ray://"):
        return text
    host, _, port = text.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and 0 < int(port) < PORTS):
        raise click.BadParameter(f"expected auto or HOST:PORT, e.g. 10.0.0.5:6379, got {text!r}")
    return text


def read_storage(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    """Checks that a storage is named."""
    if text is not None and not text.strip():
        raise click.BadParameter("expected a URL, e.g. sqlite:///search.db, got nothing")
    return text


def read_retry(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[str, ...] | None:
    """Reads status words joined by commas."""
    names = read_names(context, parameter, text)
    wrong = next((name for name in names or () if name not in RETRY_WORDS), None)
    if wrong is not None:
        raise click.BadParameter(f"expected words of {', '.join(RETRY_WORDS)}, got {wrong!r}")
    return names


@click.command(epilog=EPILOG)
@click.argument("suite", type=click.Path(path_type=Path))
@scale_option
@data_option
@results_option
@click.option(
    "--only",
    type=click.Choice(["missing", "failed", "stale", "all"]),
    default="missing",
    show_default=True,
    help="Run exactly these: trials without a result, those that failed, those made by other code, or every one.",
)
@click.option(
    "--retry",
    callback=read_retry,
    metavar="STATUS,...",
    help="Beside what is missing, run again what ended so: failed (all that failed), diverged, oom, timeout, "
    "data_error, crashed, pruned, infra_lost. `damaged`: what lies in damaged files of many trials, which else stops "
    "a run.",
)
@click.option(
    "--task", "tasks", multiple=True, metavar="NAME", help="Only studies on this task; may be repeated."
)
@click.option(
    "--model", "models", multiple=True, metavar="LABEL", help="Only studies of this model; likewise."
)
@click.option("--loss", "losses", multiple=True, metavar="LABEL", help="Only studies of this loss; likewise.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Start at most N trials.")
@click.option(
    "--max-hours",
    type=Positive(),
    metavar="H",
    help="Stop after H hours: running trials save themselves, and the same command goes on.",
)
@click.option(
    "--max-failures",
    callback=read_failures,
    default="50%",
    show_default=True,
    metavar="N|N%",
    help="A study stops once more than N of its trials failed, or more than N% of ten or more; the others go on.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=Positive(),
    metavar="SECONDS",
    help="Longest a trial may take.",
)
@click.option("--cpus", type=click.IntRange(min=1), help="Cores to use on this machine; all by default.")
@click.option(
    "--address",
    callback=read_address,
    metavar="auto|HOST:PORT",
    help="Run on a Ray cluster that is there; by default Ray starts on this machine. See docs/cluster.md.",
)
@click.option(
    "--storage",
    callback=read_storage,
    metavar="URL",
    help="Where Optuna's dashboard finds the search, e.g. sqlite:///search.db; a file beside the results by default.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show the log of Ray and of the workers.")
def run(**given: Any) -> None:
    """Run what a suite still misses. Ctrl-C once saves what is running; the same command goes on."""
    from bench.cli.run_command import Asked, run_command

    sys.exit(run_command(Asked(**given)))
