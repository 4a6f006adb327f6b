"""What a large set of X-rays costs: looking at it the first time and again, preparing it, opening it, and memory.

``python benchmarks/scale.py [--images 21165]`` writes generated X-rays (no two alike) in the layout of the COVID-19
Radiography Database, 21,165 images as in the download, and walks the way of a first and of a second trial.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from medseg.data import index_dataset, make_split, prepare
from medseg.data.formats.covid_radiography import CLASSES
from medseg.tasks import TASKS

SHARES = {"COVID": 0.171, "Lung_Opacity": 0.284, "Normal": 0.482, "Viral Pneumonia": 0.063}


def write(root: Path, images: int) -> None:
    """Smooth random pictures of the right sizes, as quick to write as PNG allows."""
    rng = np.random.default_rng(0)
    for name in CLASSES:
        for part in ("images", "masks"):
            (root / name / part).mkdir(parents=True)
        for number in range(1, round(images * SHARES[name]) + 1):
            coarse = Image.fromarray(rng.integers(0, 256, (24, 24), np.uint8))
            smooth = np.asarray(coarse.resize((299, 299), Image.Resampling.BICUBIC), np.float32)
            picture = np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(root / name / "images" / f"{name}-{number}.png", compress_level=1)
            mask = np.asarray(coarse.resize((256, 256), Image.Resampling.BICUBIC)) > 128
            channels = np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2)
            Image.fromarray(channels).save(root / name / "masks" / f"{name}-{number}.png", compress_level=1)


def timed(what: str, call: Callable[[], object]) -> None:
    started = time.perf_counter()
    call()
    print(f"{what:44} {time.perf_counter() - started:8.1f} s", flush=True)


def trial(root: Path, cache: Path, queue: "multiprocessing.Queue[tuple[float, float, float]]") -> None:
    """Opens the data as a trial does, reads 200 random batches; reports seconds and private memory in MB."""
    task = TASKS.load("covid-lung")
    before = private_mb()
    started = time.perf_counter()
    dataset = index_dataset(task, root, cache)
    make_split(task, dataset)
    prepared = prepare(task, dataset, cache)
    opened = time.perf_counter() - started
    rng = np.random.default_rng(0)
    started = time.perf_counter()
    for _ in range(200):
        prepared.images[rng.integers(len(prepared.images), size=16)]
    queue.put((opened, (time.perf_counter() - started) / 200 * 1e3, private_mb() - before))


def private_mb() -> float:
    """Memory that is this process's own; pages of mapped files are the page cache's, shared by all."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=21165)
    images = parser.parse_args().images
    task = TASKS.load("covid-lung")
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        root, cache = Path(folder) / "data", Path(folder) / "cache"
        timed(f"write {images} images (not ours)", lambda: write(root, images))
        timed("index: hash, decode, compare all pairs", lambda: index_dataset(task, root, cache))
        timed("index again", lambda: index_dataset(task, root, cache))
        dataset = index_dataset(task, root, cache)
        print(f"  {dataset.notes[0]}")
        timed("split", lambda: make_split(task, dataset))
        timed("prepare: one pass", lambda: prepare(task, dataset, cache))
        timed("prepare again: open", lambda: prepare(task, dataset, cache))
        size = sum(path.stat().st_size for path in (cache / "prepared").rglob("*.npy"))
        print(
            f"prepared arrays {size / 1e9:.2f} GB; peak memory of this process "
            f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB"
        )
        spawn = multiprocessing.get_context("spawn")
        queue: multiprocessing.Queue[tuple[float, float, float]] = spawn.Queue()
        for number in (1, 2):
            process = spawn.Process(target=trial, args=(root, cache, queue))
            process.start()
            opened, batch_ms, memory = queue.get()
            process.join()
            print(
                f"trial {number}: open {opened:.2f} s, gather of 16 {batch_ms:.2f} ms, own memory {memory:.0f} MB"
            )


if __name__ == "__main__":
    main()
