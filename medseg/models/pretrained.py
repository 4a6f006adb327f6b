"""Weights from local files into a hybrid vision transformer's encoder, with a report of what matched."""

import hashlib
import logging
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from torch import Tensor, nn

from medseg.errors import ModelError
from medseg.models.pretrained_names import POSITIONS, Translation, translate
from medseg.models.vit import resample_grid
from medseg.models.weight_files import read_weights

ENCODER = (POSITIONS, "resnet.", "patch_embedding.", "encoder.")
POSITION_GRID = "position_grid"
STEM = "resnet.stem_conv.weight"
SHOWN = 5

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class MatchReport:
    """What of a file went into a model. `str` of it is for readers.

    Args:
        file: Path of the file.
        sha256: Of its content, 64 hexadecimal digits.
        layout: Whose names the file uses.
        loaded: The model's tensors that were taken from it, those in `interpolated` and `averaged` among them.
        interpolated: Those that were interpolated, and how.
        averaged: Those whose input channels were averaged, and how.
        skipped: Names in the file that have no place in the model.
        initialised: The model's tensors that the file does not have.
    """

    file: str
    sha256: str
    layout: str
    loaded: tuple[str, ...]
    interpolated: Mapping[str, str] = field(default_factory=dict)
    averaged: Mapping[str, str] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    initialised: tuple[str, ...] = ()

    def __str__(self) -> str:
        total = len(self.loaded) + len(self.initialised)
        lines = [
            f"pretrained weights {self.file} ({self.layout}, sha256 {self.sha256[:12]}): "
            f"{len(self.loaded)} of the model's {total} tensors"
        ]
        adapted = {"interpolated": self.interpolated, "averaged": self.averaged}
        for word, notes in adapted.items():
            lines += [f"  {word}: {name}, {note}" for name, note in notes.items()]
        if self.skipped:
            lines.append(f"  skipped in the file: {_few(self.skipped)}")
        if self.initialised:
            parts = Counter(name.partition(".")[0] for name in self.initialised)
            counts = ", ".join(f"{part} ({count})" for part, count in parts.items())
            lines.append(f"  left as initialised: {counts}")
        return "\n".join(lines)


def weights_dir() -> Path:
    """Returns the folder of weight files: MEDSEG_WEIGHTS, else ``weights`` in the cache folder."""
    given, cache = os.environ.get("MEDSEG_WEIGHTS"), os.environ.get("MEDSEG_CACHE")
    if given:
        return Path(given).expanduser()
    return (Path(cache).expanduser() if cache else Path.home() / ".cache" / "medseg-bench") / "weights"


def locate(name: str) -> Path:
    """Returns where a weight file is looked for: an absolute path as it is, else in `weights_dir`."""
    return weights_dir() / Path(name).expanduser()


def known_sha256(name: str) -> str | None:
    """Returns the SHA-256 of a weight file's content, or none if there is no such file to be read."""
    path = locate(name)
    try:
        stat = path.stat()
        return _sha256(path, stat.st_mtime_ns, stat.st_size) if path.is_file() else None
    except OSError:
        return None


def load_pretrained(
    model: nn.Module, name: str, sha256: str | None, grid: tuple[int, int], heads: int
) -> MatchReport:
    """Puts a file's weights into a model; logs and returns what matched.

    The file must hold all of the encoder: ResNet, patch embedding, position embeddings and transformer. Blocks
    that it has beyond the model's are skipped. Decoder and head are loaded from files of our own names where
    shapes agree, and stay as initialised otherwise, as they do with ImageNet weights.

    Position embeddings for another grid are interpolated (`resample_grid`). A stem for another number of image
    channels is averaged: each channel gets the mean over the file's channels. Its size is of no importance, as
    the stem's weights are standardised.

    Args:
        model: With the names of `TransUNet`. It is changed only if everything fits.
        name: File name in `weights_dir`, or an absolute path.
        sha256: What the content must be; none: anything.
        grid: Rows and columns of the model's position embeddings.
        heads: Attention heads of the model.

    Returns:
        What matched.

    Raises:
        ModelError: If the file is missing, unreadable, of other content, or does not hold the encoder; the
            message lists what did not fit.
    """
    path, content = locate(name), known_sha256(name)
    if content is None:
        raise ModelError(
            f"pretrained weights not found: {path} is no file that can be read "
            "(MEDSEG_WEIGHTS names the folder of relative names)"
        )
    if sha256 not in (None, content):
        raise ModelError(f"pretrained weights {path} must have sha256 {sha256}, got {content}: another file")
    found = translate(read_weights(path))
    if found.heads not in (None, heads):
        raise ModelError(
            f"pretrained weights {path} are for {found.heads} attention heads, the model has {heads}"
        )
    matching = _Matching(found, grid)
    matching.run(model.state_dict())
    skipped = tuple(dict.fromkeys((*found.unknown, *map(found.source, matching.unused()))))
    if matching.wrong:
        total = sum(key.startswith(ENCODER) for key in model.state_dict())
        instead = f" (without a place: {_few(skipped)})" if skipped else ""
        raise ModelError(
            f"pretrained weights {path} don't fit: {len(matching.wrong)} of the encoder's {total} tensors: "
            f"{_few(matching.wrong, '; ')}{instead}"
        )
    report = MatchReport(
        file=str(path),
        sha256=content,
        layout=found.layout,
        loaded=tuple(matching.fitting),
        interpolated=matching.interpolated,
        averaged=matching.averaged,
        skipped=skipped,
        initialised=tuple(matching.initialised),
    )
    if not next(model.parameters()).is_meta:  # a model without numbers is only counted
        model.load_state_dict(matching.fitting, strict=False)
    logger.info("%s", report)
    return report


