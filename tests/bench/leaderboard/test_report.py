"""The page: whole, self-contained, legible in light, dark and print, and honest about what is not in it."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from bench.leaderboard.answer import answer
from bench.leaderboard.page import anchors
from bench.leaderboard.report import make_fragments, report_html
from bench.leaderboard.request import Request

VOID = {"meta", "br", "hr", "img", "link", "input"}
SPACE = [
    {"name": "rate", "path": "train.learning_rate", "default": 1e-3, "low": 1e-4, "high": 1e-2, "log": True,
     "step": None, "choices": None, "when": []},
    {"name": "width", "path": "model.width", "default": 8, "low": 4, "high": 64, "log": False, "step": None,
     "choices": None, "when": []},
]  # fmt: skip


class Page(HTMLParser):
    """Checks that tags close in order, and collects what a test asks for."""

    def __init__(self, html: str):
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.outside: list[str] = []
        self.headings: list[str] = []
        self.tags: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name == "href" and tag == "a":
                self.links.append(value)
            if name == "src" or (name in ("href", "xlink:href") and not value.startswith("#")):
                self.outside.append(value)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def write_world(world: Any) -> None:
    """Two tasks: one with patients enough and tuning, one with two patients."""
    rng = np.random.default_rng(0)
    for place, (model, quality) in enumerate((("u<net>", 0.9), ("resunet", 0.85), ("other", 0.6))):
        for seed in (0, 1):
            row = world.trial(model, task="lung", seed=seed, gmacs=1.0 + place, study=f"lung-{model}")
            cases = [world.case(row["trial"], patient, "dice", quality - 0.02 * patient + 0.01 * rng.normal())
                     for patient in range(10)]  # fmt: skip
            known = {"train_loss": 0.1, "learning_rate": 1e-3, "wall_s": 1.0, "trial": row["trial"]}
            curves = [{**known, "epoch": epoch, "step": epoch, "score": 0.3 * epoch} for epoch in (1, 2)]
            world.store.write(row, cases, curves)
        for number in range(12):
            setting = {"rate": float(10 ** rng.uniform(-4, -2)), "width": int(rng.integers(4, 64))}
            world.tune(model, task="lung", number=number, study=f"lung-{model}", setting=f"t{number}",
                       setting_json=json.dumps(setting), value=float(rng.random()))  # fmt: skip
        world.final(model, task="tiny", quality=quality, patients=2, metrics=("dice",))
    studies = [
        {"id": f"lung-{model}", "task": "lung", "entry": f"{model} + dice", "models": [{"label": model}],
         "losses": [{"label": "dice"}], "space": SPACE, "counts": {"numbers": 12},
         "final": {"folds": [0], "seeds": [0, 1]}}
        for model in ("u<net>", "resunet", "other")
    ]  # fmt: skip
    studies += [{**study, "id": study["id"].replace("lung", "tiny") + "-dice", "task": "tiny", "space": [],
                 "final": {"folds": [0], "seeds": [0]}} for study in studies]  # fmt: skip
    claim = {"id": "wins", "task": "lung", "better": {"model": "u<net>"}, "than": {"model": "other"}}
    world.store.write_suite({"suite": "a <suite> & more", "description": "Two tasks.", "plan": "0123456789abcdef",
                             "claims": [claim], "studies": studies})  # fmt: skip


def make(store: Any, notice: str = "", **asked: Any) -> str:
    said = answer(store, Request(resamples=200, **asked), "today")
    fragments = make_fragments(said.boards, said.claims, said.overall)
    return report_html(store, said.cells, said.boards, fragments, said.overall, notice)


@pytest.fixture(scope="module")
def html(shared_world: Any) -> str:
    write_world(shared_world)
    return make(shared_world.store)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_it_is_whole(page: Page) -> None:
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert {"table", "svg", "figure", "figcaption", "nav", "main"} <= set(page.tags)


def test_it_needs_nothing_from_outside_and_runs_nothing(html: str, page: Page) -> None:
    assert page.outside == []
    assert "script" not in page.tags
    assert "@import" not in html
    assert set(re.findall(r"https?://[^\s\"<)]*", html)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "default-src 'none'" in html
    assert not re.search(r"url\((?!#)", html)


def test_sections_are_what_the_leaderboard_says_and_links_lead_to_them(page: Page) -> None:
    assert page.headings == ["Over all tasks", "Claims", "lung", "tiny"]
    assert page.links == ["#all", "#claims", "#lung", "#tiny"]
    assert {link[1:] for link in page.links} <= set(page.ids)


def test_each_figure_has_words(html: str, page: Page) -> None:
    figures = page.tags.count("figure")
    assert figures == page.tags.count("figcaption") == page.tags.count("svg") == page.tags.count("desc")
    for name in (
        "intervals",
        "cases",
        "ranks",
        "significance",
        "critical-difference",
        "pareto",
        "curves",
        "importance",
    ):
        assert f"lung-{name}" in page.ids
    assert not re.search(r"<figcaption>\s*</figcaption>|<desc[^>]*></desc>", html)


def test_what_two_patients_cannot_tell_is_not_drawn_and_why_is_said(html: str, page: Page) -> None:
    tiny = html[html.index('<section id="tiny">') :]
    assert "tiny-cases" in page.ids
    for name in ("ranks", "significance", "critical-difference"):
        assert f"tiny-{name}" not in page.ids
    assert "2 patients; at least 6 are needed to draw again from" in tiny
    assert "too few patients: no pair can give a p-value below the level" in tiny
    assert "tiny: what mattered in tuning: nothing was tuned." in tiny


def test_names_are_written_as_they_are(html: str) -> None:
    assert "<title>a &lt;suite&gt; &amp; more</title>" in html
    assert "u&lt;net&gt;" in html
    assert "u<net>" not in html
    assert "6 final trials" not in html.split("<nav")[0]
    assert "9 final trials, the last one finished on 2026-01-02, plan 0123456789ab" in html


def test_light_dark_and_print(html: str) -> None:
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    assert "@media (prefers-color-scheme: dark)" in style[1]
    printed = style[1][style[1].index("@media print") :]
    assert "--paper: #ffffff" in printed
    for used in set(re.findall(r"var\((--[a-z]+)\)", html)):
        assert f"{used}:" in style[1]


def test_no_number_is_nan(html: str) -> None:
    assert not re.search(r"\bnan\b", html, re.IGNORECASE)


def test_a_notice_stands_above_all(shared_world: Any, html: str) -> None:
    assert '<p class="notice"' not in html
    warned = make(shared_world.store, notice="Smoke <run>", task="tiny")
    assert warned.index("Smoke &lt;run&gt;") < warned.index("<section")


def test_the_same_results_give_the_same_page(shared_world: Any, html: str) -> None:
    assert make(shared_world.store) == html


def test_nothing_ranked_is_a_page_too(world: Any) -> None:
    world.tune("unet")
    page = Page(make(world.store))
    assert page.open == []
    assert page.headings == ["lung"]
    assert "svg" not in page.tags


def test_anchors_are_safe_and_no_two_are_the_same() -> None:
    assert anchors(["acdc-lv", "ACDC LV", "../x y", "ä", "ö", "all", "claims"]) == [
        "acdc-lv", "acdc-lv-2", "x-y", "task", "task-2", "task-all", "task-claims",
    ]  # fmt: skip
