"""Figures in a page: whole XML, ids once, no colour of one theme only, text as text."""

import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from bench.leaderboard.figures.canvas import Drawing, style
from bench.leaderboard.figures.intervals import draw_intervals
from bench.leaderboard.figures.svg import inline_svg
from bench.leaderboard.palette import LIGHT


@pytest.fixture(scope="module")
def drawing(row: Any, board: Any) -> Drawing:
    names = ["unet $x$ + <b>dice & ce", "a_b \u7db2 --> + x"]
    with style():
        return draw_intervals(board([row(names[0], 0.8712, "best"), row(names[1], 0.7)]), LIGHT)


@pytest.fixture(scope="module")
def svg(drawing: Drawing) -> str:
    return inline_svg(drawing, "lung-intervals")


def test_it_is_whole_and_says_what_it_is(svg: str, drawing: Drawing) -> None:
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    names = {element.get("id"): element.text for element in root.iter()}
    assert names[str(root.get("aria-labelledby")).split()[0]] == drawing.title
    assert names[str(root.get("aria-labelledby")).split()[1]] == drawing.alt


def test_names_are_text_as_they_are(svg: str) -> None:
    root = ElementTree.fromstring(svg)
    texts = {"".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert "unet $x$ + <b>dice & ce" in texts
    assert any("\u7db2" in text for text in texts)
    # Numbers in text keep their digits, those of shapes are short.
    assert "0.871 [0.851, 0.881]" in texts
    assert not re.search(r'\bd="[^"]*\d\.\d{3}', svg)


def test_text_is_in_the_font_of_the_page(svg: str) -> None:
    assert "DejaVu" not in svg
    assert not re.search(r"font: ", svg)
    assert "font-weight: " in svg


def test_colours_are_those_of_the_page(svg: str) -> None:
    without_references = re.sub(r"(url\(#|href=\"#)[^\")]*", "", svg)
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b", without_references)
    assert "var(--ink)" in svg
    assert "var(--accent)" in svg


def test_ids_are_of_this_figure_and_references_lead_somewhere(svg: str, drawing: Drawing) -> None:
    ids = re.findall(r'\bid="([^"]*)"', svg)
    assert len(ids) == len(set(ids))
    assert all(one.startswith("lung-intervals-") for one in ids)
    assert set(re.findall(r'(?:url\(#|href="#)([^")]*)', svg)) <= set(ids)
    assert not set(ids) & set(re.findall(r'\bid="([^"]*)"', inline_svg(drawing, "heart-intervals")))


def test_nothing_reaches_out_or_changes_the_page(svg: str) -> None:
    for word in ("<style", "<script", "<!--", "<metadata", "<image"):
        assert word not in svg
    assert set(re.findall(r"https?://[^\s\"<]*", svg)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_the_same_drawing_gives_the_same_text(svg: str, drawing: Drawing) -> None:
    assert inline_svg(drawing, "lung-intervals") == svg


def test_without_a_figure_there_is_no_svg() -> None:
    with pytest.raises(ValueError, match=r"lung: x: there is no figure \(too few\)"):
        inline_svg(Drawing(name="x", of="lung", title="lung: x", why="too few"), "x")


def test_a_figure_of_many_dots_stays_small(table: Any) -> None:
    """30 entries x 700 patients: a shape for each dot would take 2 MB."""
    from bench.leaderboard.facts import metric_facts
    from bench.leaderboard.figures.cases import draw_cases

    with style():
        drawn = draw_cases(
            table(np.random.default_rng(0).random((30, 700))), metric_facts("dice", ""), "t", LIGHT
        )
    assert len(inline_svg(drawn, "t")) < 900_000
