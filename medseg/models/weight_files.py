"""Reads files of weights without running what is in them."""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from medseg.errors import ModelError

# Where training scripts put the weights within a checkpoint, and what wrappers put before each name.
WRAPPED_IN = ("state_dict", "model")
PREFIXES = ("module.", "_orig_mod.")
SUFFIXES = (".npz", ".safetensors", ".pth", ".pt")

_UNREADABLE = (
    OSError,
    EOFError,
    KeyError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    SafetensorError,
)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Reads named tensors; nothing in the file is executed.

    Args:
        path: ``.npz`` without pickled objects, ``.safetensors``, or ``.pth`` and ``.pt`` as `torch.load` reads them
            with ``weights_only=True``: a state dict, or a checkpoint that holds one under ``state_dict`` or
            ``model``. A prefix ``module.`` or ``_orig_mod.`` that all names have is dropped.

    Returns:
        Tensors on the CPU by name.

    Raises:
        ModelError: If the file is of another kind, damaged, asks for code to be run, or holds no tensors.
    """
    if path.suffix not in SUFFIXES:
        raise ModelError(f"weights {path} must be one of {', '.join(SUFFIXES)}, got '{path.suffix}'")
    try:
        tensors = _read(path)
    except _UNREADABLE as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        raise ModelError(f"weights {path} cannot be read: {type(error).__name__}: {reason}") from error
    if not tensors:
        raise ModelError(f"weights {path} hold no tensors")
    return tensors


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".npz":
        # numpy leaves a damaged file open that it has opened itself.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    if path.suffix == ".safetensors":
        return _unprefixed(load_file(path))
    return _unprefixed(_unwrapped(torch.load(path, map_location="cpu", weights_only=True)))


def _unwrapped(loaded: Any) -> Any:
    for key in WRAPPED_IN:
        inner = loaded.get(key) if isinstance(loaded, Mapping) else None
        if isinstance(inner, Mapping):
            return _unwrapped(inner)
    return loaded


def _unprefixed(loaded: Any) -> dict[str, Tensor]:
    if not isinstance(loaded, Mapping):
        raise TypeError(f"needs tensors by name, got {type(loaded).__name__}")
    tensors = {str(key): value for key, value in loaded.items() if isinstance(value, Tensor)}
    for prefix in PREFIXES * 2:
        if tensors and all(key.startswith(prefix) for key in tensors):
            tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
    return tensors
