"""Names are found however they are written, and chance is no find."""

import socket

import pytest

from bench.results.known_names import machine_names, make_known_names

NAMES = [
    "OBrienJane",
    "Åberg",
    "Muller-Hans",
    "P0012345",
    "patient001",
    "1234567",
    "Li",
    "42",
    "root",
    "user smith",
]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("OBrienJaneError", {"obrienjane"}),
        ("x12MullerHans9", {"muller-hans"}),
        ("hans of muller", set()),
        ("tumour_obrien_jane", {"obrienjane"}),
        # Accents, however they are encoded, do not matter.
        ("unet A\u030aBERG", {"aberg"}),
        ("unet aberg 2", {"aberg"}),
        ("abergs", set()),
        ("wardP0012345b", {"p0012345"}),
        # Another number is another name.
        ("xP00123456", set()),
        ("patient0012", set()),
        ("patient0011 patient001b", {"patient001"}),
        ("a1234567", set()),
        ("of 1234567", {"1234567"}),
        ("Li 42 root", set()),
        ("user-smith", {"user-smith"}),
    ],
)
def test_names_are_found_within_words(text: str, found: set[str]) -> None:
    assert make_known_names(NAMES).within(text, deep=True) == found


def test_within_words_only_if_asked_for() -> None:
    known = make_known_names(NAMES)
    assert known.within("OBrienJaneError") == set()
    assert known.within("of OBRIENJANE") == {"obrienjane"}


def test_what_is_not_looked_for_is_counted() -> None:
    assert make_known_names(NAMES).short == 3
    assert make_known_names(["", "-", "Li", "li", "L-i"]).short == 2


def test_machines_have_names() -> None:
    assert socket.gethostname() in machine_names()
