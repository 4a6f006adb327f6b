from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image


def _write(path: Path, values: np.ndarray, zooms: tuple[float, ...] = (1.5, 1.4, 8.0)) -> Path:
    """Writes values slowest axis first: (Z, Y, X) or (Y, X) to NIfTI, (Y, X[, C]) to pictures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith((".nii", ".nii.gz")):
        volume = nibabel.Nifti1Image(values.T, np.eye(4))
        volume.header.set_zooms(zooms[: values.ndim])
        nibabel.save(volume, path)
    elif path.suffix == ".nrrd":
        import nrrd

        nrrd.write(str(path), values.T, {"spacings": zooms[: values.ndim]})
    else:
        Image.fromarray(values).save(path)
    return path


@pytest.fixture
def write():
    return _write


def _blob(*shape: int, value: int = 1, at: int = 2, size: int = 3) -> np.ndarray:
    """A cube of one value, the background 0."""
    values = np.zeros(shape, np.uint8)
    values[tuple(slice(at, at + size) for _ in shape)] = value
    return values


@pytest.fixture
def blob():
    return _blob


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path]:
    """Three cases of 9 x 10 x 11 voxels, labels 1 and 2, predicted one voxel off."""
    rng = np.random.default_rng(0)
    for name in ("p1_ed", "p1_es", "p2_ed"):
        values = rng.integers(0, 3, (9, 10, 11), np.uint8)
        _write(tmp_path / "reference" / f"{name}.nii.gz", values)
        _write(tmp_path / "prediction" / f"{name}.nii.gz", np.roll(values, 1, axis=2))
    return tmp_path / "reference", tmp_path / "prediction"
