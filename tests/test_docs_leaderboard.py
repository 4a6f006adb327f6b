"""docs/leaderboard.md against the code: options, columns, marks and choices."""

import re
from pathlib import Path

import pytest

from bench.cli.leaderboard import leaderboard
from bench.leaderboard.choose import choose
from bench.leaderboard.columns import columns
from bench.leaderboard.completeness import ON_MISSING
from bench.leaderboard.facts import metric_facts
from bench.leaderboard.show import FORMATS
from bench.leaderboard.table import Cost, EntryRow, Estimate, TaskBoard
from bench.stats.ranking import SCHEMES

TEXT = (Path(__file__).parents[1] / "docs" / "leaderboard.md").read_text()


def section(title: str) -> str:
    return re.split(r"^## ", TEXT.split(f"\n## {title}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.fixture(scope="module")
def board() -> TaskBoard:
    row = EntryRow(
        rank=1.0, entry="unet + dice", model="unet", loss="dice", metrics={"dice": Estimate(0.8)}, verdict="best",
        difference=Estimate(0.0), p=1.0, n_compared=9, cost=Cost(), n_failed=0, n_valid=9, n_empty_reference=0,
        n_hallucinated=0, n_missed=0,
    )  # fmt: skip
    return TaskBoard(
        task="lung",
        metric="dice",
        facts=(metric_facts("dice", ""),),
        rows=(row,),
        n_folds=1,
        n_seeds=1,
        scheme="rank",
    )


def test_every_option_is_documented() -> None:
    told = set(re.findall(r"`(--[a-z-]+)`", section("Options")))
    known = {name for one in leaderboard.params for name in one.opts if name.startswith("--")}
    assert told - {"--results"} >= known - {"--results", "--help"}
    assert {name for name in told if name not in known} == set()


def test_every_column_is_documented_with_its_heading_and_sets(board: TaskBoard) -> None:
    known = {column.key: column for column in columns(board)}
    told: dict[str, tuple[str, str]] = {}
    for names, heading, sets, _ in rows(section("Columns")):
        for name in re.findall(r"`(\w+)`", names):
            assert name not in told
            told[name] = (heading, sets)
    assert set(told) == known.keys() - {"dice"}
    counts = {"n_valid", "n_empty_reference", "n_hallucinated", "n_missed", "n_failed"}
    for key, (heading, sets) in told.items():
        titles = (known[key].title.removesuffix(" [95% CI]"), known[key].short_title)
        assert not heading or heading in titles, key
        if sets == "all":
            assert known[key].presets >= {"default", "quality", "cost", "counts", "tuning", "all"}, key
        else:
            assert set(sets.split(", ")) == known[key].presets - {"all"}, key
    assert counts <= set(told)
    assert {column.key for column in choose(board, ["all"], empty=True)} == known.keys()


@pytest.mark.parametrize(("title", "words"), [("Ranks", SCHEMES), ("What is missing", ON_MISSING)])
def test_every_choice_is_documented(title: str, words: tuple[str, ...]) -> None:
    assert sorted(re.findall(r"`([a-z-]+)`", " ".join(row[0] for row in rows(section(title))))) == sorted(
        words
    )


def test_every_format_is_documented() -> None:
    told = [
        name
        for line in re.findall(r"^- (.*?):", section("Formats"), re.MULTILINE)
        for name in re.findall(r"`(\w+)`", line)
    ]
    assert sorted(told) == sorted(FORMATS)


def test_links_lead_somewhere() -> None:
    docs = Path(__file__).parents[1] / "docs"
    titles = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-")
        for line in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        file, _, anchor = target.partition("#")
        assert (docs / file).is_file() if file else anchor in titles, target
