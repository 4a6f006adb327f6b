"""What a table says of a metric that has a tolerance."""

import json
from typing import Any

import pytest

from bench.leaderboard import render
from bench.leaderboard.answer import answer
from bench.leaderboard.facts import metric_facts
from bench.leaderboard.notes import footer
from bench.leaderboard.request import Request
from bench.leaderboard.sheet import column_of
from bench.leaderboard.terminal import _head
from medseg.metrics import METRICS

DEFINITION = METRICS.load("nsd").definition


def nsd(tolerance: str) -> str:
    return DEFINITION.replace("{tolerance}", tolerance)


@pytest.mark.parametrize(
    ("definitions", "length", "title"),
    [
        ({"LV": nsd("2"), "RV": nsd("2")}, "mm", "NSD (2 mm)"),
        ({"LV": nsd("1"), "RV": nsd("1.5"), "MYO": nsd("1.2")}, "mm", "NSD (1–1.5 mm)"),
        ({"LV": nsd("0")}, "px", "NSD (0 px)"),
        ({"LV": nsd("2")}, "", "NSD (2)"),
        ({"LV": "nsd/other/tau=3/v9"}, "mm", "NSD (3 mm)"),
        ({"LV": nsd("none")}, "mm", "NSD"),
        ({}, "mm", "NSD"),
    ],
)
def test_the_title_has_the_tolerance(definitions: dict[str, str], length: str, title: str) -> None:
    facts = metric_facts("nsd", "", definitions, length)
    assert facts.title == title
    assert facts.definitions == definitions


def test_other_metrics_have_none() -> None:
    facts = metric_facts("hd95", "mm", {"LV": METRICS.load("hd95").definition}, "mm")
    assert (facts.title, facts.tolerances) == ("HD95 (mm)", {})


@pytest.fixture
def world_of_labels(world: Any) -> Any:
    row = world.trial("unet")
    cases = [
        world.case(row["trial"], patient, metric, 0.5) | {"label": label, "definition": definition}
        for patient in range(6)
        for label, tolerance in (("LV", "1"), ("MYO", "1"), ("RV", "1.5"))
        for metric, definition in (("dice", "dice/v1"), ("nsd", nsd(tolerance)))
    ]
    world.store.write(row, cases, [])
    world.store.write_suite({"tasks": [{"name": "lung", "unit": "mm"}]})
    return world


def test_the_footer_says_which_label_has_which(world_of_labels: Any) -> None:
    (board,) = answer(world_of_labels.store, Request(resamples=200), "today").boards
    assert [facts.title for facts in board.facts] == ["Dice", "NSD (1–1.5 mm)"]
    assert f"NSD (1–1.5 mm): {nsd('1')} (LV, MYO), {nsd('1.5')} (RV)." in footer(board)
    assert not any("dice/v1" in line for line in footer(board))


def test_json_has_the_definitions_of_all_that_is_shown(world_of_labels: Any) -> None:
    boards = answer(world_of_labels.store, Request(resamples=200), "today").boards
    (board,) = json.loads(render(boards, style="json"))["boards"]
    dice, found = board["facts"]
    assert dice["definitions"] == dict.fromkeys(("LV", "MYO", "RV"), "dice/v1")
    assert found["definitions"] == {"LV": nsd("1"), "MYO": nsd("1"), "RV": nsd("1.5")}
    assert found["tolerances"] == {"LV": 1.0, "MYO": 1.0, "RV": 1.5}


def test_a_heading_is_not_broken_within_its_unit() -> None:
    assert _head(column_of("NSD (2 mm)", ["0.9"])) == "NSD\n(2 mm)"
    assert _head(column_of("limits of agreement", ["-1 to +1"])) == "limits of\nagreement"
    assert _head(column_of("to best [95% CI]", ["–"])) == "to best\n[95% CI]"
