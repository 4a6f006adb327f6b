import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from bench.cli.main import main


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MEDSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MEDSEG_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path / "cache"


@pytest.fixture
def bench(cache, monkeypatch, capsys):
    """Runs `bench data ...`; returns exit code, standard output and standard error."""

    def run(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bench", "data", *map(str, arguments)])
        monkeypatch.setattr(sys, "path", list(sys.path))
        try:
            main()
            code = 0
        except SystemExit as error:
            code = error.code
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


@pytest.fixture
def write_masks(tmp_path):
    """Writes a plain folder of seven pictures that look unlike each other, and masks of 0 and 255."""

    def write(name: str = "Röntgen <b> & Co", count: int = 7) -> Path:
        rng = np.random.default_rng(0)
        root = tmp_path / name
        for folder in ("images", "masks"):
            (root / folder).mkdir(parents=True)
        for number in range(1, count + 1):
            coarse = Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).resize((40, 50))
            coarse.save(root / "images" / f"Ärztin {number}.png")
            mask = np.zeros((50, 40), np.uint8)
            mask[10:20, 5 : 5 + number] = 255
            Image.fromarray(mask).save(root / "masks" / f"Ärztin {number}.png")
        return root

    return write


@pytest.fixture
def acdc(tmp_path) -> Path:
    """Writes ACDC's layout: five patients to train on, two to test on, two frames of 9 x 10 x 3 voxels each."""
    rng = np.random.default_rng(0)
    for number in range(1, 8):
        name = f"patient{number:03d}"
        folder = tmp_path / "Herz Ü 1/database" / ("training" if number < 6 else "testing") / name
        folder.mkdir(parents=True)
        (folder / "Info.cfg").write_text("ED: 1\nES: 12\nGroup: NOR\n")
        for stem in (f"{name}_frame01", f"{name}_frame12"):
            for tail, most in (("", 300), ("_gt", 4)):
                values = rng.integers(0, most, (9, 10, 3), np.int16)
                nibabel.save(
                    nibabel.Nifti1Image(values, np.diag([1.5, 1.4, 8, 1])), folder / f"{stem}{tail}.nii.gz"
                )
    return tmp_path / "Herz Ü 1"
