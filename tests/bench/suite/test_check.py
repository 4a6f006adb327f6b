"""Metrics of others in a suite."""

from pathlib import Path

import pytest

from bench.errors import SuiteError
from bench.suite import parse_suite
from medseg.metrics import METRICS

SUITE = """\
suite: s
tasks:
  - {name: phantom-lung, metrics: [dice, METRIC]}
models: [unet]
losses: [dice]
"""


@pytest.fixture(autouse=True)
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "check_metrics.py").write_text("from medseg.metrics.overlap import DICE as GOOD\nBAD = 3\n")
    (tmp_path / "check_broken.py").write_text("raise OSError('no such library')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(METRICS, "_paths", {**METRICS._paths, "broken": "check_broken:METRIC"})


def test_a_metric_of_ones_own_is_taken() -> None:
    suite = parse_suite(SUITE.replace("METRIC", "'check_metrics:GOOD'"), Path("s.yaml")).suite
    assert suite.tasks[0].overrides["metrics"] == ["dice", "check_metrics:GOOD"]


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("broken", "metric 'broken' cannot be imported from check_broken:METRIC: OSError: no such library"),
        ("check_metrics:GONE", "metric 'check_metrics:GONE' cannot be imported from check_metrics:GONE: "),
        ("dise", "unknown metric 'dise', did you mean 'dice'?"),
    ],
)
def test_a_metric_that_cannot_be_imported_is_refused_where_it_stands(metric: str, message: str) -> None:
    with pytest.raises(SuiteError) as caught:
        parse_suite(SUITE.replace("METRIC", f"'{metric}'"), Path("s.yaml"))
    ((place, text),) = caught.value.problems
    assert str(place) == "s.yaml:3:42"
    assert text.startswith(message)


def test_a_broken_metric_breaks_no_suite_without_it() -> None:
    assert parse_suite(SUITE.replace("METRIC", "iou"), Path("s.yaml")).suite.tasks
