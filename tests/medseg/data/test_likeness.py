import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from medseg.data.index import ALIKE_BITS
from medseg.data.likeness import alike_pairs, look
from medseg.data.raster import read_pixels

SHARED = Path(__file__).parents[3].parent / "shared" / "data"


def distance(first: bytes, second: bytes) -> int:
    return int(np.bitwise_count(np.frombuffer(first, np.uint8) ^ np.frombuffer(second, np.uint8)).sum())


def jpeg(picture: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=50)
    return Image.open(io.BytesIO(buffer.getvalue()))


def cropped(picture: Image.Image) -> Image.Image:
    w, h = picture.size
    return picture.crop((w // 100, h // 100, w - w // 100, h - h // 100))


DISGUISES = {
    "rescaled": lambda p: p.resize((512, 512)),
    "smaller": lambda p: p.resize((200, 200)),
    "recompressed": jpeg,
    "brighter": lambda p: p.point(lambda v: 255 * (v / 255) ** 0.75),
    "blurred": lambda p: p.filter(ImageFilter.GaussianBlur(2)),
    "inverted range": lambda p: p.point(lambda v: v // 2 + 60),
    "cropped": cropped,
    "negative": lambda p: p.point(lambda v: 255 - v),
}


@pytest.fixture(scope="module")
def xrays(lung):
    return [np.asarray(Image.open(case.image).convert("L")) for case in lung.cases]


@pytest.mark.parametrize("disguise", DISGUISES)
def test_an_image_in_disguise_is_recognised(xrays, disguise):
    for xray in xrays:
        changed = np.asarray(DISGUISES[disguise](Image.fromarray(xray)), dtype=np.float32)
        looks = [look(xray[None].astype(np.float32)), look(changed[None])]
        assert list(alike_pairs(looks, ALIKE_BITS)) == [(0, 1)]


def test_other_people_are_not_alike(lung, xrays):
    looks = [look(xray[None].astype(np.float32)) for xray in xrays]
    patients = [case.patient for case in lung.cases]
    for i, j in alike_pairs(looks, ALIKE_BITS):
        assert patients[i] == patients[j]


def test_real_people_are_far_apart_and_two_frames_of_a_heart_are_not():
    if not SHARED.is_dir():
        pytest.skip("no real data at <repository>/../shared/data")
    folder = SHARED / "covid/COVID-19_Radiography_Dataset/COVID/images"
    looks = [look(read_pixels(path)) for path in sorted(folder.glob("*.png"))]
    pairs = [(a, b) for i, a in enumerate(looks) for b in looks[i + 1 :]]
    assert min(distance(a, b) for a, b in pairs) > 2 * ALIKE_BITS
    frames = sorted((SHARED / "acdc/database/training").glob("*/*_frame??.nii.gz"))
    hearts = [look(read_pixels(path)) for path in frames]
    same = [distance(hearts[i], hearts[i + 1]) for i in range(0, len(hearts), 2)]
    other = [
        distance(hearts[i], hearts[j]) for i in range(0, len(hearts), 2) for j in range(i + 2, len(hearts))
    ]
    assert max(same) <= ALIKE_BITS < 2 * ALIKE_BITS < min(other)


def test_blank_images_look_like_nothing():
    assert look(np.zeros((1, 8, 8), np.float32)) == look(np.full((1, 3, 8, 8), 7.0, np.float32)) == b""
    assert look(np.full((1, 8, 8), np.nan, np.float32)) == b""
    assert list(alike_pairs([b"", b""], 256)) == []


def test_a_volume_is_seen_by_its_middle_slice(xrays):
    plane = xrays[0].astype(np.float32)
    volume = np.stack([np.zeros_like(plane), plane, np.ones_like(plane)])[None]
    assert look(volume) == look(plane[None])


def test_all_pairs_are_those_of_a_plain_comparison(monkeypatch):
    monkeypatch.setattr("medseg.data.likeness._BLOCK", 7)
    rng = np.random.default_rng(0)
    base = rng.bytes(32)
    looks = [base, b"", *(rng.bytes(32) for _ in range(20))]
    for flips in (1, 30, 31, 120):
        bits = np.unpackbits(np.frombuffer(base, np.uint8))
        bits[rng.choice(256, flips, replace=False)] ^= 1
        looks.append(np.packbits(bits).tobytes())
    wanted = {
        (i, j)
        for i, a in enumerate(looks)
        for j, b in enumerate(looks)
        if i < j and a and b and (distance(a, b) <= 30 or distance(a, b) >= 256 - 30)
    }
    assert (0, 23) in wanted
    assert (0, 24) not in wanted
    assert sorted(alike_pairs(looks, 30)) == sorted(wanted)


def test_tiny_values_have_features_too(xrays):
    plane = xrays[0][None].astype(np.float32)
    assert look(plane * 1e-9) == look(plane)


def test_many_copies_are_linked_to_the_first_without_all_pairs():
    looks = [b"\x0f" * 32] * 5000
    assert list(alike_pairs(looks, 30)) == [(0, index) for index in range(1, 5000)]