class _Matching:
    """Goes through a model's tensors and sorts out what a file has for them."""

    def __init__(self, found: Translation, grid: tuple[int, int]):
        self.found, self.grid = found, grid
        self.fitting: dict[str, Tensor] = {}
        self.interpolated: dict[str, str] = {}
        self.averaged: dict[str, str] = {}
        self.initialised: list[str] = []
        self.wrong: list[str] = []

    def run(self, wanted: Mapping[str, Tensor]) -> None:
        for name, target in wanted.items():
            if name == POSITION_GRID:
                continue
            given = self.found.tensors.get(name)
            fitted = None if given is None else self._fit(name, given, target)
            if given is not None and given.is_floating_point() != target.is_floating_point():
                self.wrong.append(f"{name} holds {given.dtype}, must be {target.dtype}")
            elif fitted is not None and not bool(fitted.isfinite().all()):
                self.wrong.append(f"{name} has values that are NaN or infinite")
            elif fitted is not None:
                self.fitting[name] = fitted
            elif not name.startswith(ENCODER):
                self.initialised.append(name)
            elif given is None:
                self.wrong.append(f"{name} is missing")
            else:
                unplaced = name == POSITIONS and given.shape[-1] == target.shape[-1]
                why = "on an unknown grid, " if unplaced else ""
                self.wrong.append(f"{name} is {_shape(given)}, {why}must be {_shape(target)}")

    def unused(self) -> list[str]:
        return [name for name in self.found.tensors if name not in self.fitting and name != POSITION_GRID]

    def _fit(self, name: str, given: Tensor, target: Tensor) -> Tensor | None:
        if name == POSITIONS and given.ndim == 3 and given.shape[2] == target.shape[2]:
            found = self._interpolate(given)
            if found is None:
                return None
            given = found
        elif name == STEM and given.ndim == 4 and given.shape[1] != target.shape[1]:
            self.averaged[name] = f"{given.shape[1]} input channels into {target.shape[1]}"
            given = given.mean(dim=1, keepdim=True).expand(-1, target.shape[1], -1, -1)
        return given if given.shape == target.shape else None

    def _interpolate(self, given: Tensor) -> Tensor | None:
        """Our files say which grid the positions lie on; others' lie on a square."""
        old = self._grid_of(given.shape[1])
        if old is None or old == self.grid:
            return None if old is None else given
        self.interpolated[POSITIONS] = f"{old[0]} x {old[1]} to {self.grid[0]} x {self.grid[1]}"
        return resample_grid(given, old, self.grid)

    def _grid_of(self, count: int) -> tuple[int, int] | None:
        told = self.found.tensors.get(POSITION_GRID)
        if told is not None and told.numel() == 2:
            rows, columns = (int(side) for side in told.flatten())
            return (rows, columns) if rows * columns == count else None
        side = math.isqrt(count)
        if side**2 != count:
            return None
        # Ours without their grid are taken for a square only where the model needs that very square.
        return (side, side) if self.found.foreign or self.grid == (side, side) else None


@lru_cache(maxsize=64)
def _sha256(path: Path, mtime_ns: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _few(names: Iterable[str], separator: str = ", ") -> str:
    listed = list(names)
    more = f"{separator}and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return separator.join(listed[:SHOWN]) + more


def _shape(tensor: Tensor) -> str:
    return " x ".join(str(side) for side in tensor.shape) or "a number"
