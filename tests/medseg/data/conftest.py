import json
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
def write_image(write_nifti):
    """Writes values as the extension says: (X, Y[, Z][, C]) to NIfTI and NRRD, (H, W[, C]) to pictures."""
    import nrrd
    from PIL import Image

    def write(path: Path, values: np.ndarray) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name.endswith((".nii", ".nii.gz")):
            return write_nifti(path, values)
        if path.suffix in (".nrrd", ".nhdr"):
            nrrd.write(str(path), values, {"spacings": (1.5, 1.4, 8.0)[: values.ndim]})
        else:
            Image.fromarray(values).save(path)
        return path

    return write


@pytest.fixture
def make_task():
    """Makes a task of one's own, as a suite does."""

    def make(layout: str, **settings) -> TaskSpec:
        given = {"name": "mine", "dataset": "mine", "format": layout, "labels": {"a": 1, "b": 2}}
        pictures = layout in ("folder", "covid_radiography") and "file_spacing_mm" not in settings
        return TaskSpec(**given | {"image_size": (16, 16), "unit": "px" if pictures else "mm"} | settings)

    return make


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

    def write(
        root: Path,
        names: tuple[str, ...] = ("COVID-1", "COVID-2", "COVID-10", "Normal-1"),
        pages: dict[str, str] | None = None,
    ) -> Path:
        rng = np.random.default_rng(0)
        for name in names:
            folder = root / "COVID-19_Radiography_Dataset" / name.rpartition("-")[0]
            for part in ("images", "masks"):
                (folder / part).mkdir(parents=True, exist_ok=True)
            image = rng.integers(0, 256, (299, 299), np.uint8)
            Image.fromarray(image).save(folder / "images" / f"{name}.png")
            mask = np.repeat(rng.integers(0, 2, (256, 256, 1), np.uint8) * 255, 3, axis=2)
            Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
        for name, page in (pages or {}).items():
            _add_to_sheet(root / "COVID-19_Radiography_Dataset", name, page)
        return root

    return write


def _add_to_sheet(root: Path, name: str, page: str) -> None:
    import openpyxl

    sheet = root / f"{name.rpartition('-')[0]}.metadata.xlsx"
    book = openpyxl.load_workbook(sheet) if sheet.exists() else openpyxl.Workbook()
    if not sheet.exists():
        book.active.append(["FILE NAME", "FORMAT", "SIZE", "URL"])
    book.active.append([name.replace("Normal", "NORMAL"), "PNG", "256*256", page])
    book.save(sheet)


@pytest.fixture
def write_nnunet(write_image):
    """Writes a small nnU-Net raw data set of random cases; returns its folder."""

    def write(
        root: Path,
        train: tuple[str, ...] = ("case_1", "case_2", "case_10"),
        test: tuple[str, ...] = (),
        channels: int = 1,
        ending: str = ".nii.gz",
        shape: tuple[int, ...] = (12, 10, 3),
        **description,
    ) -> Path:
        rng = np.random.default_rng(0)
        kind = np.uint8 if len(shape) == 2 else np.int16
        for tail, names in (("Tr", train), ("Ts", test)):
            for name in names:
                for channel in range(channels):
                    image = rng.integers(0, 256, shape, kind)
                    write_image(root / f"images{tail}" / f"{name}_{channel:04d}{ending}", image)
                label = rng.integers(0, 3, shape, np.uint8)
                write_image(root / f"labels{tail}" / f"{name}{ending}", label)
        says = {
            "channel_names": {str(channel): f"T{channel}" for channel in range(channels)},
            "labels": {"background": 0, "a": 1, "b": 2},
            "numTraining": len(train),
            "file_ending": ending,
        }
        (root / "dataset.json").write_text(json.dumps(says | description), encoding="utf-8")
        return root

    return write


@pytest.fixture
def write_decathlon(write_nifti):
    """Writes a small task of the Decathlon; several channels make 4D files."""

    def write(root: Path, names: tuple[str, ...] = ("la_3", "la_10", "la_7"), channels: int = 1) -> Path:
        rng = np.random.default_rng(0)
        for name in names:
            shape = (12, 10, 3) if channels == 1 else (12, 10, 3, channels)
            write_nifti(root / "imagesTr" / f"{name}.nii.gz", rng.integers(0, 256, shape, np.int16))
            write_nifti(root / "labelsTr" / f"{name}.nii.gz", rng.integers(0, 3, (12, 10, 3), np.uint8))
            (root / "imagesTr" / f"._{name}.nii.gz").write_bytes(b"Mac OS X")
        write_nifti(root / "imagesTs" / "la_1.nii.gz", np.zeros((12, 10, 3), np.int16))
        says = {
            "name": "Heart",
            "modality": {str(channel): "MRI" for channel in range(channels)},
            "labels": {"0": "background", "1": "a", "2": "b"},
            "numTraining": len(names),
            "training": [
                {"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in names
            ],
            "test": ["./imagesTs/la_1.nii.gz"],
        }
        (root / "dataset.json").write_text(json.dumps(says), encoding="utf-8")
        return root

    return write


@pytest.fixture
def write_folder(write_image):
    """Writes images and masks of a plain folder; a tail goes between a mask's name and its extension."""

    def write(
        root: Path,
        names: tuple[str, ...] = ("P1_2", "P1_10", "P2_1"),
        ending: str = ".png",
        mask_ending: str = "",
        tail: str = "",
        shape: tuple[int, ...] = (12, 10),
        masks: str = "masks",
    ) -> Path:
        rng = np.random.default_rng(0)
        for name in names:
            write_image(root / "images" / f"{name}{ending}", rng.integers(0, 256, shape, np.uint8))
            mask = rng.integers(0, 3, shape, np.uint8)
            write_image(root / masks / f"{name}{tail}{mask_ending or ending}", mask)
        return root

    return write
