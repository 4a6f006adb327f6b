"""What a checkpoint says of itself, without its tensors. Imports no torch."""

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medseg.training.progress import Progress

METADATA, STRUCTURE = "__metadata__", "medseg.state"
DAMAGE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading raises where the bytes are not what they should be."""


def read_header(file: io.BufferedReader) -> tuple[dict[str, Any], int, int]:
    """Returns the header of an open safetensors file, where the tensors' bytes begin, and the file's size.

    Raises:
        ValueError: If there is none, or another of `DAMAGE`.
    """
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if not 0 < length <= size - 8:
        raise ValueError("it has no header")
    header: dict[str, Any] = json.loads(file.read(length))
    return header, 8 + length, size


def unpack(node: Any, tensors: Mapping[str, Any]) -> Any:
    """Returns the value that was written as this JSON."""
    if not isinstance(node, dict):
        return node
    ((kind, content),) = node.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: unpack(item, tensors) for key, item in content}
    items = (unpack(item, tensors) for item in content)
    return {"list": list, "tuple": tuple}[kind](items)


def read_progress(path: Path) -> Progress | None:
    """Returns where the run of a checkpoint stands; none where there is no checkpoint that can be read."""
    try:
        with open(path, "rb") as file:
            header, _, _ = read_header(file)
        state = dict(json.loads(header[METADATA][STRUCTURE])["dict"])
        return Progress(**unpack(state["progress"], {}))
    except (OSError, *DAMAGE):
        return None
