"""`bench show metric` and `bench list metrics`: every metric says what it is and what it counts."""

import io
import json
from math import inf, nan
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from bench.cli.catalogue import entries, metric_card, metric_text
from bench.cli.component_report import say_metric
from bench.cli.main import cli
from medseg.metrics import METRICS
from medseg.metrics.spec import EmptyValues, MetricSpec


def facts(card: dict[str, Any]) -> dict[str, str]:
    console = Console(file=io.StringIO(), width=200)
    say_metric(card, console)
    lines = console.file.getvalue().split("\n\n")[-1].splitlines()  # type: ignore[attr-defined]
    cells = [line.split("  ", 1) for line in lines if "  " in line]
    return {name.strip(): value.strip() for name, value in cells}


def shown(name: str) -> dict[str, str]:
    return facts(metric_card(name, METRICS.load(name)))


@pytest.mark.parametrize("name", METRICS.names())
def test_every_metric_has_a_card(name: str) -> None:
    card = metric_card(name, METRICS.load(name))
    assert json.loads(json.dumps(card, allow_nan=False)) == card
    assert len(card["text"]) > 10
    assert "Args:" not in card["text"]
    found = facts(card)
    assert "{" not in found["definition"]
    assert {"better is", "computed", "unit", "needs", "a failed case counts"} <= set(found)
    assert "nan" not in found.values()


def test_a_distance() -> None:
    found = shown("hd95")
    assert (found["better is"], found["unit"], found["needs"]) == ("lower", "mm or px", "label maps")
    assert found["a failed case counts"] == found["if the prediction is empty"] == "the image's diagonal"
    assert found["if both are empty"] == "nothing: left out"
    assert found["with policy one or brats"] == "both empty counts 0"
    assert found["with policy brats"] == "373.13 for the diagonal"


def test_a_ratio() -> None:
    found = shown("dice")
    assert (found["a failed case counts"], found["with policy one or brats"]) == ("0", "both empty counts 1")
    assert "with policy brats" not in found
    # Sensitivity has no value that agreeing on nothing could count.
    assert "with policy one or brats" not in shown("sensitivity")


def test_a_tolerance_is_named_and_readable() -> None:
    found = shown("nsd")
    assert "TOLERANCE" in found["definition"]
    assert found["needs"] == "a tolerance in mm or px: tolerance_mm of the task, of all labels or by label"


def test_what_is_only_reported() -> None:
    found = shown("volume_ml")
    assert (found["better is"], found["unit"]) == ("not said; it is reported, never ranked by", "mL")
    assert (found["a failed case counts"], found["if a mask is empty"]) == (
        "nothing: left out",
        "measured all the same",
    )
    assert shown("pixel_accuracy")["better is"] == "higher; it is reported, never ranked by"


def test_calibration_needs_probabilities() -> None:
    assert shown("ece")["needs"] == "the model's probabilities"
    assert shown("nll")["computed"] == "per case, over all labels"
    assert metric_text(METRICS.load("ece_foreground")) == metric_text(METRICS.load("ece"))
    listed = {entry.name: entry.summary for entry in entries("metrics")}
    assert listed["ece"] != listed["ece_foreground"]


def test_json_has_words_for_what_is_no_number() -> None:
    spec = MetricSpec(
        name="x",
        title="X",
        definition="x/v1",
        higher_is_better=False,
        worst=nan,
        ranked=False,
        of_label=lambda pair: 0.0,
        empty=EmptyValues(both=nan, reference=inf, prediction=2.0),
    )
    card = metric_card("x", spec)
    assert card["worst"] is None
    assert card["empty"] == {"both": None, "reference": "inf", "prediction": 2.0, "agreed": None}


def test_the_command_prints_the_card() -> None:
    found = CliRunner().invoke(cli, ["show", "metric", "nsd", "--json"])
    card = json.loads(found.output)
    assert (card["needs_tolerance"], card["quantity"], card["ranked"]) == (True, "ratio", True)
    assert card["definition"] == METRICS.load("nsd").definition
