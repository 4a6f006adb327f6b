import numpy as np
import pytest
from PIL import Image

from medseg.data.raster import read_header, read_pixels
from medseg.data.raster.header import Header
from medseg.errors import DataError

RNG = np.random.default_rng(0)


GREY = RNG.integers(0, 256, (9, 7), np.uint8)


@pytest.mark.parametrize("ending", [".png", ".tif", ".bmp"])
@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1"])
def test_pictures_in_every_mode(tmp_path, ending, mode):
    picture = Image.fromarray(GREY).convert(mode)
    path = tmp_path / f"ä b{ending}"
    picture.save(path)
    # A grey palette in a BMP is grey to Pillow.
    channels = 3 if mode == "RGB" or (mode == "P" and ending != ".bmp") else 1
    assert read_header(path) == Header((9, 7), (1.0, 1.0), channels)
    pixels = read_pixels(path)
    assert (pixels.dtype, pixels.shape) == (np.float32, (channels, 9, 7))
    np.testing.assert_array_equal(pixels[-1], np.asarray(picture.convert("L")))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_dropped(tmp_path, mode):
    picture = Image.fromarray(GREY).convert(mode)
    picture.putalpha(Image.fromarray(GREY[::-1].copy()))
    picture.save(tmp_path / "a.png")
    channels = 3 if mode == "RGBA" else 1
    assert read_header(tmp_path / "a.png").channels == channels
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.png"), np.stack([GREY] * channels))


def test_a_transparent_palette_gives_colours_or_indices(tmp_path):
    picture = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("P")
    picture.putpalette([9, 9, 9, 200, 0, 0, 0, 0, 200])
    picture.save(tmp_path / "a.png", transparency=b"\x00\x80\xff")
    assert read_pixels(tmp_path / "a.png")[:, 0].T.tolist() == [[9, 9, 9], [200, 0, 0], [0, 0, 200]]
    assert read_pixels(tmp_path / "a.png", indices=True).tolist() == [[[0, 1, 2]]]


@pytest.mark.parametrize(
    ("ending", "kind"), [(".png", np.uint16), (".tif", np.uint16), (".tif", np.int32), (".tif", np.float32)]
)
def test_deep_pictures_keep_their_values(tmp_path, ending, kind):
    values = (RNG.random((9, 7)) * 60000).astype(kind)
    Image.fromarray(values).save(tmp_path / f"a{ending}")
    assert read_header(tmp_path / f"a{ending}").channels == 1
    np.testing.assert_array_equal(read_pixels(tmp_path / f"a{ending}")[0], values.astype(np.float32))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_the_pages_of_a_tiff_are_slices(tmp_path, kind, compression):
    stack = (RNG.random((4, 9, 7)) * 250).astype(kind)
    pages = [Image.fromarray(page) for page in stack]
    pages[0].save(tmp_path / "a.tiff", save_all=True, append_images=pages[1:], compression=compression)
    assert read_header(tmp_path / "a.tiff") == Header((4, 9, 7), (1.0, 1.0, 1.0), 1)
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.tiff"), stack[None])


def test_pages_of_a_tiff_may_be_coloured_and_must_be_alike(tmp_path):
    colours = [Image.fromarray(RNG.integers(0, 256, (9, 7, 3), np.uint8)) for _ in range(2)]
    colours[0].save(tmp_path / "a.tif", save_all=True, append_images=colours[1:])
    assert read_pixels(tmp_path / "a.tif").shape == (3, 2, 9, 7)
    colours[0].save(tmp_path / "b.tif", save_all=True, append_images=[colours[1].resize((5, 5))])
    with pytest.raises(
        DataError, match=r"^must have pages of one size .*, has \[\(3, 5, 5\), \(3, 9, 7\)\]$"
    ):
        read_pixels(tmp_path / "b.tif")


def test_an_animated_png_is_its_first_picture(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.png", save_all=True, append_images=[Image.fromarray(255 - GREY)])
    assert read_header(tmp_path / "a.png").shape == (9, 7)
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.png"), GREY[None])


def test_a_photograph_is_turned_as_viewers_show_it(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth = np.tile(np.arange(16, dtype=np.uint8) * 15, (24, 1))
    Image.fromarray(smooth).save(tmp_path / "a.jpg", exif=exif, quality=95)
    assert read_header(tmp_path / "a.jpg") == Header((16, 24), (1.0, 1.0), 1)
    pixels = read_pixels(tmp_path / "a.jpg")[0]
    assert pixels.shape == (16, 24)
    assert pixels[0].mean() < 20 < 200 < pixels[-1].mean()


def test_jpeg_in_colour_and_four_inks(tmp_path):
    for mode in ("RGB", "CMYK"):
        Image.fromarray(GREY).convert(mode).save(tmp_path / "a.jpg")
        assert read_header(tmp_path / "a.jpg").channels == 3
        assert read_pixels(tmp_path / "a.jpg").shape == (3, 9, 7)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_picture_is_read_by_its_content_whatever_it_is_called(tmp_path, name):
    path = tmp_path / name
    Image.fromarray(np.full((4, 6), 77, np.uint8)).save(path, format="JPEG")
    assert read_header(path).shape == (4, 6)
    np.testing.assert_allclose(read_pixels(path), np.full((1, 4, 6), 77), atol=1)
