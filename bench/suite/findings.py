"""From pydantic's errors to findings: a path in the suite, and one clear line."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bench.suite.document import YamlPath
from bench.suite.resolve import validated
from bench.suite.schema import Suite
from medseg.errors import did_you_mean
from medseg.training.config import TrainConfig

MOST_SHOWN = 60
# Fields that may not be written.
UNWRITTEN: set[tuple[type[BaseModel], str]] = {(Suite, "scale")}
# Keys that may be written and are no fields.
SHORTHANDS: dict[type[BaseModel], tuple[str, ...]] = {TrainConfig: ("recipe",)}


@dataclass(frozen=True)
class Finding:
    """Something wrong with a suite.

    Args:
        path: Path of the value, or of the nearest parent that was written.
        text: What must hold, and what came.
        at_key: Point to the key rather than to its value.
    """

    path: YamlPath
    text: str
    at_key: bool = False


def findings(
    error: ValidationError, model: type[BaseModel], tree: Any, prefix: YamlPath = ()
) -> list[Finding]:
    """Returns what pydantic found, one finding per place.

    Args:
        error: From validating `tree` against `model`.
        model: The model, to name the keys that it knows.
        tree: The values that were validated.
        prefix: Path of `tree` within the suite.
    """
    grouped: dict[YamlPath, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False, include_context=False):
        grouped.setdefault(written(detail["loc"], tree), []).append(detail)
    found = []
    for path, details in grouped.items():
        if any(len(other) > len(path) and other[: len(path)] == path for other in grouped):
            # A list that is too short because its items are wrong.
            details = [d for d in details if d["type"] != "too_short"]
        found += [_missing(path, prefix, d) for d in details if d["type"] == "missing"]
        found += [_unknown(path, prefix, model) for d in details if d["type"] == "extra_forbidden"]
        rest = [d for d in details if d["type"] not in ("missing", "extra_forbidden")]
        if rest:
            found.append(Finding((*prefix, *path), _wrong((*prefix, *path), rest)))
    return found


def invalid(
    kind: type[BaseModel], tree: Mapping[str, Any], over: Mapping[str, Any], prefix: YamlPath
) -> Iterator[Finding]:
    """Validates overrides in their place; only what they brought in is reported.

    Args:
        kind: What the values must be.
        tree: The values with the overrides among them.
        over: The overrides.
        prefix: Path of the overrides within the suite.
    """
    try:
        validated(kind, tree)
    except ValidationError as error:
        for finding in findings(error, kind, tree, prefix):
            inner = finding.path[len(prefix) :]
            if not inner or inner[0] in over:
                yield finding


def written(path: YamlPath, tree: Any) -> YamlPath:
    """Returns the longest part of a path that exists in a tree."""
    for depth, step in enumerate(path):
        inside = (isinstance(tree, Mapping) and step in tree) or (
            isinstance(tree, list) and isinstance(step, int) and step < len(tree)
        )
        if not inside:
            return path[:depth]
        tree = tree[step]
    return path


def dotted(path: YamlPath) -> str:
    """Returns a path as it is read: `models[0].options`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def shown(value: Any) -> str:
    """Returns a value for a message, shortened."""
    text = "null" if value is None else repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."


def known_keys(model: type[BaseModel], path: YamlPath) -> tuple[str, ...]:
    """Returns the keys that the mapping at a path may have; none where any will do."""
    here: set[Any] = {model}
    for step in path:
        here = {below for kind in here for below in _below(kind, step)}
    keys: dict[str, None] = {}
    for kind in here:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            keys.update(dict.fromkeys((*SHORTHANDS.get(kind, ()), *kind.model_fields)))
    return tuple(key for key in keys if (model, key) not in UNWRITTEN)


def _below(kind: Any, step: str | int) -> set[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(step))
        return _unwrapped(field.annotation) if field else set()
    parts = [part for part in get_args(kind) if part is not Ellipsis]
    return {leaf for part in parts for leaf in _unwrapped(part)}


def _unwrapped(annotation: Any) -> set[Any]:
    """Splits unions; keeps containers, whose arguments are found when they are entered."""
    if getattr(annotation, "__origin__", None) in (tuple, list, dict) or isinstance(annotation, type):
        return {annotation}
    parts = get_args(annotation)
    return {leaf for part in parts for leaf in _unwrapped(part)} if parts else {annotation}


def _missing(path: YamlPath, prefix: YamlPath, detail: ErrorDetails) -> Finding:
    where = dotted((*prefix, *path))
    return Finding(
        (*prefix, *path), f"{where + ': ' if where else ''}missing key '{detail['loc'][len(path)]}'"
    )


def _unknown(path: YamlPath, prefix: YamlPath, model: type[BaseModel]) -> Finding:
    key = str(path[-1])
    return Finding(
        (*prefix, *path), f"unknown key '{key}'{did_you_mean(key, known_keys(model, path[:-1]))}", True
    )


def _wrong(path: YamlPath, details: list[ErrorDetails]) -> str:
    texts = list(dict.fromkeys(detail["msg"] for detail in details))
    where = dotted(path) or "the suite"
    if len(texts) == 1 and texts[0].startswith("Value error, "):
        return f"{where}: {texts[0].removeprefix('Value error, ')}"
    first, *others = (_plain(text) for text in texts)
    wanted = [first, *(other.removeprefix("be ") for other in others)]
    choices = " or ".join([", ".join(wanted[:-1]), wanted[-1]] if len(wanted) > 1 else wanted)
    return f"{where} must {choices}, got {shown(details[0]['input'])}"


def _plain(text: str) -> str:
    """Rewrites pydantic's message so that it follows `must`, in the words of YAML."""
    for theirs, ours in (
        ("Value error, ", ""),
        ("Input should be", "be"),
        ("Object should", ""),
        ("String should", ""),
        ("an object", "a mapping"),
        ("a valid dictionary", "a mapping"),
        ("a valid string", "text"),
        ("a valid integer", "a whole number"),
        ("a valid number", "a number"),
        ("a valid boolean", "true or false"),
        ("a valid tuple", "a list"),
        ("a valid array", "a list"),
    ):
        text = text.replace(theirs, ours)
    text = re.sub(
        r"^\w+ should have at least (\d+) items? after validation, not \d+$", r"have at least \1", text
    )
    text = text.strip()
    return text[:1].lower() + text[1:]
