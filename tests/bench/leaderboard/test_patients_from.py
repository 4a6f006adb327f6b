"""What stands below a table where it is not known which images are of one patient."""

from dataclasses import replace
from typing import Any

import pytest

from bench.leaderboard import load_tasks, render
from bench.leaderboard.answer import answer
from bench.leaderboard.claims import answer_claims
from bench.leaderboard.contract import PATIENTS_TEXT, read_contract
from bench.leaderboard.html_table import sheet_html
from bench.leaderboard.notes import remarks
from bench.leaderboard.request import Request
from bench.leaderboard.sheets import task_sheet
from bench.leaderboard.side_by_side import Pair, join
from bench.leaderboard.table import TaskBoard

NOT_KNOWN = (
    "Patients are not known: each image counts as one; images of one patient would make intervals too narrow."
)


@pytest.fixture(scope="module")
def world(shared_world: Any) -> Any:
    for loss in ("dice", "ce"):
        shared_world.final("unet", loss, patients=8)
    return shared_world


def boards(world: Any, **task: Any) -> list[TaskBoard]:
    world.store.write_suite({"tasks": [{"name": "lung", **task}]})
    return answer(world.store, Request(resamples=100, task="lung"), "today").boards


@pytest.mark.parametrize("style", ["md", "html", "latex"])
def test_that_patients_are_not_known_stands_below_the_table(world: Any, style: str) -> None:
    found = boards(world, patients_from="images")
    said = sheet_html(task_sheet(found[0])) if style == "html" else render(found, [], style)
    assert said.count(NOT_KNOWN) == 1


def test_tables_of_parts_do_not_repeat_it(world: Any) -> None:
    (board,) = boards(world, patients_from="images")
    assert NOT_KNOWN in remarks(board)
    assert NOT_KNOWN not in remarks(replace(board, part="LV", kind="label"))


@pytest.mark.parametrize(
    ("known", "start"),
    [("partly", "Patients of some images are not known"), ("guessed", "Patients are guessed, by pages")],
)
def test_guesses_and_gaps_are_said(world: Any, known: str, start: str) -> None:
    said = render(boards(world, patients_from=known), [], "md")
    assert PATIENTS_TEXT[known] in said
    assert PATIENTS_TEXT[known].startswith(start)


@pytest.mark.parametrize(
    "task",
    [{}, *({"patients_from": known} for known in ("listed", "pattern", "layout", "", "of a later version"))],
)
def test_where_patients_are_known_or_nobody_recorded_it_nothing_is_said(
    world: Any, task: dict[str, Any]
) -> None:
    assert "would make intervals too narrow" not in render(boards(world, **task), [], "md")


def test_results_without_a_suite_say_nothing(world: Any) -> None:
    world.store.write_suite({})
    trials = load_tasks(world.store, None, ["lung"])[0].entries[0].finals
    assert read_contract(world.store, trials, "lung").patients_from == ""


@pytest.mark.parametrize(("known", "said"), [("images", 1), ("listed", 0)])
def test_claims_and_comparisons_say_it_too(world: Any, known: str, said: int) -> None:
    boards(world, patients_from=known)
    (cells,) = load_tasks(world.store, code="today")
    claim = {"id": "c", "task": "lung", "better": {"loss": "dice"}, "than": {"loss": "ce"}}
    (found,) = answer_claims([claim], [cells], resamples=50)
    assert sum(NOT_KNOWN in note for note in found.notes) == said
    first, second = cells.entries
    pair = join(cells, first, cells, second, "lung")
    assert isinstance(pair, Pair)
    assert sum(NOT_KNOWN in note for note in pair.notes) == said
