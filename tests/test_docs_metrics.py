"""docs/metrics.md names every metric with its definition, says what empty masks give, and its code runs."""

import re
from dataclasses import astuple
from math import nan
from pathlib import Path

import numpy as np
import pytest

from medseg.metrics import METRICS, evaluate_case
from medseg.metrics.spec import MetricSpec
from medseg.registry import Registry

TEXT = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text(encoding="utf-8")
OWN = [name for name in METRICS.names() if METRICS.path(name).startswith("medseg.")]
DEFINED = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \| ", TEXT, re.MULTILINE))
CODE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_every_metric_has_a_row():
    assert sorted(DEFINED) == sorted(OWN)


@pytest.mark.parametrize("name", OWN)
def test_its_definition_is_that_of_the_code(name):
    assert DEFINED[name] == METRICS.load(name).definition


def test_empty_masks_give_what_the_table_says():
    table = TEXT.split("## Empty masks\n")[1].split("\n\n")[1].splitlines()[2:]
    told = {}
    for line in table:
        names, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        told |= {name: tuple(map(float, cells)) for name in re.findall(r"`(\w+)`", names)}
    specs = {name: METRICS.load(name) for name in OWN}
    known = {name: astuple(spec.empty) for name, spec in specs.items() if spec.empty is not None}
    assert told.keys() == known.keys()
    for name, values in known.items():
        np.testing.assert_array_equal(told[name], values, err_msg=name)


def test_what_is_not_ranked_is_said():
    rows = {name: re.search(rf"^\| `{name}` .*", TEXT, re.MULTILINE).group(0) for name in OWN}
    reported = {name for name in OWN if not METRICS.load(name).ranked}
    assert {name for name in OWN if "not ranked" in rows[name]} == reported


def test_the_example_runs():
    names = {"reference": np.eye(4, dtype=int), "prediction": np.eye(4, dtype=int) * 2}
    code = CODE[0].replace("(10.0, 1.5, 1.5)", "(1.5, 1.5)")
    exec(code, names)
    row = names["rows"][1]
    assert (row.label, row.metric, row.definition) == ("lv", "hd95", "hd95/erode1/maxdir/linear/v1")


def test_the_metric_that_is_added_works(monkeypatch):
    names = {}
    exec(CODE[1], names)
    spec = names["VOLUMETRIC_SIMILARITY"]
    assert isinstance(spec, MetricSpec)
    monkeypatch.setattr(Registry, "load", lambda registry, name: spec)
    reference, prediction = np.zeros((2, 4, 4), int)
    reference[:2], prediction[:3] = 1, 1
    values = [
        evaluate_case(one, other, (1, 1), ["a"], ["volumetric_similarity"])[0].value
        for one, other in (
            (reference, prediction),
            (reference * 0, prediction),
            (reference * 0, reference * 0),
        )
    ]
    assert values == pytest.approx([1 - 4 / 20, 0.0, nan], nan_ok=True)
