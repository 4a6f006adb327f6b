import numpy as np
import pytest
from PIL import Image

from medseg.data.draw import TILE, outline, tile
from medseg.data.sheet import draw_sheet, main, sheet


def test_an_outline_is_the_rim_of_a_mask():
    mask = np.zeros((7, 7), bool)
    mask[1:6, 1:6] = True
    rim = outline(mask)
    assert rim.sum() == 16
    assert not rim[2:5, 2:5].any()
    assert outline(np.ones((3, 3), bool)).sum() == 8


def test_a_tile_keeps_proportions_and_colours_every_label():
    label = np.zeros((20, 40), np.uint8)
    label[2:10, 2:10], label[10:18, 20:30] = 1, 2
    drawn = tile(np.full((40, 80), 0.5), label)
    assert drawn.shape == (TILE, TILE, 3)
    assert not drawn[: TILE // 4 - 1].any()
    coloured = drawn[(drawn.max(axis=2) != drawn.min(axis=2))]
    assert len(np.unique(coloured, axis=0)) == 2


def test_a_sheet_has_a_row_per_volume_or_pictures_in_a_grid(cardiac, lung, cache):
    assert sheet(cardiac.task, cardiac, rows=2, columns=3).shape == (2 * TILE, 3 * TILE, 3)
    assert sheet(cardiac.task, cardiac, rows=2, columns=3, cache=cache).shape == (2 * TILE, 3 * TILE, 3)
    assert sheet(lung.task, lung, rows=3, columns=4).shape == (3 * TILE, 4 * TILE, 3)


def test_the_command_writes_a_picture(write_covid, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MEDSEG_CACHE", str(tmp_path / "cache"))
    given = ["covid-lung", "--data", f"covid={write_covid(tmp_path)}", "-o", str(tmp_path / "s.png")]
    assert main([*given, "--columns", "2"]) == 0
    assert "4 cases of 4 patients" in capsys.readouterr().out
    with Image.open(tmp_path / "s.png") as picture:
        assert picture.size == (2 * TILE, 2 * TILE)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["acdc-multiclas"], 2, "unknown task 'acdc-multiclas', did you mean 'acdc-multiclass'"),
        (["covid-lung", "--data", "covid"], 3, "--data must read NAME=PATH, got 'covid'"),
        (["covid-lung", "--data", "covid=/no/where"], 3, "no folder /no/where"),
    ],
)
def test_mistakes_are_one_line_and_an_exit_code(arguments, code, message, capsys):
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_sheet_is_a_png_file(lung, tmp_path):
    (tmp_path / "s.png").write_bytes(draw_sheet(lung.task, lung, rows=1, columns=2))
    with Image.open(tmp_path / "s.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (2 * TILE, TILE))
