"""What the registries hold and where it comes from. Reads sources, and so imports no torch."""

import ast
import inspect
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib import import_module
from importlib.metadata import (
    PackageMetadata,
    PackageNotFoundError,
    entry_points,
    metadata,
    packages_distributions,
)
from math import isinf, isnan
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from medseg.errors import MedsegError
from medseg.registry import Registry, module_file
from medseg.training.recipes import RECIPES

if TYPE_CHECKING:
    from medseg.metrics.spec import MetricSpec

KINDS = ("models", "losses", "tasks", "metrics", "recipes")
UNKNOWN = "unknown"
# Some packages give the whole text for a licence's name.
LONGEST_LICENCE = 60


@dataclass(frozen=True)
class Entry:
    """A name that a suite can use.

    Args:
        name: The name.
        path: ``module:Attribute``.
        origin: Distribution that it comes from.
        summary: What it is, in one line; empty where its source does not say.
        paper: Where it was published; empty where its source does not say.
    """

    name: str
    path: str
    origin: str
    summary: str
    paper: str


def registry_of(kind: str) -> Registry:
    """Returns the table of a kind, one of `KINDS` but recipes, which are values and need no table."""
    found: Registry = getattr(import_module(f"medseg.{kind}"), kind.upper())
    return found


def entries(kind: str) -> list[Entry]:
    """Returns all that there is of a kind, sorted by name."""
    if kind == "recipes":
        return _recipes()
    registry = registry_of(kind)
    plugins = {
        point.name: point.dist.name for point in entry_points(group=registry.group) if point.dist is not None
    }
    describe = {"tasks": _task, "metrics": _metric}.get(kind, _component)
    found = []
    for name in registry.names():
        path = registry.path(name)
        try:
            summary, paper = describe(registry, name)
        except MedsegError as error:
            summary, paper = f"cannot be used: {error}", ""
        found.append(Entry(name, path, plugins.get(name) or distribution(path), summary, paper))
    return found


def _recipes() -> list[Entry]:
    path = "medseg.training.recipes:RECIPES"
    return [
        Entry(name, path, distribution(path), first_line(RECIPES[name].description), RECIPES[name].source)
        for name in sorted(RECIPES)
    ]


def distribution(path: str) -> str:
    """Returns the distribution that holds ``module:Attribute``, or ``unknown``."""
    names = _distributions().get(path.partition(":")[0].partition(".")[0], [])
    return names[0] if names else UNKNOWN


def licence(path: str) -> str:
    """Returns the licence that the distribution of ``module:Attribute`` states, or ``unknown``."""
    try:
        stated = metadata(distribution(path))
    except PackageNotFoundError:
        return UNKNOWN
    return next(_licences(stated), UNKNOWN)


def _licences(stated: PackageMetadata) -> Iterator[str]:
    expression, text = (str(stated[key] or "").strip() for key in ("License-Expression", "License"))
    # However many licences an expression joins, it is never a whole text.
    yield from filter(None, [expression])
    if text and len(text) <= LONGEST_LICENCE and "\n" not in text:
        yield text
    for classifier in stated.get_all("Classifier") or []:
        if classifier.startswith("License :: "):
            yield classifier.rpartition(" :: ")[2]
    # The first line of a whole text tends to be its title.
    yield from (shorten(line, LONGEST_LICENCE, placeholder=" ...") for line in text.splitlines()[:1])


@cache
def _distributions() -> dict[str, list[str]]:
    return {top: list(dict.fromkeys(names)) for top, names in packages_distributions().items()}


def _component(registry: Registry, name: str) -> tuple[str, str]:
    """Reads summary and paper of a class or function out of its source."""
    module, _, attribute = registry.path(name).partition(":")
    source = module_file(module)
    # A compiled module says nothing to a parser.
    text = source.read_bytes() if source is not None and source.suffix == ".py" else b""
    tree = ast.parse(text)
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == attribute:
            return first_line(ast.get_docstring(node)), _paper(node)
    return "", ""


def _paper(node: ast.ClassDef | ast.FunctionDef) -> str:
    for statement in node.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        named = [target.id for target in targets if isinstance(target, ast.Name)]
        value = getattr(statement, "value", None)
        if named == ["paper"] and isinstance(value, ast.Constant):
            return str(value.value)
    return ""


def _task(registry: Registry, name: str) -> tuple[str, str]:
    return registry.load(name).title, ""


def _metric(registry: Registry, name: str) -> tuple[str, str]:
    spec: MetricSpec = registry.load(name)
    text = first_line(metric_text(spec))
    # What one function computes in several ways is told apart by the title.
    named = f"{spec.title}: {text}" if isinstance(_function(spec), partial) else text
    return named or spec.title, ""


def metric_card(name: str, spec: "MetricSpec") -> dict[str, Any]:
    """Returns what there is to be known of a metric, ready for JSON.

    JSON has no word for infinity and NaN: where a value is not defined, and a failed case left out, it is null;
    infinite is text.
    """
    worst = spec.worst if isinstance(spec.worst, str) else _number(spec.worst)
    return {
        "name": name,
        "title": spec.title,
        "text": metric_text(spec),
        "definition": spec.definition,
        "higher_is_better": spec.higher_is_better,
        "ranked": spec.ranked,
        "per_label": spec.per_label,
        "quantity": spec.quantity,
        "unit": [unit for unit in dict.fromkeys(map(spec.unit, ("mm", "px"))) if unit],
        "needs_tolerance": spec.needs_tolerance,
        "needs_probabilities": spec.needs_probabilities,
        "worst": worst,
        "empty": {key: _number(value) for key, value in asdict(spec.empty).items()} if spec.empty else None,
    }


def _number(value: float) -> float | str | None:
    return None if isnan(value) else str(value) if isinf(value) else value


def metric_text(spec: "MetricSpec") -> str:
    """Returns what a metric's function says it returns, up to its arguments."""
    function = _function(spec)
    while isinstance(function, partial):
        function = function.func
    text, _, _ = (inspect.getdoc(function) or "").partition("\n\nArgs:")
    return text.removeprefix("Returns ")


def _function(spec: "MetricSpec") -> Any:
    return spec.of_label or spec.of_case or spec.of_calibration


def first_line(text: str | None) -> str:
    """Returns the first line of a docstring, without its full stop."""
    lines = (text or "").strip().splitlines()
    return lines[0].removesuffix(".") if lines else ""
