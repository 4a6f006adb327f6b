import gzip
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from medseg.data.raster import EXTENSIONS, extension, read_header, read_pixels, stem
from medseg.errors import DataError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("name", "known", "bare"),
    [
        ("a.nii.gz", ".nii.gz", "a"),
        ("A B.NII.GZ", ".nii.gz", "A B"),
        ("a.b.nii", ".nii", "a.b"),
        ("x.nhdr", ".nhdr", "x"),
        ("x.JPEG", ".jpeg", "x"),
        ("notes.txt", "", "notes.txt"),
        ("a.gz", "", "a.gz"),
    ],
)
def test_extensions_are_known_whatever_their_case(name, known, bare):
    assert (extension(Path(name)), stem(Path(name))) == (known, bare)


def test_umlauts_are_the_same_however_they_are_stored():
    names = [unicodedata.normalize(form, "Jörg 1.png") for form in ("NFC", "NFD")]
    assert names[0] != names[1]
    assert {stem(Path(name)) for name in names} == {"Jörg 1"}


@pytest.mark.parametrize("ending", EXTENSIONS)
@pytest.mark.parametrize("read", [read_header, read_pixels])
def test_what_is_no_image_is_one_clear_line(tmp_path, ending, read):
    kind = "NIfTI file" if "nii" in ending else "NRRD file" if ending in (".nrrd", ".nhdr") else "picture"
    path = tmp_path / f"a{ending}"
    with pytest.raises(FileNotFoundError):
        read(path)
    for content in (
        b"",
        b"\0",
        b"<html>404</html>" * 50,
        gzip.compress(b"no image " * 99),
        gzip.compress(b""),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"^is not a readable {kind} \([^\n]+\)$"):
            read(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=rf"^is a folder, not a {kind}$"):
        read(path)


def test_an_unknown_extension_lists_those_known(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"DICM")
    with pytest.raises(DataError, match=r"^has an unknown extension; known are \.nii\.gz, \.nii, \.nrrd"):
        read_pixels(tmp_path / "a.dcm")


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".png", ".tif", ".jpg", ".bmp"])
def test_truncated_files_are_one_clear_line(write_image, tmp_path, ending):
    volume = ending in (".nii", ".nii.gz", ".nrrd")
    values = RNG.integers(0, 256, (40, 40, 5) if volume else (99, 99), np.uint8)
    path = write_image(tmp_path / f"a{ending}", values)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"^is not a readable [A-Za-z ]+ \([^\n]+\)$"):
        read_pixels(path)
