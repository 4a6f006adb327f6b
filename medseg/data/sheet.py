"""Contact sheets: slices of many cases with their labels' outlines, to be looked at.

``bench data check TASK --png sheet.png`` draws one of a data set as it is checked.
``python -m medseg.data.sheet TASK [--data NAME=PATH] [-o sheet.png] [--prepared]`` draws it alone, or as the network
sees it.
"""

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medseg.data.build import prepare
from medseg.data.cache import cache_dir
from medseg.data.case import Case, DataSet
from medseg.data.draw import TILE, Picture, planes, scaled, tile
from medseg.data.index import index_dataset, resolve_root
from medseg.data.load import load_image, load_label
from medseg.errors import DataError, MedsegError
from medseg.tasks import TASKS, TaskSpec


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
        grey = scaled(image)
        for index in np.linspace(0, len(image) - 1, columns if volumes else 1).astype(int):
            tiles.append(tile(grey[index], label[index]))
    blank = np.zeros((TILE, TILE, 3), dtype=np.uint8)
    tiles += [blank] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)])


def draw_sheet(task: TaskSpec, dataset: DataSet, rows: int, columns: int) -> bytes:
    """Returns a contact sheet as the content of a PNG file; see `sheet`."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(sheet(task, dataset, rows, columns)).save(file, format="PNG")
    return file.getvalue()


def _pixels(
    task: TaskSpec, dataset: DataSet, case: Case, cache: Path | None
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Image and class indices, both (S, H, W)."""
    if cache is not None:
        prepared = prepare(task, dataset, cache)
        part = prepared.slices(case.id)
        return prepared.images[part, 0].astype(np.float32), prepared.labels[part]
    return planes(load_image(case, task), load_label(case, task, dataset.values))


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
