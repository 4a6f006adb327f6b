"""The list of figures, and its documentation."""

import re
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.leaderboard.figures import cases, critical_difference, material, significance, specs
from bench.leaderboard.importance import LEAST_TRIALS, SHUFFLES, TOP
from bench.stats.paired import LEAST_PATIENTS

DOCS = (Path(__file__).parents[4] / "docs" / "figures.md").read_text(encoding="utf-8")


def test_each_figure_is_documented_in_order() -> None:
    assert re.findall(r"^\| \[`([a-z-]+)`\]\(#([a-z-]+)\)", DOCS, re.MULTILINE) == [
        (name, name) for name in specs.NAMES
    ]
    assert re.findall(r"^## ([a-z-]+)$", DOCS, re.MULTILINE) == list(specs.NAMES)


def test_numbers_in_the_documentation_are_those_of_the_code() -> None:
    for text in (
        f"Beyond {cases.MOST_LINES:,} pieces",
        f"With up to {significance.MOST_NUMBERS} entries",
        f"From {critical_difference.MOST_ON_RULER + 1} entries on",
        f"the {material.MOST_STUDIES} best are looked at",
        f"fewer than {LEAST_TRIALS} complete trials",
        f"at least {TOP}",
        f"shuffled, {SHUFFLES} times",
        f"with fewer than {LEAST_PATIENTS} patients",
    ):
        assert text in DOCS


def test_figures_over_tasks_are_among_those_of_tasks() -> None:
    assert len(set(specs.NAMES)) == len(specs.NAMES)
    assert {figure.name for figure in specs.SUITE_FIGURES} < set(specs.NAMES)


def test_an_unknown_name_lists_the_choices() -> None:
    specs.check_names(["ranks", "cases"])
    with pytest.raises(BenchError, match=r"no figure 'blobs'.*choices: intervals, cases"):
        specs.check_names(["ranks", "blobs"])
