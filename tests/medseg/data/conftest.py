from pathlib import Path

import numpy as np
import pytest

from medseg.data import DataSet, index_dataset, resolve_root
from medseg.tasks import TASKS, PhantomSpec, TaskSpec

SHARED = Path(__file__).parents[3].parent / "shared" / "data"


def small(name: str, patients: int) -> TaskSpec:
    task: TaskSpec = TASKS.load(name)
    return task.model_copy(update={"phantom": PhantomSpec(patients=patients, seed=3)})


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def cardiac(cache) -> DataSet:
    task = small("phantom-cardiac", 6)
    return index_dataset(task, resolve_root(task, {}, cache), cache)


@pytest.fixture(scope="session")
def lung(cache) -> DataSet:
    task = small("phantom-lung", 10)
    return index_dataset(task, resolve_root(task, {}, cache), cache)


@pytest.fixture(params=["acdc", "covid"])
def real_root(request) -> tuple[str, Path]:
    if not (SHARED / request.param).is_dir():
        pytest.skip(f"no real data at <repository>/../shared/data/{request.param}")
    return request.param, SHARED / request.param


@pytest.fixture
def write_nifti():
    import nibabel

    def write(path: Path, values: np.ndarray, zooms: tuple[float, ...] = (1.5, 1.4, 8.0)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        volume = nibabel.Nifti1Image(values, np.eye(4))
        volume.header.set_zooms((*zooms, 1.0)[: values.ndim])
        nibabel.save(volume, path)
        return path

    return write


@pytest.fixture
def write_acdc(write_nifti):
    """Writes a small ACDC of random volumes; shape (X, Y, Z) as files store it."""

    def write(root: Path, training: int = 3, testing: int = 1, shape: tuple[int, ...] = (12, 10, 3)) -> Path:
        rng = np.random.default_rng(0)
        for number in range(1, training + testing + 1):
            name = f"patient{number:03d}"
            folder = root / "database" / ("training" if number <= training else "testing") / name
            folder.mkdir(parents=True)
            (folder / "Info.cfg").write_text("ED: 1\nES: 12\nGroup: NOR\nHeight: 170.0\nNbFrame: 30\n")
            for frame in (1, 12):
                write_nifti(folder / f"{name}_frame{frame:02d}.nii.gz", rng.integers(0, 300, shape, np.int16))
                label = rng.integers(0, 4, shape, np.uint8)
                write_nifti(folder / f"{name}_frame{frame:02d}_gt.nii.gz", label)
            write_nifti(folder / f"{name}_4d.nii.gz", np.zeros((*shape, 2), np.int16))
        return root

    return write


@pytest.fixture
def write_covid():
    """Writes a small COVID-19 Radiography Dataset; returns its root's parent."""
    from PIL import Image

    def write(root: Path, names: tuple[str, ...] = ("COVID-1", "COVID-2", "COVID-10", "Normal-1")) -> Path:
        rng = np.random.default_rng(0)
        for name in names:
            folder = root / "COVID-19_Radiography_Dataset" / name.rpartition("-")[0]
            for part in ("images", "masks"):
                (folder / part).mkdir(parents=True, exist_ok=True)
            image = rng.integers(0, 256, (299, 299), np.uint8)
            Image.fromarray(image).save(folder / "images" / f"{name}.png")
            mask = np.repeat(rng.integers(0, 2, (256, 256, 1), np.uint8) * 255, 3, axis=2)
            Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
        return root

    return write
