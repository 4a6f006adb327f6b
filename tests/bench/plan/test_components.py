"""Models and losses of a suite, by themselves and together."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.plan import probe
from bench.plan.components import Components, check_components
from bench.suite import parse_suite
from bench.suite.resolve import task_spec

# Deep supervision in training; and losses that cannot take it, or not the channels.
OTHERS = """
import torch
from torch import nn
from torch.nn import functional as F


class Deep(nn.Module):
    def __init__(self, in_chans, n_classes, levels=3):
        super().__init__()
        self.conv, self.levels = nn.Conv2d(in_chans, n_classes, 1), levels

    def forward(self, image):
        logits = self.conv(image)
        return {"out": [F.avg_pool2d(logits, 2**level) for level in range(self.levels)]}


class Windowed(nn.Module):
    def forward(self, logits, target):
        F.avg_pool2d(logits, 11)
        return F.binary_cross_entropy_with_logits(logits[:, 0], target.float())


class OneHot(nn.Module):
    def forward(self, logits, target):
        return ((logits - target) ** 2).mean() if logits.shape == target.shape else 1 / 0
"""
TASK: dict[str, Any] = {"name": "phantom-lung", "image_size": [32, 32]}
MANY: dict[str, Any] = {"name": "phantom-cardiac", "image_size": [32, 32]}
UNET: dict[str, Any] = {"name": "unet", "options": {"features": [4, 8]}}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[probe.Request]:
    """Answers in this process, where torch is imported once; returns what was asked."""
    requests: list[probe.Request] = []

    def ask(some: Sequence[probe.Request]) -> list[probe.Answer]:
        from medseg.training.probe import answer

        requests.extend(some)
        return [probe.Answer.model_validate(answer(request.to_json())) for request in some]

    monkeypatch.setattr(probe, "_ask", ask)
    return requests


@pytest.fixture(autouse=True)
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plan_others.py").write_text(OTHERS)
    monkeypatch.syspath_prepend(str(tmp_path))


def check(
    tmp_path: Path, models: list[Any], losses: list[Any], *tasks: Any, **rest: Any
) -> tuple[Components, list[str]]:
    tree = {"suite": "s", "tasks": list(tasks or [TASK]), "models": models, "losses": losses, **rest}
    loaded = parse_suite(yaml.safe_dump(tree, sort_keys=False), Path("s.yaml"))
    specs = {index: task_spec(entry) for index, entry in enumerate(loaded.suite.tasks)}
    components, found = check_components(loaded.suite, specs, tmp_path / "cache")
    return components, [f"{loaded.locate(finding.path)}: {finding.text}" for finding in found]


def test_a_loss_is_tried_with_each_form_of_deep_supervision_once(
    asked: list[probe.Request], tmp_path: Path
) -> None:
    models = [UNET, "plan_others:Deep", {"name": "plan_others:Deep", "label": "same"}]
    _, found = check(tmp_path, models, ["dice"], TASK)
    assert not found
    levels = ((32, 32), (16, 16), (8, 8))
    assert [request.levels for request in asked if request.kind == "loss"] == [(), levels]
    (deep,) = {request.name for request in asked if request.kind == "model"} - {"unet"}
    assert deep == "plan_others:Deep"


def test_without_deep_supervision_no_pair_is_asked_about(asked: list[probe.Request], tmp_path: Path) -> None:
    check(tmp_path, [UNET], ["dice"])
    assert [request.kind for request in asked] == ["model", "loss"]


def test_a_loss_that_cannot_take_a_models_levels_is_refused_where_it_stands(
    asked: list[probe.Request], tmp_path: Path
) -> None:
    models = [UNET, {"name": "plan_others:Deep", "label": "deep"}]
    _, (found,) = check(tmp_path, models, ["dice", "plan_others:Windowed"])
    assert found.startswith(
        "s.yaml:17:3: plan_others:Windowed with the deep supervision of deep on phantom-lung: plan_others:Windowed: "
        "RuntimeError: "
    )
    assert found.endswith("; a model without deep supervision would do, or another loss")
    assert not check(tmp_path, [UNET], ["dice", "plan_others:Windowed"])[1]


@pytest.mark.parametrize(
    ("loss", "task", "message"),
    [
        (
            "torch.nn:CrossEntropyLoss",
            TASK,
            "needs a channel per class, but the model's one channel of a task with one label is its logit",
        ),
        ("plan_others:OneHot", MANY, "a loss is called with logits (B, 4, H, W) and class indices (B, H, W)"),
    ],
)
def test_a_loss_that_does_not_fit_a_task_is_refused_with_what_would(
    asked: list[probe.Request], tmp_path: Path, loss: str, task: Any, message: str
) -> None:
    _, (found,) = check(tmp_path, [UNET], [loss], task)
    assert found.startswith(f"s.yaml:14:3: {loss} on {task['name']}: {loss}")
    assert message in found


def test_a_model_that_does_not_fit_a_task_is_refused_with_the_sizes_that_would(
    asked: list[probe.Request], tmp_path: Path
) -> None:
    net = {"name": "monai:UNet", "options": {"channels": [4, 4, 4], "strides": [2, 2]}}
    _, (found,) = check(tmp_path, [net], ["dice"], TASK | {"image_size": [30, 32]})
    assert found == (
        "s.yaml:8:3: monai:UNet on phantom-lung: monai:UNet needs image sides divisible by 4, got 30 x 32; "
        "28 x 32 or 32 x 32 would fit"
    )


def test_models_are_built_for_the_patches_that_they_see(asked: list[probe.Request], tmp_path: Path) -> None:
    models = [UNET, {"name": "plan_others:Deep", "train": {"patch_size": [16, 24]}}]
    _, found = check(tmp_path, models, ["dice"], TASK, train={"patch_size": [16, 16]})
    assert not found
    assert [(request.kind, request.image_size) for request in asked] == [
        ("model", (16, 16)),
        ("model", (16, 24)),
        ("loss", (16, 16)),
        ("loss", (16, 24)),
        ("loss", (16, 24)),
    ]
    assert asked[-1].levels == ((16, 24), (8, 12), (4, 6))


def test_a_model_that_does_not_fit_the_patches_is_refused(asked: list[probe.Request], tmp_path: Path) -> None:
    _, (found,) = check(tmp_path, [UNET], ["dice"], TASK, train={"patch_size": [15, 16]})
    assert found.startswith("s.yaml:8:3: unet on phantom-lung in patches of 15 x 16: ")
    assert "divisible by 2, got 15 x 16" in found


def test_options_of_a_library_are_resolved_and_searched(asked: list[probe.Request], tmp_path: Path) -> None:
    basic = {"name": "monai:BasicUNet", "options": {"features": [4, 4, 4, 4, 4, 4]}}
    components, found = check(tmp_path, [basic], ["dice"])
    loaded = parse_suite(
        yaml.safe_dump({"suite": "s", "tasks": [TASK], "models": [basic], "losses": ["dice"]}), Path("s.yaml")
    )
    answer = components.of("model", loaded.suite.models[0], task_spec(loaded.suite.tasks[0]))
    assert not found
    assert answer.options["spatial_dims"] == 2
    assert answer.options["dropout"] == 0.0
    assert not {"in_channels", "out_channels"} & answer.options.keys()
