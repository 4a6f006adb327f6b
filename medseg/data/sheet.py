"""Contact sheets: slices of many cases with their labels' outlines, to be looked at.

``python -m medseg.data.sheet TASK [--data NAME=PATH] [-o sheet.png] [--prepared]``
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medseg.data.cache import cache_dir
from medseg.data.case import Case, DataSet
from medseg.data.index import index_dataset, resolve_root
from medseg.data.load import load_image, load_label
from medseg.data.prepared import prepare
from medseg.errors import DataError, MedsegError
from medseg.tasks import TASKS, TaskSpec

TILE = 192
_COLOURS = ((60, 160, 255), (80, 230, 90), (255, 80, 60), (255, 200, 40), (220, 80, 255))

Picture = NDArray[np.uint8]


def sheet(task: TaskSpec, dataset: DataSet, rows: int, columns: int, cache: Path | None = None) -> Picture:
    """Draws a contact sheet: a row per case of a volume, or pictures in reading order.

    Args:
        task: Gives the labels.
        dataset: The cases; shown are some from all over the list.
        rows: Rows of tiles.
        columns: Tiles in a row; a volume shows as many of its slices.
        cache: If given, the sheet shows the prepared arrays in this cache instead of the files.

    Returns:
        RGB picture, uint8 (rows * tile, columns * tile, 3), fewer rows if there are fewer cases.
    """
    volumes = len(dataset.cases[0].shape) == 3
    wanted = rows if volumes else rows * columns
    count = min(wanted, len(dataset.cases))
    chosen = [dataset.cases[i] for i in np.linspace(0, len(dataset.cases) - 1, count).astype(int)]
    tiles: list[Picture] = []
    for case in chosen:
        image, label = _pixels(task, dataset, case, cache)
        low, high = np.quantile(image, (0.005, 0.995))
        grey = np.clip((image - low) / max(high - low, 1e-8), 0, 1)
        for index in np.linspace(0, len(image) - 1, columns if volumes else 1).astype(int):
            tiles.append(tile(grey[index], label[index]))
    blank = np.zeros((TILE, TILE, 3), dtype=np.uint8)
    tiles += [blank] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)])


def tile(grey: NDArray[np.floating], label: NDArray[np.uint8]) -> Picture:
    """Draws one slice with the outlines of its labels.

    Args:
        grey: (H, W), from 0 to 1; may be on a finer or coarser grid than the label.
        label: (h, w), class indices.

    Returns:
        RGB picture of `TILE` x `TILE`, the slice centred with its proportions kept.
    """
    from PIL import Image

    scale = TILE / max(grey.shape)
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    picture = Image.fromarray(np.round(grey * 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    classes = np.asarray(Image.fromarray(label).resize(size, Image.Resampling.NEAREST))
    colour = np.repeat(np.asarray(picture)[..., None], 3, axis=2)
    for index in range(1, int(label.max()) + 1):
        colour[outline(classes == index)] = _COLOURS[(index - 1) % len(_COLOURS)]
    framed = np.zeros((TILE, TILE, 3), dtype=np.uint8)
    top, left = (TILE - size[1]) // 2, (TILE - size[0]) // 2
    framed[top : top + size[1], left : left + size[0]] = colour
    return framed


def outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Returns the pixels of a mask (H, W) that touch its outside."""
    padded = np.pad(mask, 1)
    inner = padded[2:, 1:-1] & padded[:-2, 1:-1] & padded[1:-1, 2:] & padded[1:-1, :-2]
    return mask & ~inner


def _pixels(
    task: TaskSpec, dataset: DataSet, case: Case, cache: Path | None
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Image and class indices, both (S, H, W)."""
    if cache is not None:
        prepared = prepare(task, dataset, cache)
        part = prepared.slices(case.id)
        return prepared.images[part, 0], prepared.labels[part]
    image, label = load_image(case)[0], load_label(case, task)
    return (image, label) if image.ndim == 3 else (image[None], label[None])


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws a sheet as the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m medseg.data.sheet", description="Draw a contact sheet.")
    parser.add_argument("task", help="a task's name, e.g. phantom-cardiac")
    parser.add_argument(
        "--data", action="append", default=[], metavar="NAME=PATH", help="folder of a data set"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("sheet.png"))
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--prepared", action="store_true", help="show what the network sees")
    given = parser.parse_args(arguments)
    try:
        task = TASKS.load(given.task)
        cache = cache_dir()
        dataset = index_dataset(task, resolve_root(task, _roots(given.data), cache), cache)
        drawn = sheet(task, dataset, given.rows, given.columns, cache if given.prepared else None)
        _save(drawn, given.output)
    except MedsegError as error:
        sys.stderr.write(f"{error}\n")
        return 3 if isinstance(error, DataError) else 2
    sys.stdout.write(f"{given.output}: {len(dataset.cases)} cases of {len(dataset.patients)} patients\n")
    return 0


def _roots(pairs: Sequence[str]) -> dict[str, Path]:
    roots = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not (name and equals and path):
            raise DataError(f"--data must read NAME=PATH, got '{pair}'")
        roots[name] = Path(path)
    return roots


def _save(picture: Picture, path: Path) -> None:
    from PIL import Image

    try:
        Image.fromarray(picture).save(path)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot write {path}: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
