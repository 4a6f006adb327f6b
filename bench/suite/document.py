"""YAML with places: plain values, and where each of them was written."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from bench.errors import Location, SuiteError
from medseg.yaml_core import TAG, CoreLoader

YamlPath = tuple[str | int, ...]
Problem = tuple[Location | None, str]

# Aliases of aliases grow without bound; no honest suite comes near.
MOST_VALUES = 100_000


@dataclass
class Document:
    """A YAML file as plain values, with the place of each.

    Args:
        path: File, as it is shown in messages.
        tree: The values: mappings with text keys, lists, text, numbers, booleans, none.
        problems: What is wrong with the YAML itself, e.g. keys written twice.
    """

    path: str
    tree: Any = None
    problems: list[Problem] = field(default_factory=list)
    _values: dict[YamlPath, Location] = field(default_factory=dict)
    _keys: dict[YamlPath, Location] = field(default_factory=dict)

    def locate(self, path: YamlPath) -> Location:
        """Returns where the value at a path begins; of its nearest parent if it was not written."""
        while path and path not in self._values:
            path = path[:-1]
        return self._values.get(path, Location(self.path, 1, 1))

    def locate_key(self, path: YamlPath) -> Location:
        """Returns where the key at the end of a path was written, or else its value."""
        return self._keys.get(path) or self.locate(path)


def read_document(path: Path) -> Document:
    """Reads a YAML file.

    Raises:
        SuiteError: If the file cannot be read, is not UTF-8, is empty, or is not well-formed YAML.
    """
    return parse_document(_read_text(path), str(path))


def parse_document(text: str, path: str) -> Document:
    """Reads YAML text; see `read_document`.

    Args:
        text: The YAML.
        path: File name for messages.

    Raises:
        SuiteError: If it is empty or not well-formed.
    """
    try:
        root = yaml.compose(text, Loader=CoreLoader)
    except ReaderError as error:
        before = text[: error.position]
        place = Location(path, before.count("\n") + 1, error.position - before.rfind("\n"))
        raise SuiteError([(place, f"not valid YAML: {error.reason}")]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Location(path, mark.line + 1, mark.column + 1) if mark else Location(path, 1, 1)
        what = ": ".join(part for part in (error.context, error.problem) if part)
        raise SuiteError([(where, f"not valid YAML: {what}")]) from error
    except RecursionError as error:
        raise SuiteError([(Location(path, 1, 1), "not a suite: nested too deeply")]) from error
    if root is None:
        raise SuiteError(
            [(Location(path, 1, 1), "the file is empty; a suite needs at least suite, tasks, models")]
        )
    document = Document(path)
    reader = _Reader(document)
    document.tree = reader.value(root, (), ())
    return document


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise SuiteError([(None, f"{path}: no such file")]) from error
    except OSError as error:
        raise SuiteError([(None, f"{path}: cannot be read: {error.strerror or error}")]) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        byte = f"0x{data[error.start]:02x}"
        raise SuiteError([(Location(str(path), line, column), f"not UTF-8 text: byte {byte}")]) from error


@dataclass
class _Reader:
    document: Document
    count: int = 0

    def value(self, node: Node, path: YamlPath, parents: tuple[Node, ...]) -> Any:
        place = self._place(node)
        self.count += 1
        if self.count > MOST_VALUES:
            raise SuiteError([(place, f"not a suite: more than {MOST_VALUES} values")])
        if any(node is parent for parent in parents):
            raise SuiteError([(place, "an alias refers to a value that contains it")])
        self.document._values[path] = place
        if isinstance(node, MappingNode):
            return dict(self._items(node, path, (*parents, node)))
        if isinstance(node, SequenceNode):
            below = (*parents, node)
            return [self.value(item, (*path, index), below) for index, item in enumerate(node.value)]
        assert isinstance(node, ScalarNode)
        return self._scalar(node, place)

    def _items(
        self, node: MappingNode, path: YamlPath, parents: tuple[Node, ...]
    ) -> Iterator[tuple[str, Any]]:
        seen: dict[str, Location] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node)
            if not isinstance(key_node, ScalarNode) or key_node.tag != f"{TAG}str":
                text = f" {key_node.value}" if isinstance(key_node, ScalarNode) else ""
                self._problem(place, f"a key must be text, got{text or ' a collection'}; put it in quotes")
                continue
            key = str(key_node.value)
            if key in seen:
                first = seen[key]
                self._problem(
                    place, f"key '{key}' is written twice, first in line {first.line}, column {first.column}"
                )
                continue
            seen[key] = place
            self.document._keys[(*path, key)] = place
            yield key, self.value(value_node, (*path, key), parents)

    def _scalar(self, node: ScalarNode, place: Location) -> Any:
        text, kind = str(node.value), node.tag.removeprefix(TAG)
        if kind == "str":
            return text
        if kind == "null":
            return None
        try:
            if kind == "bool":
                return {"true": True, "false": False}[text.lower()]
            if kind == "int":
                return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
            if kind == "float":
                return self._float(text, place)
        except (KeyError, ValueError):
            self._problem(place, f"not a YAML {kind}: {text[:40]!r}")
            return None
        self._problem(place, f"tag {node.tag.replace(TAG, '!!')} is not allowed in a suite")
        return None

    def _float(self, text: str, place: Location) -> float:
        number = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        if not math.isfinite(number):
            self._problem(place, f"a number must be finite, got {text}")
            return 0.0
        return number

    def _problem(self, place: Location, text: str) -> None:
        self.document.problems.append((place, text))

    def _place(self, node: Node) -> Location:
        mark = node.start_mark
        return Location(self.document.path, mark.line + 1, mark.column + 1)
