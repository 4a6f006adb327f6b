from pathlib import Path

import pytest

from medseg.data.agree import relative


@pytest.mark.parametrize(
    ("path", "root", "name"),
    [
        ("/data/set/a b/c.png", "/data/set", "a b/c.png"),
        ("set/images/ü.png", "set", "images/ü.png"),
        ("/data/groups.csv", "/data/set", "groups.csv"),
        ("/data/setting/c.png", "/data/set", "c.png"),
        ("groups.csv", "set", "groups.csv"),
        ("c.png", ".", "c.png"),
    ],
)
def test_files_are_called_by_their_place_below_the_root(path, root, name):
    assert relative(Path(path), Path(root)) == name
