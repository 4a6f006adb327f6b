"""docs/statistics.md: its example runs, its numbers are those of the code, and its functions exist."""

import importlib
import math
import re
from pathlib import Path

import pytest

from bench.stats.paired import holm_level, smallest_p
from bench.stats.power import minimum_detectable_difference

TEXT = (Path(__file__).parents[1] / "docs" / "statistics.md").read_text(encoding="utf-8")


def test_the_example_runs():
    names = {}
    exec(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[0], names)
    assert names["test"].n == 24
    assert names["test"].smallest_p == pytest.approx(1.2e-7, rel=0.01)
    assert names["signs"].loc["a", "b"] < 0.05
    assert names["ranks"].iloc[0] == 1.0
    assert names["ranks"].index[0] == "a"
    assert names["rope"].can_tell


def test_the_functions_of_the_table_exist():
    rows = TEXT.split("## Which method for which question\n")[1].strip().split("\n\n")[0].splitlines()[2:]
    told = [name for row in rows for name in re.findall(r"`([a-z_.]+)`", row.split("|")[3])]
    assert len(told) > 12
    for name in told:
        module, _, function = name.partition(".")
        assert hasattr(importlib.import_module(f"bench.stats.{module}"), function or "__doc__"), name


def test_the_table_of_detectable_differences_is_computed():
    power = TEXT.partition("\n## Power\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", power, re.MULTILINE)
    assert len(rows) == 10
    for n, least, *differences in rows:
        found = [minimum_detectable_difference(1.0, int(n), holm_level(m)) for m in (1, 5, 20)]
        assert ["none" if math.isinf(x) else f"{x:.2f}" for x in found] == differences
        assert smallest_p(int(n)) < 1e-15 if "below" in least else f"{smallest_p(int(n)):.2g}" == least
    for n, shown in re.findall(r"(\d+) (?:patients )?show (0\.\d+)", TEXT.split("With an SD of 0.04")[1])[:2]:
        assert f"{minimum_detectable_difference(0.04, int(n)):.3f}" == shown


def test_links_lead_somewhere():
    headings = re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors
    for target in re.findall(r"\]\(([a-z_]+\.md)", TEXT):
        assert (Path(__file__).parents[1] / "docs" / target).exists()
