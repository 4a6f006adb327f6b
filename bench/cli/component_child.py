"""Runs `bench.cli.component_worker` as a subprocess, and passes on what it says."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

import bench
from bench.errors import BenchError

# Not -m: a folder of the user's that is named bench must not come before this package.
CODE = "import sys; sys.path.insert(0, sys.argv[1]); from bench.cli.component_worker import main; main()"
HOME = str(Path(bench.__file__).parents[1])
PATIENCE_S = 10


class ComponentError(BenchError):
    """A model, loss, task or metric that the command line names cannot be used."""


class EndedError(ComponentError):
    """A component ended the process that it ran in.

    Args:
        name: The component.
        doing: What was being done.
        status: The exit status; negative: the signal.
    """

    def __init__(self, name: str, doing: str, status: int):
        self.problem = f"the process ended ({_shown(status)})"
        super().__init__(f"{name}: {self.problem} while {doing}")


def attend(command: str, **arguments: Any) -> Iterator[dict[str, Any]]:
    """Yields the worker's messages as they come; says on a terminal what is being done.

    Args:
        command: One of the worker's `COMMANDS`.
        arguments: Its arguments; `name` among them.

    Raises:
        ComponentError: For what `medseg` refuses.
        EndedError: If the worker ended before it was done.
    """
    request = json.dumps({"command": command, "arguments": arguments, "path": sys.path})
    status = Console(stderr=True).status("")
    doing = "starting"
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", CODE, HOME, request], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    patience_s = 0
    try:
        for message in _messages(process):
            if "refused" in message or "done" in message:
                patience_s = PATIENCE_S
            if "refused" in message:
                raise ComponentError(message["refused"])
            if "done" in message:
                return
            if "doing" in message:
                doing = message["doing"]
                status.update(doing)
                status.start()
            else:
                # Before the caller prints: both would write to one terminal.
                status.stop()
            yield message
        ended = process.wait()
        if ended == -signal.SIGINT:
            raise KeyboardInterrupt
        raise EndedError(arguments["name"], doing, ended)
    finally:
        status.stop()
        _end(process, patience_s)


def _messages(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            # A last line without its end was cut off.
            if line.endswith(b"\n"):
                yield json.loads(line)


def _end(process: subprocess.Popen[bytes], patience_s: float) -> None:
    """Lets a process that is done tidy up; ends one that goes on."""
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _shown(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {-status}, {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"
