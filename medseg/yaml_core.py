"""How plain words and numbers in YAML are read, alike in suites and on command lines."""

import re
from typing import Any

import yaml

TAG = "tag:yaml.org,2002:"
_NUMBER_START = list("-+0123456789.")


class CoreLoader(yaml.SafeLoader):
    """Resolves plain scalars by the core schema of YAML 1.2: `no` is text, `1e-4` is a number."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own interface


for _kind, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", _NUMBER_START),
    (
        "float",
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        _NUMBER_START,
    ),
):
    CoreLoader.add_implicit_resolver(TAG + _kind, re.compile(_pattern), _first)
