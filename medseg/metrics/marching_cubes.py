"""Area of a surface within a cell of 2 x 2 x 2 voxels, by marching cubes; length of a contour within 2 x 2 pixels.

Vertices lie midway between a voxel inside and one outside. Lorensen and Cline 1987,
https://doi.org/10.1145/37402.37422: a cell and its complement have the same surface.
"""

from functools import lru_cache
from math import hypot

import numpy as np
from numpy.typing import NDArray

# Triangles of each cell with one to four corners inside, cells in the order of their code (bit i: corner i is
# inside), three edges a triangle, in hexadecimal. The table of Paul Bourke and Cory Gene Bloyd, in the public domain.
_TRIANGLES = """
    083 019 183981 12a 08312a 92a029 2832a8a98 3b2 0b28b0 19023b 1b219b98b 3a1ba3 0a108a8ba 3903b9ba9
    98aa8b 478 430734 019847 419471731 12a847 34730412a 92a902847 2a9297273794 8473b2 b47b24204
    90184723b 47b94b9b2921 3a13ba784 1ba14b1047b4 47890b9bab03 954 954083 054150 854835315 12a954
    30812a495 52a542402 2a5325354348 95423b 0b208b495 05401523b 21525828b485 a3ba13954 4950818a18ba
    54050b5bab03 978579 930953573 078017157 153357 978957a12 a12950530573 802825857a52 7957893b2
    95797292027b 23b018178157 958857a13a3b a65 0835a6 9015a6 1831985a6 165261 165126308 965906026
    598582526328 23ba65 b08b20a65 01923b5a6 5a61929b298b 63b653513 08b0b50515b6 3b6036065059 5a6478
    43047365a 1905a6847 a65197173794 612651478 125526304347 847905065026 3b2784a65 5a647242027b
    01947823b5a6 8473b53515b6 a4964a 4a649a083 a01a60640 83181686461a 149124264 308129249264 024426
    a49a64b23 08228b49a4a6 3b201606461a 964936913b63 7a678a89a 0730a709a67a a671a7178180 126168189867
    23ba68a89867 76b 308b76 019b76 819831b76 a126b7 12a3086b7 2902a96b7 6b72a3a83a98 723627 708760620
    276237019 162186198876 a76a17137 a7617a187108 03707a0a96a7 684b86 36b306046 86b846901 946963931b36
    6846b82a1 12a30b06b046 4b846b0292a9 823842462 042462 190234246438 8138618466a1 49576b 083495b76
    50154076b b76834354315 954a1276b 6b712a083495 76b54a42a402 723762549 954086062687 362376150540
    954a16176137 6956b9b89 36b063056095 0b805b01556b 12a95b9b8b56 589528562382 b5a75b b5ab75830
    5b75ab190 a75ab7981831 b12b71751 08312717572b 9759279022b7 25a235375 820852875a25 9015a35373a2
    135375 5845a8ab8 5045b05abb30 01984a8aba45 2512852b8458 25a352345384 4b749b9ab 0834979b79ab
    1ab1b414074b 4b79b492b912 29a279237749 9a8ab8
"""
_CORNERS = ((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1))
_EDGES = ((0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7))


@lru_cache(maxsize=64)
def element_sizes(spacing: tuple[float, ...]) -> NDArray[np.float64]:
    """Returns the area (3D) or length (2D) of the surface in a cell, by the cell's code.

    Args:
        spacing: Distance of neighbouring voxels along each of the two or three axes.

    Returns:
        float64 (256,) or (16,), in the spacing's unit squared or as it is. Bit ``2**n - 1 - i`` of a code says
        whether voxel i of the cell (C order) is inside. Read-only.
    """
    sizes = _lengths(*spacing) if len(spacing) == 2 else _areas(spacing)
    sizes.setflags(write=False)
    return sizes


def _lengths(rows: float, columns: float) -> NDArray[np.float64]:
    corner = hypot(rows, columns) / 2
    sizes = np.full(16, corner)
    sizes[[0b0000, 0b1111]] = 0.0
    sizes[[0b1100, 0b0011]] = columns
    sizes[[0b1010, 0b0101]] = rows
    sizes[[0b1001, 0b0110]] = 2 * corner
    return sizes


def _areas(spacing: tuple[float, ...]) -> NDArray[np.float64]:
    corners = np.array(_CORNERS) * np.array(spacing)
    edges = np.array([(corners[a] + corners[b]) / 2 for a, b in _EDGES])
    few = [code for code in range(1, 256) if code.bit_count() <= 4]
    areas = np.zeros(256)
    for code, text in zip(few, _TRIANGLES.split(), strict=True):
        triangles = edges[[int(digit, 16) for digit in text]].reshape(-1, 3, 3)
        sides = triangles[:, 1:] - triangles[:, :1]
        areas[code] = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1).sum() / 2
        areas[255 - code] = areas[code]
    # The table counts corners around faces; codes count voxels in C order, the first one as the highest bit.
    order = np.arange(256)
    bits = np.zeros(256, dtype=np.int64)
    for corner, (first, second, third) in enumerate(_CORNERS):
        voxel = 4 * first + 2 * second + third
        bits |= (order >> (7 - voxel) & 1) << corner
    return areas[bits]
