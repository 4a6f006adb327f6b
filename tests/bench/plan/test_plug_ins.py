"""The plan of a suite whose task, model, loss and metric come from an installed package."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.errors import SuiteError
from bench.plan import Plan, make_plan, probe
from bench.suite import parse_suite
from medseg.losses import LOSSES
from medseg.metrics import METRICS
from medseg.models import MODELS
from medseg.tasks import TASKS

MODULE = """
import torch
from torch import nn
from medseg.metrics.overlap import DICE
from medseg.tasks import TASKS

class Net(nn.Conv2d):
    def __init__(self, n_channels, n_classes, width=3):
        super().__init__(n_channels, n_classes, width, padding=width // 2)

class Squared(nn.Module):
    def forward(self, logits, target):
        return ((torch.sigmoid(logits[:, -1]) - (target > 0).float()) ** 2).mean()

OVERLAP = DICE
SMALL = TASKS.load("phantom-lung").model_copy(update={"name": "acme-lung", "image_size": (32, 32)})
"""
POINTS = """
[medseg.models]
acme_net = acme_planned:Net
[medseg.losses]
acme_squared = acme_planned:Squared
acme_broken = acme_nowhere:Loss
[medseg.metrics]
acme_overlap = acme_planned:OVERLAP
[medseg.tasks]
acme-lung = acme_planned:SMALL
"""
SUITE: dict[str, Any] = {
    "suite": "acme",
    "tasks": [
        {
            "name": "acme-lung",
            "metrics": ["dice", "acme_overlap"],
            "phantom": {"patients": 8, "seed": 3},
            "split": {"folds": 2},
        }
    ],
    "models": ["acme_net"],
    "losses": ["acme_squared"],
}
TABLES = (MODELS, LOSSES, METRICS, TASKS)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with an installed package, as pip leaves it; the tables look at what is installed once more."""
    info = tmp_path / "site" / "acme_planned-2.0.dist-info"
    info.mkdir(parents=True)
    (tmp_path / "site" / "acme_planned.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-planned\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "acme_planned", raising=False)

    def ask(requests: Sequence[probe.Request]) -> list[probe.Answer]:
        from medseg.training.probe import answer

        return [probe.Answer.model_validate(answer(r.to_json())) for r in requests]

    monkeypatch.setattr(probe, "_ask", ask)
    look_again()
    yield tmp_path / "site"
    monkeypatch.undo()
    sys.modules.pop("acme_planned", None)
    look_again()


def look_again() -> None:
    for table in TABLES:
        vars(table).pop("_paths", None)


def planned(tmp_path: Path, **changes: Any) -> Plan:
    text = yaml.safe_dump({**SUITE, **changes}, sort_keys=False)
    return make_plan(parse_suite(text, Path("acme.yaml")), {}, tmp_path / "cache")


def test_names_of_all_four_kinds_go_into_a_suite(site: Path, tmp_path: Path) -> None:
    (study,) = planned(tmp_path).studies
    assert study.entry == "acme_net + acme_squared"
    assert study.models[0].component.options == {"width": 3}
    assert study.task.image_size == (32, 32)


def test_a_broken_plug_in_is_one_line_at_its_place(site: Path, tmp_path: Path) -> None:
    with pytest.raises(SuiteError) as caught:
        planned(tmp_path, losses=["acme_squared", "acme_broken"])
    ((place, text),) = caught.value.problems
    assert str(place) == "acme.yaml:16:3"
    assert text.startswith(
        "acme_broken on acme-lung: loss 'acme_broken' cannot be imported from acme_nowhere:Loss: "
    )


def test_another_version_of_a_plug_in_makes_another_study(site: Path, tmp_path: Path) -> None:
    first = planned(tmp_path).hash
    assert planned(tmp_path).hash == first
    (site / "acme_planned.py").write_text(f"{MODULE}\n# better\n")
    assert planned(tmp_path).hash != first


@pytest.mark.parametrize("value", ["acme_planned:GONE", "acme_planned:Net"])
def test_a_broken_task_breaks_no_suite_without_it(site: Path, tmp_path: Path, value: str) -> None:
    points = site / "acme_planned-2.0.dist-info" / "entry_points.txt"
    points.write_text(f"{POINTS}acme-broken = {value}\n")
    look_again()
    assert planned(tmp_path).studies
    with pytest.raises(SuiteError) as caught:
        planned(tmp_path, tasks=[{"name": "acme-broken"}])
    ((_, text),) = caught.value.problems
    assert text.startswith("task 'acme-broken' ")


@pytest.mark.parametrize(("chosen_by", "another"), [("acme_overlap", True), ("dice", False)])
def test_another_version_of_the_selection_metric_makes_another_study(
    site: Path, tmp_path: Path, chosen_by: str, another: bool
) -> None:
    ours = {
        "tasks": [SUITE["tasks"][0] | {"selection_metric": chosen_by}],
        "models": [{"name": "unet", "options": {"features": [4, 8]}}],
        "losses": ["ce"],
    }
    first = planned(tmp_path, **ours).studies[0].id
    (site / "acme_planned.py").write_text(f"{MODULE}\n# better\n")
    assert (planned(tmp_path, **ours).studies[0].id != first) == another
