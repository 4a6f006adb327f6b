"""KEY=VALUE on the command line: values are YAML as in a suite, dotted keys reach into mappings."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, ScalarNode

from medseg.yaml_core import TAG, CoreLoader


class ValueProblem(ValueError):
    """A pair is not KEY=VALUE, or its value is not YAML."""


class _Loader(CoreLoader):
    """Reads values as suites do; refuses keys that are no text or written twice."""

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, ScalarNode) or key.tag != f"{TAG}str":
                raise ConstructorError(None, None, "a key must be text; put it in quotes", key.start_mark)
            if key.value in seen:
                raise ConstructorError(None, None, f"key '{key.value}' is written twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _int(_loader: _Loader, node: ScalarNode) -> int:
    text = str(node.value)
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _float(_loader: _Loader, node: ScalarNode) -> float:
    number = float(str(node.value).lower().replace(".inf", "inf").replace(".nan", "nan"))
    if not math.isfinite(number):
        raise ConstructorError(None, None, f"a number must be finite, got {node.value}", node.start_mark)
    return number


_Loader.add_constructor(f"{TAG}int", _int)
_Loader.add_constructor(f"{TAG}float", _float)


def parse_pairs(pairs: Iterable[str]) -> dict[str, Any]:
    """Reads KEY=VALUE pairs into one tree; later pairs are put over earlier ones.

    Args:
        pairs: E.g. ``"features=[8,16]"``, ``"augment.rotation_deg=30"``.

    Raises:
        ValueProblem: If a pair has no key, or its value is not YAML.
    """
    tree: dict[str, Any] = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        steps = key.strip().split(".")
        if not (sign and all(steps)):
            raise ValueProblem(f"expected KEY=VALUE, e.g. batch_size=8, got {pair!r}")
        value = _value(text, pair)
        for step in reversed(steps):
            value = {step: value}
        tree = merged(tree, value)
    return tree


def merged(
    base: Mapping[str, Any], over: Mapping[str, Any], whole: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Returns a tree of mappings with another one put over it.

    Args:
        base: Tree.
        over: What wins.
        whole: Keys whose mappings are values, not sections: they are replaced.
    """
    tree = dict(base)
    for key, value in over.items():
        below = tree.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping) and key not in whole
        tree[key] = merged(below, value, whole) if both else value  # type: ignore[arg-type]
    return tree


def _value(text: str, pair: str) -> Any:
    try:
        value = yaml.load(text, Loader=_Loader)
        json.dumps(value, allow_nan=False)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise ValueProblem(f"{pair}: not a YAML value: {problem}") from error
    return value
