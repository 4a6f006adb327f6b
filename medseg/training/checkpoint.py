"""Checkpoints: whole or absent, never half-written, and nothing in them is executed.

A file is in the safetensors format (https://huggingface.co/docs/safetensors): the length of a JSON header in 8
bytes, the header, the tensors' bytes. It is written and read here with plain calls, tensor by tensor: a GPU's state
needs no second copy of it on the host, and a disk that fails is an error with its reason. A file that is mapped into
memory would end the process with SIGBUS then.
"""

import fcntl
import glob
import io
import json
import logging
import math
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medseg.components import one_line
from medseg.errors import DataError
from medseg.training.checkpoint_header import DAMAGE, METADATA, STRUCTURE, read_header, unpack
from medseg.training.outcome import StorageError

State = dict[str, Any]

logger = logging.getLogger(__name__)

_FLOATS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_RARE = {"F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "C64": torch.complex64}
_SIGNED = {"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8}
_UNSIGNED = {"U64": torch.uint64, "U32": torch.uint32, "U16": torch.uint16, "U8": torch.uint8}
_DTYPES = _FLOATS | _RARE | _SIGNED | _UNSIGNED | {"BOOL": torch.bool}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}


def save_state(state: State, path: Path) -> None:
    """Writes tensors and plain values so that a crash leaves the old file or the new one.

    Args:
        state: Nested dicts (keys: str or int), lists and tuples of tensors on any device, str, int, float, bool and
            None. A tensor that is in it twice is written once.
        path: Where; its folder is made.

    Raises:
        StorageError: If the disk is full, read-only or gone; `path` is as before.
        TypeError: If the state holds anything else.
    """
    kept: dict[Any, tuple[str, Tensor]] = {}
    structure = json.dumps(_pack(state, kept, "state"))
    _write_atomically(path, dict(kept.values()), {STRUCTURE: structure})


def load_state(path: Path) -> State | None:
    """Returns the saved state on the CPU, or None where there is none.

    A file that is damaged, or no state, is moved to ``<name>.damaged`` with a warning, and counts as none.
    Tensors come back contiguous; those that shared all of their memory still do.

    Raises:
        StorageError: If the disk fails.
    """
    with _storage("read", path):
        _remove_orphans(path)
        if not path.exists():
            return None
        try:
            metadata, tensors = _read(path)
            state: State = unpack(json.loads(metadata[STRUCTURE]), tensors)
            return state
        except DAMAGE as error:
            aside = path.with_name(f"{path.name}.damaged")
            # Another process of the same trial may have been faster.
            with suppress(FileNotFoundError):
                os.replace(path, aside)
            reason = f"{type(error).__name__}: {one_line(error)}"
            logger.warning("no checkpoint in %s (%s): training starts anew, see %s", path, reason, aside.name)
            return None


def save_weights(
    weights: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Writes weights as safetensors, atomically.

    Args:
        weights: Tensors by name, on any device.
        path: Where; its folder is made.
        metadata: What else the file should say of itself, e.g. the trial's id; ``safe_open(path).metadata()`` tells.

    Raises:
        StorageError: If the disk is full, read-only or gone; `path` is as before.
    """
    _write_atomically(path, weights, {"format": "pt"} | dict(metadata or {}))


def load_weights(path: Path) -> dict[str, Tensor]:
    """Returns weights saved by `save_weights`, or another safetensors file's, on the CPU.

    Raises:
        DataError: If the file is damaged or none of safetensors.
        StorageError: If there is none, or the disk fails.
    """
    with _storage("read", path):
        try:
            return _read(path)[1]
        except DAMAGE as error:
            raise DataError(f"{path} is no whole safetensors file: {one_line(error)}") from error


def _pack(value: Any, kept: dict[Any, tuple[str, Tensor]], where: str) -> Any:
    """Returns a value as JSON can hold it; its tensors go to `kept`, under names of their own."""
    if isinstance(value, Tensor) and value.layout == torch.strided and value.dtype in _CODES:
        memory = (value.device, value.data_ptr(), value.dtype, value.shape, value.stride())
        name, _ = kept.setdefault((memory, value.is_conj(), value.is_neg()), (str(len(kept)), value))
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[_key(key, where), _pack(value[key], kept, f"{where}[{key!r}]")] for key in value]}
    if isinstance(value, list | tuple):
        items = [_pack(item, kept, f"{where}[{place}]") for place, item in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": items}
    if value is None or isinstance(value, str | int | float):
        return value
    kind = f"{value.dtype} {value.layout} tensor" if isinstance(value, Tensor) else type(value).__name__
    raise TypeError(f"a checkpoint holds dense tensors and plain values; {where} is of type {kind}")


def _key(key: Any, where: str) -> str | int:
    if isinstance(key, str | int):
        return key
    raise TypeError(f"keys in a checkpoint are str or int; {where} has {key!r}")


def _write(file: io.BufferedWriter, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    header: dict[str, Any] = {METADATA: dict(metadata)}
    # Wide elements first: each tensor then starts at a multiple of its element's size, as readers want it.
    ordered = sorted(tensors.items(), key=lambda item: -item[1].element_size())
    end = 0
    for name, tensor in ordered:
        begin, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _CODES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for _, tensor in ordered:
        file.write(_bytes(tensor.detach().resolve_conj().resolve_neg().cpu().contiguous()))


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    with open(path, "rb") as file:
        header, start, size = read_header(file)
        metadata: dict[str, str] = header.pop(METADATA, {})
        return metadata, {name: _read_tensor(file, entry, start, size) for name, entry in header.items()}


def _read_tensor(file: io.BufferedReader, entry: dict[str, Any], start: int, size: int) -> Tensor:
    dtype, shape, (begin, end) = _DTYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
    expected = math.prod(shape) * dtype.itemsize
    if min(begin, *shape, 0) < 0 or end - begin != expected or start + end > size:
        raise ValueError("it is cut short, or its header is wrong")
    tensor = torch.empty(shape, dtype=dtype)
    file.seek(start + begin)
    if file.readinto(_bytes(tensor)) != expected:
        raise ValueError("it is cut short")
    return tensor


def _bytes(tensor: Tensor) -> memoryview:
    """Returns the memory of a contiguous tensor on the CPU."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def _write_atomically(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    draft = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
    with _storage("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_orphans(path)
        try:
            with open(draft, "xb") as file:
                with suppress(OSError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _write(file, tensors, metadata)
                file.flush()
                os.fsync(file.fileno())
                os.replace(draft, path)
        finally:
            with suppress(OSError):
                draft.unlink()
    # The file is in its place by now, and not every file system can flush a folder.
    with suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _remove_orphans(path: Path) -> None:
    """Removes what processes left that were killed while they wrote; who writes still holds a lock."""
    for draft in path.parent.glob(f".{glob.escape(path.name)}-*"):
        # NFS locks only what is open for writing.
        with suppress(OSError), open(draft, "rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.unlink()


@contextmanager
def _storage(action: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # One without a number comes from a time limit, not from the disk.
        if isinstance(error, TimeoutError) and error.errno is None:
            raise
        kept = "what it held before is kept" if os.path.exists(path) else "there was none before"
        kept = f"; {kept}" if action == "write" else ""
        raise StorageError(f"cannot {action} {path}: {error.strerror or one_line(error)}{kept}") from error
