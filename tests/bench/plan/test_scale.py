"""Suites made small: what models are asked for, and the plan that comes of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.plan import Plan, make_plan, probe
from bench.plan.scale import smoke_suite
from bench.suite import parse_suite

MODELS = """
from torch import nn

class Wide(nn.Conv2d):
    def __init__(self, in_channels, out_channels, width=64, gain=1.0):
        super().__init__(in_channels, out_channels, 3, padding=1)

class Tiny(Wide):
    narrow = {"width": 2}
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def answers_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers the probe's questions in this process, where torch is imported once."""

    def ask(requests: Sequence[probe.Request]) -> list[probe.Answer]:
        from medseg.training.probe import answer

        return [probe.Answer.model_validate(answer(r.to_json())) for r in requests]

    monkeypatch.setattr(probe, "_ask", ask)
    (tmp_path / "scale_models.py").write_text(MODELS)
    monkeypatch.syspath_prepend(str(tmp_path))


def small(cache: Path, **sections: Any) -> tuple[Plan, str]:
    tree = {"suite": "s", "tasks": ["covid-lung"], "losses": ["ce"], **sections}
    loaded, changes = smoke_suite(parse_suite(yaml.safe_dump(tree, sort_keys=False), Path("s.yaml")), cache)
    return make_plan(loaded, {}, cache), changes


def options(plan: Plan) -> dict[str, dict[str, Any]]:
    return {study.models[0].label: study.models[0].component.options for study in plan.studies}


def test_tasks_of_one_data_set_share_its_stand_in(cache: Path) -> None:
    plan, _ = small(cache, tasks=["acdc-lv", "acdc-multiclass"], models=["unet"])
    assert len({data.root for data in plan.data.values()}) == 1


def test_models_of_others_are_tiny_if_they_say_how(cache: Path) -> None:
    models = [
        {"name": "scale_models:Wide", "label": "wide", "options": {"width": 32}},
        {"name": "scale_models:Tiny", "label": "tiny", "options": {"width": 32, "gain": 2.0}},
    ]
    plan, changes = small(cache, models=models)
    assert options(plan) == {"wide": {"width": 32, "gain": 1.0}, "tiny": {"width": 2, "gain": 2.0}}
    assert "tiny networks, wide as given; 2 studies" in changes.replace("2 of 2 studies", "2 studies")
    assert plan.data["covid-lung"].spec.image_size == (256, 256)


def test_options_that_do_not_go_with_the_tiny_ones_give_way(cache: Path) -> None:
    given = {"features": [8, 16, 32, 64], "blocks": [1, 1, 1, 1], "strides": [1, 2, 2, 2]}
    plan, _ = small(cache, models=[{"name": "nnunet_resenc", "options": given}, "unet"])
    assert options(plan)["nnunet_resenc"]["features"] == [4, 8, 16]


def test_pretrained_weights_are_left_out(cache: Path) -> None:
    model = {"name": "transunet", "options": {"pretrained": "nowhere.npz", "skips": 2}}
    plan, _ = small(cache, models=[model])
    assert options(plan)["transunet"]["pretrained"] is None
    assert options(plan)["transunet"]["skips"] == 2


def test_a_searched_axis_stays_searched(cache: Path) -> None:
    space = {"train.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}
    plan, changes = small(
        cache,
        models=["unet", "resunet"],
        losses=["ce", "dice"],
        compare=["loss"],
        tune={"budget": {"trials": 9}, "space": space},
    )
    assert [[model.label for model in study.models] for study in plan.studies] == [["unet", "resunet"]] * 2
    assert "2 of 2 studies;" in changes


def test_nothing_is_mistaken_for_the_real_thing(cache: Path) -> None:
    task = {"name": "phantom-lung", "phantom": {"patients": 6}, "split": {"folds": 2}}
    tree = {"suite": "s", "tasks": [task], "models": ["unet"], "losses": ["ce"]}
    whole = parse_suite(yaml.safe_dump(tree), Path("s.yaml"))
    real = make_plan(whole, {}, cache)
    plan = make_plan(smoke_suite(whole, cache)[0], {}, cache)
    assert plan.suite.suite != real.suite.suite
    assert not {study.id for study in plan.studies} & {study.id for study in real.studies}
