import numpy as np
import pytest

from medseg.errors import DataError
from medseg.scoring.request import Request, flat_reference, make_protocol, unspaced_reference


@pytest.fixture
def files(tmp_path, write, blob):
    def make(*names: str, value: int = 1):
        return [
            write(tmp_path / name, blob(*(9, 9, 9)[: 2 if name.endswith("png") else 3], value=value))
            for name in names
        ]

    return make


def test_labels_are_the_values_of_all_references(files):
    paths = [*files("a.nii.gz", value=3), *files("b.nii.gz", value=1), *files("c.nii.gz", value=10)]
    paths[1].with_name("broken.nii.gz").write_bytes(b"x")
    protocol = make_protocol([*paths, paths[1].with_name("broken.nii.gz")], Request(("dice",)))
    assert list(protocol.labels.items()) == [("1", 1), ("3", 3), ("10", 10)]
    assert make_protocol(paths, Request(("dice",), background=(3,))).labels == {"1": 1, "10": 10}
    assert make_protocol(paths, Request(("dice",), labels={"x": 7})).labels == {"x": 7}


@pytest.mark.parametrize(
    ("names", "asked", "unit"),
    [
        (("a.nii.gz", "b.nrrd"), {}, "mm"),
        (("a.png", "b.png"), {}, "px"),
        (("a.png",), {"spacing_mm": (0.5,)}, "mm"),
        (("a.png", "b.nii.gz"), {"spacing_mm": (0.5,)}, "mm"),
        (("a.nii.gz",), {"unit": "px"}, "px"),
    ],
)
def test_the_unit_follows_from_the_files(files, names, asked, unit):
    assert make_protocol(files(*names), Request(("dice",), **asked)).unit == unit


@pytest.mark.parametrize(("names", "asked"), [(("a.png", "b.nii.gz"), {}), (("a.png",), {"unit": "mm"})])
def test_millimetres_need_a_spacing(files, names, asked):
    with pytest.raises(DataError, match=r"a\.png carries no spacing: give it by --spacing-mm$"):
        make_protocol(files(*names), Request(("dice",), **asked))


def test_images_and_empty_references_are_told_from_labels(files, write, tmp_path):
    image = write(tmp_path / "image.png", np.arange(256, dtype=np.uint8).reshape(16, 16))
    with pytest.raises(
        DataError, match=r"image\.png holds 256 values and looks like an image; --labels names them"
    ):
        make_protocol([image], Request(("dice",)))
    with pytest.raises(DataError, match=r"the references hold no label, only background"):
        make_protocol(files("a.png", value=0), Request(("dice",)))
    image.write_bytes(b"x")
    with pytest.raises(DataError, match=r"none of the references can be read, see image\.png$"):
        make_protocol([image], Request(("dice",)))


def test_more_labels_than_can_be_measured_are_refused(write, tmp_path):
    paths = [
        write(tmp_path / f"{first}.nii.gz", np.arange(first, first + 120, dtype=np.uint16).reshape(2, 6, 10))
        for first in (0, 120, 240)
    ]
    assert len(make_protocol(paths[:2], Request(("dice",))).labels) == 239
    with pytest.raises(
        DataError, match=r"the references hold 359 values together, of which at most 255 can be"
    ):
        make_protocol(paths, Request(("dice",)))


def test_references_of_two_axes_are_found(files, tmp_path, write, blob):
    volumes = [*files("a.nii.gz"), tmp_path / "broken.png"]
    volumes[1].write_bytes(b"x")
    assert flat_reference(volumes) is None
    flat = write(tmp_path / "b.nii.gz", blob(9, 9))
    assert flat_reference([*volumes, flat]) == flat


def test_references_that_a_spacing_does_not_fit_are_found(files):
    paths = files("a.nii.gz", "b.png")
    paths[0].with_name("broken.png").write_bytes(b"x")
    every = [paths[0].with_name("broken.png"), *paths]
    assert unspaced_reference(every, (1.0,)) is None
    assert unspaced_reference(every[:2], (1.0, 1.0, 1.0)) is None
    assert unspaced_reference(every, (1.0, 1.0)) == (paths[0], 3)
    assert unspaced_reference(every, (1.0, 1.0, 1.0)) == (paths[1], 2)
