import nrrd
import numpy as np
import pytest

from medseg.data.raster import read_header, read_pixels
from medseg.data.raster.header import Header
from medseg.data.raster.nrrd_file import detached
from medseg.errors import DataError

RNG = np.random.default_rng(0)


DIRECTIONS = [[-0.5, 0, 0], [0, 0, 2.0], [0, 0.7, 0]]
NONE = [np.nan] * 3


@pytest.mark.parametrize(
    ("stored", "says", "expected"),
    [
        ((5, 4), {}, Header((4, 5), (1.0, 1.0))),
        ((5, 4, 3), {"spacings": [1.5, 1.4, 8]}, Header((3, 4, 5), (8.0, 1.4, 1.5))),
        (
            (5, 4, 3),
            {"space": "left-posterior-superior", "space directions": DIRECTIONS},
            Header((3, 4, 5), (0.7, 2.0, 0.5), 1, "RSP"),
        ),
        (
            (5, 4, 3),
            {"space": "RAS", "space directions": DIRECTIONS},
            Header((3, 4, 5), (0.7, 2.0, 0.5), 1, "LSA"),
        ),
        (
            (2, 5, 4, 3),
            {"space": "RAS", "space directions": [NONE, *DIRECTIONS], "kinds": ["vector"] + ["domain"] * 3},
            Header((3, 4, 5), (0.7, 2.0, 0.5), 2, "LSA"),
        ),
        ((5, 4, 3, 2), {"spacings": [1, 1, 2, np.nan]}, Header((3, 4, 5), (2.0, 1.0, 1.0), 2)),
        ((3, 5, 4), {"kinds": ["RGB-color", "domain", "domain"]}, Header((4, 5), (1.0, 1.0), 3)),
        ((5, 4, 3, 2), {}, Header((3, 4, 5), (1.0, 1.0, 1.0), 2)),
        ((5, 4, 3), {"spacings": [0, 1, 1]}, Header((3, 4, 5), (1.0, 1.0, 0.0))),
    ],
)
def test_nrrd_with_and_without_channels_and_spacing(tmp_path, stored, says, expected):
    values = RNG.integers(0, 99, stored, np.int16)
    nrrd.write(str(tmp_path / "ä b.nrrd"), values, says)
    assert read_header(tmp_path / "ä b.nrrd") == expected
    pixels = read_pixels(tmp_path / "ä b.nrrd")
    assert pixels.shape == (expected.channels, *expected.shape)
    first = expected.channels > 1 and stored[0] == expected.channels
    np.testing.assert_array_equal(
        pixels[0].T, values[0] if first else values[..., 0] if expected.channels > 1 else values
    )


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_nrrd_with_its_data_beside_it(tmp_path, encoding):
    values = RNG.integers(0, 99, (5, 4, 3), np.int16)
    path = tmp_path / "a b.nhdr"
    nrrd.write(str(path), values, {"encoding": encoding}, detached_header=True)
    np.testing.assert_array_equal(read_pixels(path)[0].T, values)
    (data,) = detached(path)
    assert data.name.startswith("a b.raw")
    data.unlink()
    assert detached(path) == detached(tmp_path / "none.nhdr") == detached(tmp_path / "a.nrrd") == ()
    with pytest.raises(DataError, match=r"^is not a readable NRRD file \(.*No such file"):
        read_pixels(path)
