"""Reads a suite file: one pass that finds everything that is wrong with it."""

import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.errors import Location, SuiteError
from bench.suite.check import check_suite
from bench.suite.document import Document, Problem, YamlPath, parse_document, read_document
from bench.suite.findings import Finding, findings
from bench.suite.resolve import validated
from bench.suite.schema import Suite

# No module has this name.
STAND_IN = "?"
_NAMED = ("tasks", "models", "losses")


@dataclass(frozen=True)
class LoadedSuite:
    """A valid suite, and where its parts were written.

    Args:
        suite: The suite.
        path: Its file.
        locate: Returns the place of a path such as ``("models", 0, "options")``, or of its nearest parent that
            was written.
    """

    suite: Suite
    path: Path
    locate: Callable[[YamlPath], Location]

    @property
    def folder(self) -> Path:
        """The suite's folder, absolute: where relative paths in it start."""
        return self.path.absolute().parent

    def data_roots(self) -> dict[str, Path]:
        """Returns the roots of the `data:` block, absolute; relative ones start at the suite's folder."""
        return {name: self.folder / Path(root).expanduser() for name, root in self.suite.data.items()}

    def roots(self, given: Mapping[str, Path]) -> dict[str, Path]:
        """Returns the roots that count: those given win over MEDSEG_DATA, which wins over the suite.

        Args:
            given: By data set, from the command line.
        """
        environment = os.environ.get("MEDSEG_DATA")
        own = {
            name: root
            for name, root in self.data_roots().items()
            if not (environment and (Path(environment).expanduser() / name).is_dir())
        }
        return {**own, **given}


def load_suite(path: Path) -> LoadedSuite:
    """Reads and checks a suite file.

    Args:
        path: YAML file.

    Raises:
        SuiteError: With every problem that was found, in the order of the file.
    """
    return _load(read_document(path), path)


def parse_suite(text: str, path: Path) -> LoadedSuite:
    """Reads and checks a suite from text; see `load_suite`.

    Args:
        text: The YAML.
        path: File that it stands for.

    Raises:
        SuiteError: With every problem that was found, in the order of the text.
    """
    return _load(parse_document(text, str(path)), path)


def normalise(tree: Any) -> Any:
    """Returns a suite's tree in the form of the schema, without changing the one given.

    A name in `tasks`, `models` or `losses` becomes ``{name: ...}``.
    """
    if not isinstance(tree, dict):
        return tree
    tree = dict(tree)
    for section in _NAMED:
        entries = tree.get(section)
        if isinstance(entries, list):
            tree[section] = [{"name": entry} if isinstance(entry, str) else entry for entry in entries]
    return tree


def _load(document: Document, path: Path) -> LoadedSuite:
    if not isinstance(document.tree, dict):
        kind = "a list" if isinstance(document.tree, list) else repr(document.tree)
        place = document.locate(())
        raise SuiteError([(place, f"a suite must be a mapping of keys to values, got {kind}")])
    tree = normalise(document.tree)
    try:
        suite = validated(Suite, tree)
    except ValidationError as error:
        found = findings(error, Suite, tree)
        found += _behind(tree, found)
    else:
        found = check_suite(suite)
    if "scale" in tree:
        found.append(
            Finding(("scale",), "scale is no key of a suite: give it to bench run, as --scale smoke", True)
        )
    # A value that YAML had a word about is a stand-in, of which there is nothing more to say.
    said = {place for place, _ in document.problems}
    problems = document.problems + [
        problem for finding in found if (problem := _placed(document, finding))[0] not in said
    ]
    if problems:
        raise SuiteError(sorted(problems, key=_order))
    return LoadedSuite(suite, path, document.locate)


def _behind(tree: dict[str, Any], found: list[Finding]) -> list[Finding]:
    """Returns problems that hide behind others: puts stand-ins for what is wrong and checks the rest.

    What may be wrong only because of a stand-in is not reported.
    """
    tree, touched = deepcopy(tree), {finding.path[:2] for finding in found}
    touched |= {(section,) for section in _NAMED if not tree.get(section)}
    for finding in found:
        _stand_in(tree, finding)
    try:
        suite = validated(Suite, tree)
    except ValidationError:
        return []
    sections = {path[0] for path in touched if path}
    if "tune" in sections:
        touched.add(("compare",))
    if sections & {*_NAMED, "compare"}:
        touched.add(("claims",))
    return [f for f in check_suite(suite) if f.path[:1] not in touched and f.path[:2] not in touched]


def _stand_in(tree: dict[str, Any], finding: Finding) -> None:
    """Removes an unknown key; puts a valid entry or section in the place of an invalid one."""
    path = finding.path
    section = str(path[0]) if path else ""
    if finding.at_key:
        inner: Any = tree
        for step in path[:-1]:
            inner = inner[step]
        if isinstance(inner, dict):
            inner.pop(path[-1], None)
    elif section in _NAMED and len(path) > 1 and isinstance(path[1], int):
        tree[section][path[1]] = {"name": f"{STAND_IN}:{path[1]}"}
    elif section:
        tree.pop(section, None)
    for key in _NAMED:
        if not tree.get(key):
            tree[key] = [{"name": f"{STAND_IN}:0"}]
    tree.setdefault("suite", "invalid")


def _placed(document: Document, finding: Finding) -> Problem:
    place = document.locate_key if finding.at_key else document.locate
    return place(finding.path), finding.text


def _order(problem: Problem) -> tuple[int, int]:
    place = problem[0]
    return (place.line, place.column) if place else (0, 0)
