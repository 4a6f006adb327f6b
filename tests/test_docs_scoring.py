"""The page on scoring: it names every option, column, suffix and exit code that there is."""

import re
from pathlib import Path

import pytest

from bench.cli.rescore import rescore
from bench.cli.score import POLICIES, score
from bench.cli.score_command import DEFAULT_METRICS
from bench.cli.score_output import JSON_COLUMNS, SUFFIXES
from bench.errors import EXIT_CODES
from bench.results.schema import VALUE_STATUSES
from bench.stats.aggregate import POLICIES as KNOWN
from medseg.scoring.score import COLUMNS

TEXT = (Path(__file__).parents[1] / "docs" / "scoring.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [score, rescore])
def test_every_option_is_named(command):
    names = {option.opts[0] for option in command.params if option.opts[0].startswith("-")}
    missing = [name for name in names - {"--results"} if not re.search(rf"{name}\b", TEXT)]
    assert not missing


def test_columns_statuses_and_suffixes_are_those_of_the_code():
    assert ", ".join(COLUMNS) in TEXT
    assert all(f'"{name}"' in TEXT for name in JSON_COLUMNS)
    assert ", ".join(f"`{status}`" for status in VALUE_STATUSES) in TEXT
    assert ", ".join(f"`{suffix}`" for suffix in SUFFIXES) in TEXT
    assert set(POLICIES) == set(KNOWN)


def test_default_metrics_are_named_in_their_order():
    named = re.search(r"Default: (.*?); or the task's", TEXT)[1].replace(" (if there is a tolerance)", "")
    assert tuple(named.split(", ")) == DEFAULT_METRICS


def test_exit_codes_are_among_those_of_bench():
    table = re.search(r"\| exit code \|(.*?)\n\n", TEXT, re.DOTALL)[1]
    listed = [int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)]
    # 5 and 6 are of `bench run` alone, 7 of comparisons.
    assert listed == [code for code in EXIT_CODES if code not in (5, 6, 7)]
