"""The page on data: its suites are read, and it names every format and extension."""

import re
from pathlib import Path

import pytest

from bench.suite import parse_suite
from bench.suite.resolve import task_spec
from medseg.data.index import READERS
from medseg.data.raster import EXTENSIONS

TEXT = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
SUITES = [block for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL) if block.startswith("data:")]
REST = "suite: x\nmodels: [unet]\nlosses: [ce_dice]\n"


def test_every_format_has_its_suite():
    tasks = [
        task_spec(entry)
        for block in SUITES
        for entry in parse_suite(REST + block, Path("x.yaml")).suite.tasks
    ]
    assert {task.format for task in tasks} == READERS.keys()


@pytest.mark.parametrize("name", [*READERS, *EXTENSIONS])
def test_formats_and_extensions_are_named(name):
    assert f"`{name}`" in TEXT
