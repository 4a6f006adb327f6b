import sys

import pytest

from bench.plan.identity import external_source


def test_our_own_parts_are_left_to_the_code_fingerprint():
    assert external_source("medseg.models.unet:UNet") is None


def test_another_version_of_a_plug_in_has_another_hash(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "a_plug_in_of_mine.py"
    path.write_text("class Net: width = 1\n")
    first = external_source("a_plug_in_of_mine:Net")
    path.write_text("class Net: width = 2\n")
    assert first != external_source("a_plug_in_of_mine:Net")
    assert "a_plug_in_of_mine" not in sys.modules


@pytest.mark.parametrize("path", ["no_such_module_anywhere:Net", "sys:path"])
def test_what_has_no_source_file_has_no_hash(path):
    assert external_source(path) is None
