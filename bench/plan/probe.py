"""Asks a subprocess whether models and losses fit: one subprocess for all questions, answers kept on disk."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from bench.errors import BenchError
from bench.plan.identity import canonical_json, code_fingerprint, digest
from medseg.config import Config
from medseg.errors import UnknownNameError
from medseg.losses import LOSSES
from medseg.models import MODELS

COMMAND = (sys.executable, "-m", "medseg.training.probe")
TIMEOUT_S = 900
KEY_DIGITS = 32


@dataclass(frozen=True)
class Request:
    """A component on a task.

    Args:
        kind: What it is; narrow: a model, of which only the options are asked for that make it tiny.
        name: Registered name or `module:Class`.
        options: Options as the user wrote them.
        in_channels: Channels of the images.
        out_channels: Channels of the logits.
        image_size: Rows and columns.
        levels: Of a loss: sizes of the logits of a model with deep supervision, full resolution first; none: logits
            of the image's size only.
    """

    kind: Literal["model", "loss", "narrow"]
    name: str
    options: dict[str, Any] = field(hash=False)
    in_channels: int
    out_channels: int
    image_size: tuple[int, int]
    levels: tuple[tuple[int, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Returns the request as the subprocess reads it."""
        return {**vars(self), "image_size": list(self.image_size), "levels": [*map(list, self.levels)]}

    @property
    def key(self) -> str:
        """The request's canonical text."""
        return canonical_json(self.to_json())


class Problem(Config):
    """Why a component does not fit; `where` is a dotted path such as `model.features`."""

    where: str
    message: str


class Answer(Config):
    """What the subprocess found out.

    Args:
        ok: Nothing is wrong.
        options: The options with the defaults filled in.
        parameters: Number of trainable parameters.
        levels: Of a model: rows and columns of its logits in training; several with deep supervision.
        problems: What is wrong.
    """

    ok: bool
    options: dict[str, Any]
    parameters: int
    levels: tuple[tuple[int, int], ...] = ()
    problems: tuple[Problem, ...]


def probe(requests: Iterable[Request], cache_dir: Path) -> dict[str, Answer]:
    """Builds every component once and says how it went.

    Answers about components of `medseg` are kept on disk, by the code of `medseg` and the version of torch, so that
    asking again starts no subprocess. Components from elsewhere are asked about each time, and so are those that read
    a file of weights.

    Args:
        requests: The questions; equal ones are asked once.
        cache_dir: Folder of what can be made again.

    Returns:
        Answers by the request's `key`.

    Raises:
        BenchError: If the subprocess cannot start.
    """
    wanted = {request.key: request for request in requests}
    answers: dict[str, Answer] = {}
    for key, request in wanted.items():
        known = _read(_cache_file(request, cache_dir))
        if known is not None:
            answers[key] = known
    open_keys = [key for key in wanted if key not in answers]
    while open_keys:
        new = _ask([wanted[key] for key in open_keys])
        for key, answer in zip(open_keys, new, strict=False):
            answers[key] = answer
            _write(_cache_file(wanted[key], cache_dir), answer)
        # The subprocess died over the last one: the others are still to be asked.
        open_keys = open_keys[len(new) :]
    return answers


def _ask(requests: Sequence[Request]) -> list[Answer]:
    """Returns one answer or more, in order; fewer than requests if the subprocess died over the last one."""
    text = json.dumps([request.to_json() for request in requests])
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    try:
        done = subprocess.run(
            COMMAND,
            input=text,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            env=environment,
            check=False,
        )
        output, errors, slow = done.stdout, done.stderr, False
        reason = _how(done.returncode)
    except subprocess.TimeoutExpired as error:
        output, errors, slow = _text(error.stdout), "", True
        reason = f"no answer within {TIMEOUT_S} s"
    # A last line without its end was cut off.
    whole = output.split("\n")[:-1]
    last = (errors.strip().splitlines() or ["it said nothing"])[-1]
    if not whole:
        raise BenchError(
            f"models cannot be checked, since the process that builds them failed ({reason}): {last}"
        )
    answers = [Answer.model_validate_json(line) for line in whole[1:]]
    if answers and slow:
        return answers  # the time was for all of them; the rest gets its own
    if len(answers) < len(requests):
        request = requests[len(answers)]
        message = f"building {request.name} ended the process that tried it ({reason}): {last}"
        answers.append(_failed(request, message))
    return answers


def _how(returncode: int) -> str:
    if returncode >= 0:
        return f"exit status {returncode}"
    try:
        return f"signal {-returncode}, {signal.strsignal(-returncode)}"
    except ValueError:
        return f"signal {-returncode}"


def _failed(request: Request, message: str) -> Answer:
    return Answer(
        ok=False, options={}, parameters=0, problems=(Problem(where=request.kind, message=message),)
    )


def _text(output: Any) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def _cache_file(request: Request, cache_dir: Path) -> Path | None:
    registry = LOSSES if request.kind == "loss" else MODELS
    try:
        if request.name not in registry.names() or not registry.path(request.name).startswith("medseg."):
            return None
        if request.options.get("pretrained") is not None:
            return None
        torch = version("torch")
    except (UnknownNameError, PackageNotFoundError):
        return None
    key = digest([code_fingerprint(), torch, request.to_json()], KEY_DIGITS)
    return cache_dir / "probe" / f"{key}.json"


def _read(path: Path | None) -> Answer | None:
    """Returns a kept answer; one that cannot be read is as good as none."""
    if path is None:
        return None
    try:
        return Answer.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None


def _write(path: Path | None, answer: Answer) -> None:
    """Keeps an answer that says yes; what failed may fail for a passing reason. A cache may be read-only."""
    if path is None or not answer.ok:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False) as file:
            file.write(answer.model_dump_json())
        os.replace(file.name, path)
    except OSError:
        return
