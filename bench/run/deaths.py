"""Why a worker died, as far as Ray knows, in one short line."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray.exceptions import RayActorError, RayError, RayTaskError

LONGEST = 200
EXIT_CODE = re.compile(r"exits with an exit code (\d+)")
# What Ray writes, and what it means. All that it sees of a process that is gone at once is a closed connection.
MEANINGS = (
    ("receives a SIGTERM", "SIGTERM"),
    ("running low on memory", "memory ran low on its machine, and Ray ended it"),
    ("connection error code 2", "SIGKILL (out of memory?), a crash such as SIGSEGV, or os._exit"),
    ("its node has died", "its machine is gone"),
    ("was killed by `ray.kill`", "ended by the run"),
)


def cause(text: str) -> str:
    """Returns what an error of Ray says about a worker's death; empty if nothing.

    Args:
        text: The error's, of many lines.
    """
    for words, meaning in MEANINGS:
        if words in text:
            return meaning
    code = EXIT_CODE.search(text)
    if code:
        return f"exit code {code[1]}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:LONGEST] if lines else ""


def cause_of(trial: Any) -> str:
    """Returns why the worker of a Tune trial died; empty if nobody knows."""
    # Tune keeps errors in files, and hands them on nowhere else.
    with suppress(OSError, TypeError):
        head, _, text = Path(trial.error_file).read_text(errors="replace").partition("\n")
        return cause(text if head.startswith("Failure #") else f"{head}\n{text}")
    return ""


def take_all_deaths(manager: Any) -> None:
    """Makes Tune's manager of actors take every death of a worker for one.

    It knows errors of tasks and of actors. A worker that Ray itself ends where memory runs low fails with neither,
    and that would end the whole run.

    Args:
        manager: `ray.air.execution._internal.actor_manager.RayActorManager`.
    """
    failed = manager._actor_task_failed

    def take(tracked_actor_task: Any, exception: Exception) -> None:
        failed(tracked_actor_task, as_death(exception))

    manager._actor_task_failed = take


def as_death(error: Exception) -> Exception:
    """Returns an error of Ray that is none of a task as one of an actor."""
    if not isinstance(error, RayError) or isinstance(error, (RayActorError, RayTaskError)):
        return error
    death: Exception = RayActorError(error_msg=str(error))
    return death
