"""Checkpoints: whole or absent, never half-written."""

import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

State = dict[str, Any]


def save_state(state: State, path: Path) -> None:
    """Writes tensors and plain values so that a crash leaves the old file or the new one."""
    _atomically(path, lambda temporary: torch.save(state, temporary))


def load_state(path: Path) -> State | None:
    """Returns the saved state on the CPU, or None where there is none. Loads tensors and plain values only."""
    if not path.exists():
        return None
    state: State = torch.load(path, map_location="cpu", weights_only=True)
    return state


def save_weights(weights: dict[str, Tensor], path: Path) -> None:
    """Writes weights as safetensors, atomically."""
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}
    _atomically(path, lambda temporary: save_file(plain, temporary))


def load_weights(path: Path) -> dict[str, Tensor]:
    """Returns weights saved by `save_weights`, on the CPU."""
    weights: dict[str, Tensor] = load_file(path)
    return weights


def _atomically(path: Path, write: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    os.close(handle)
    try:
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
