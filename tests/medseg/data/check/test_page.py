from xml.etree import ElementTree

import numpy as np
from PIL import Image

from medseg.data.check import check_dataset
from medseg.data.check.page import page
from medseg.data.draw import TILE, strip
from medseg.tasks import TASKS

ACDC = TASKS.load("acdc-multiclass")


def test_the_page_is_well_formed_and_escapes_what_users_name(write_covid, tmp_path):
    names = tuple(f"COVID-<b>ä & {n}" for n in range(1, 9))
    root = write_covid(tmp_path / "Daten <i> für Ärzte", names)
    (root / "groups.csv").write_text(f"image,patient\n{names[0]},<script>\n", encoding="utf-8")
    image = root / "COVID-19_Radiography_Dataset/COVID/images" / f"{names[1]}.png"
    Image.new("L", (299, 299), 7).save(image)
    report = check_dataset(TASKS.load("covid-lung"), root, tmp_path / "cache", strip, 5)
    text = page(report)
    tree = ElementTree.fromstring(text)
    assert len(tree.findall(".//figure")) == 5
    assert "<b>ä & 1" in "".join(tree.itertext())
    assert "patient <script>" in "".join(tree.itertext())
    for raw in ("<script", "<i>", "<b>ä", "http", "src="):
        assert text.count(raw) == (5 if raw == "src=" else 0)
    assert "prefers-color-scheme: dark" in text
    assert "all values are 7" in text


def test_a_page_of_files_that_cannot_be_indexed_lists_them(write_acdc, tmp_path):
    root = write_acdc(tmp_path / "acdc")
    for info in root.rglob("Info.cfg"):
        info.unlink()
    report = check_dataset(ACDC, root, tmp_path / "cache")
    assert report.verdict == "acdc-multiclass: 4 problems, no warning; no case is fit to be looked at"
    tree = ElementTree.fromstring(page(report))
    assert next(item.text for item in tree.findall(".//li/b")) == "training/patient001/Info.cfg"
    assert tree.findall(".//table") == []


def test_pictures_of_cases_are_from_all_over_the_list(write_acdc, tmp_path):
    root = write_acdc(tmp_path / "acdc", training=5, testing=2)
    report = check_dataset(ACDC, root, tmp_path / "cache", lambda image, label: b"%d" % image.shape[1], 4)
    drawn = [number for number, item in enumerate(report.facts) if item.picture]
    assert drawn == [0, 4, 8, 13]
    assert {item.picture for item in report.facts if item.picture} == {b"3"}


def test_a_strip_shows_slices_with_labels_in_their_colours(tmp_path):
    label = np.zeros((9, 20, 20), np.uint8)
    label[4:7, 5:15, 5:15] = 2
    (tmp_path / "s.png").write_bytes(
        strip(np.random.default_rng(0).random((1, 9, 20, 20), np.float32), label)
    )
    with Image.open(tmp_path / "s.png") as picture:
        rgb = np.asarray(picture.convert("RGB"))
    assert rgb.shape[0] == TILE
    assert rgb.shape[1] % TILE == 0
    for start in range(0, rgb.shape[1], TILE):
        assert (rgb[:, start : start + TILE] == (80, 230, 90)).all(axis=-1).any()
