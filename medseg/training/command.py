"""`python -m medseg.training`: trains one trial and writes its rows. Options are read first, imports come later."""

import errno
import logging
import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medseg.errors import MedsegError
from medseg.training import launch

if TYPE_CHECKING:
    from medseg.training.config import TrialSpec

EXIT_CODES: dict[int, str] = {
    0: "complete",
    1: "the trial ended otherwise: diverged, oom, timeout, crashed",
    2: "wrong command line",
    3: "wrong input: a name, a setting, data",
    4: "disk full, read-only or gone",
    70: "a bug: please report it",
    130: "interrupted; the same command goes on",
}
EPILOG = (
    "The same command again goes on where the trial stopped, or prints the result of a complete one. "
    "Ctrl-C or SIGTERM once saves the checkpoint, twice stops at once.\n\n"
    "Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + ".\n\n"
    "Several processes: torchrun --nproc-per-node 2 -m medseg.training ...; the first one prints and writes."
)
SHORTCUTS = ("epochs", "steps_per_epoch", "batch_size", "precision", "recipe")
SPEC = ("task", "model", "loss", "phase", "fold", "seed")
PAIR = "KEY=VALUE"
# Of a folder that was named wrongly; any other OSError is of the model or the loss.
UNUSABLE = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG)


@click.command(
    epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.option("--task", required=True, metavar="NAME", help="Registered task, or module:NAME.")
@click.option(
    "--task-option",
    "task_options",
    multiple=True,
    metavar=PAIR,
    help="Field of the task, e.g. image_size=[64,64].",
)
@click.option("--data", metavar="PATH", help="Folder of the data set; else MEDSEG_DATA. Phantoms need none.")
@click.option("--model", required=True, metavar="NAME", help="Registered model, monai:Class or module:Class.")
@click.option(
    "-m", "--model-option", "model_options", multiple=True, metavar=PAIR, help="Option of the model."
)
@click.option("--loss", required=True, metavar="NAME", help="Registered loss, monai:Class or module:Class.")
@click.option("-l", "--loss-option", "loss_options", multiple=True, metavar=PAIR, help="Option of the loss.")
@click.option("--recipe", metavar="NAME", help="Base of the settings: adam (default), nnunet, adamw.")
@click.option(
    "-t", "--train", multiple=True, metavar=PAIR, help="Setting as under train: of a suite; a.b=1 reaches in."
)
@click.option("--epochs", type=int, help="Shortcut of -t epochs=N; likewise the next three.")
@click.option("--steps-per-epoch", type=int)
@click.option("--batch-size", type=int, help="Slices per step, over all processes.")
@click.option("--precision", type=click.Choice(["fp32", "bf16", "fp16"]))
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--fold", type=click.IntRange(min=0), default=0, show_default=True, help="Fold that validates.")
@click.option(
    "--phase",
    type=click.Choice(["tune", "final"]),
    default="final",
    show_default=True,
    help="final measures on the test cases, too.",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option(
    "--threads", type=click.IntRange(1, 4 * (os.cpu_count() or 1)), help="CPU threads; all cores by default."
)
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Longest to train now."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the results.  [default: runs/TASK-MODEL-LOSS-HASH]",
)
@click.option("--keep-predictions", is_flag=True, help="Write the predicted label maps to OUT/predictions.")
@click.option(
    "--keep-weights/--no-keep-weights", default=True, show_default=True, help="Write best.safetensors."
)
@click.option("--restart", is_flag=True, help="Begin anew, whatever OUT holds.")
@click.option("--quiet", is_flag=True, help="Print the result only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def cli(**options: Any) -> int:
    """Train one model with one loss on one task, and write its rows.

    Values are YAML, as in a suite.
    """
    trees = {
        name: _pairs(name.removesuffix("s"), options.pop(name))
        for name in ("task_options", "model_options", "loss_options", "train")
    }
    for name in SHORTCUTS:
        value = options.pop(name)
        if value is not None and trees["train"].setdefault(name, value) != value:
            raise click.UsageError(
                f"--{name.replace('_', '-')} {value} and --train {name} exclude each other"
            )
    with _logging(options["quiet"]):
        return _train(options, trees)


def run(args: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        args: Arguments; those of the process by default.

    Returns:
        The exit code; every expected error is one readable line on stderr.
    """
    # What Pillow and nibabel grumble about damaged files comes again as one line of ours.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"(PIL|nibabel|nrrd)\b")
    given = tuple(sys.argv[1:] if args is None else args)
    try:
        return int(cli.main(given, "python -m medseg.training", standalone_mode=False, obj=given) or 0)
    except click.ClickException as error:
        if _first():
            error.show()
        return 2
    except (KeyboardInterrupt, click.exceptions.Abort):
        _say("interrupted; the same command goes on")
        return 130
    except MedsegError as error:
        from medseg.training.outcome import StorageError

        _say(str(error))
        return 4 if isinstance(error, StorageError) else 3
    except OSError as error:
        _say(f"{error}; what was written before is kept, the same command goes on")
        return 4
    except Exception:  # noqa: BLE001 - exit code 1 would say that the trial failed
        traceback.print_exc()
        _say("this is a bug in medseg. Please report the above.")
        return 70


def default_out(spec: "TrialSpec") -> Path:
    """Returns the folder of a trial that was given none; equal trials have the same."""
    from medseg.training.rows import spec_hash

    name = f"{spec.task.name}-{spec.model.name}-{spec.loss.name}-{spec_hash(spec)[:8]}"
    return Path("runs") / re.sub(r"[^\w.+-]+", "-", name)


def _train(options: Mapping[str, Any], trees: Mapping[str, Any]) -> int:
    from medseg.training.stop import StopRequest

    with StopRequest(lambda: _say("stopping; once more stops at once")) as stop:
        # Torch comes in here, which takes seconds; from now on a signal is answered.
        from medseg.training.command_report import Report
        from medseg.training.folder import run_one
        from medseg.training.resolve import make_spec

        spec = make_spec(**{**trees, **{name: options[name] for name in SPEC}})
        out = options["out"] or default_out(spec)
        _set_threads(options["threads"])
        report = Report(spec, out, options["quiet"], options["as_json"])
        try:
            # What a model prints must not end up in the JSON.
            with redirect_stdout(sys.stderr) if options["as_json"] else nullcontext():
                result = run_one(
                    spec,
                    out,
                    _root(options["data"], spec.task.dataset),
                    device=options["device"],
                    timeout_s=options["timeout"],
                    keep_weights=options["keep_weights"],
                    keep_predictions=options["keep_predictions"],
                    restart=options["restart"],
                    should_stop=stop.asked,
                    watch=report.epoch,
                    command=("python", "-m", "medseg.training", *click.get_current_context().obj),
                )
        except MedsegError:
            raise
        except (Exception, SystemExit) as error:  # a model or a loss of anyone's may raise anything
            from medseg.training.outcome import STORAGE, classify

            if isinstance(error, OSError) and error.errno in (*STORAGE, *UNUSABLE):
                raise
            traceback.print_exc()
            status, detail = classify(error)
            report.ended(status, detail)
            return 1
    _leave_processes()
    report.result(result)
    return {"complete": 0, "interrupted": 130}.get(result.status, 1)


def _root(text: str | None, dataset: str) -> Path | None:
    """Reads --data; messages about data speak of NAME=PATH, so that is understood too."""
    return Path(text.removeprefix(f"{dataset}=")).expanduser().absolute() if text else None


def _set_threads(threads: int | None) -> None:
    import torch

    mine = getattr(os, "sched_getaffinity", None)
    cores = len(mine(0)) if mine else os.cpu_count() or 1
    torch.set_num_threads(threads or max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))


def _leave_processes() -> None:
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def _pairs(option: str, pairs: Sequence[str]) -> dict[str, Any]:
    from medseg.training.command_values import ValueProblem, parse_pairs

    try:
        return parse_pairs(pairs)
    except ValueProblem as problem:
        raise click.UsageError(f"--{option.replace('_', '-')}: {problem}") from problem


@contextmanager
def _logging(quiet: bool) -> Iterator[None]:
    """Shows what medseg decides on stderr."""
    logger, handler = logging.getLogger("medseg"), _handler()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def _handler() -> logging.Handler:
    return logging.StreamHandler() if _first() else logging.NullHandler()


def _say(text: str) -> None:
    if _first():
        click.echo(f"medseg.training: {text}", err=True)


def _first() -> bool:
    """Says whether this is the process of its trial that prints."""
    return launch.rank() == 0
