import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from medseg.losses import LOSSES
from medseg.training.probe import answer

FOREIGN = """
import torch
from torch import nn

print("a module that talks while it is imported")

class Good(nn.Module):
    def __init__(self, in_channels, out_channels, width=4):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1)
    def forward(self, image):
        return self.conv(image)

class Deep(Good):
    def forward(self, image):
        logits = self.conv(image)
        return [logits, logits[..., ::2, ::2]] if self.training else logits

class Half(Good):
    def forward(self, image):
        return self.conv(image)[..., ::2, ::2]

class Vector(nn.Module):
    def forward(self, logits, target):
        return logits.mean(dim=(1, 2, 3))

class Constant(nn.Module):
    def forward(self, logits, target):
        return torch.tensor(1.0)

class Infinite(nn.Module):
    def forward(self, logits, target):
        return logits.sum() + float("inf")
"""


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "probe_foreign.py").write_text(FOREIGN)
    (tmp_path / "probe_broken.py").write_text("def half(:\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "probe_foreign"


def ask(kind: str, name: str, out_channels: int = 4, size: tuple[int, int] = (32, 32), **options: Any) -> Any:
    return answer(
        {
            "kind": kind,
            "name": name,
            "options": options,
            "in_channels": 1,
            "out_channels": out_channels,
            "image_size": size,
        }
    )


def test_a_model_that_fits_answers_with_its_options_and_size() -> None:
    found = ask("model", "unet", features=[4, 8])
    assert found["ok"]
    assert found["problems"] == []
    assert found["options"]["features"] == [4, 8]
    assert found["options"]["dropout"] == 0.0
    assert found["parameters"] > 500
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("out_channels", [1, 4])
@pytest.mark.parametrize("name", LOSSES.names())
def test_losses_answer_for_binary_and_multi_class(name: str, out_channels: int) -> None:
    assert ask("loss", name, out_channels)["ok"]


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize(
    ("name", "options", "out_channels", "message"),
    [
        ("torch.nn:NLLLoss", {}, 4, "must be a loss of logits"),
        ("torch.nn:MSELoss", {}, 1, ""),
        ("torch.nn:L1Loss", {}, 1, ""),
        ("monai:AsymmetricUnifiedFocalLoss", {}, 1, "must depend on the logits"),
        ("dice", {"weights": [1, 0, 0, 0]}, 4, "must depend on the logits, got no gradient"),
    ],
)
def test_losses_of_anything_but_logits_are_refused(
    name: str, options: dict[str, Any], out_channels: int, message: str
) -> None:
    found = ask("loss", name, out_channels, **options)
    assert not found["ok"]
    assert message in found["problems"][0]["message"]


def test_balanced_weights_need_no_data_here() -> None:
    assert ask("loss", "ce", weights="balanced")["ok"]


def test_an_image_size_that_does_not_divide_is_refused() -> None:
    (problem,) = ask("model", "unet", size=(100, 96), features=[4, 8, 16, 32])["problems"]
    assert problem["where"] == "model"
    assert "divisible by 8, got 100 x 96" in problem["message"]


@pytest.mark.parametrize(
    ("kind", "name", "options", "where", "message"),
    [
        (
            "model",
            "unet",
            {"featurs": [4, 8]},
            "model.featurs",
            "unknown option 'featurs', did you mean 'features'?",
        ),
        ("model", "unet", {"dropout": 2}, "model.dropout", "got 2"),
        ("loss", "focal", {"gama": 1}, "loss.gama", "unknown option 'gama', did you mean 'gamma'?"),
        ("model", "no_such_package:Net", {}, "model", "cannot be imported from no_such_package:Net"),
        ("model", "json:Nothing", {}, "model", "cannot be imported from json:Nothing"),
        ("model", "json:decoder", {}, "model", "needs a class or function, got module"),
        ("loss", "torch.nn:ReLU", {}, "loss", "ReLU"),
    ],
)
def test_what_cannot_be_built(
    kind: str, name: str, options: dict[str, Any], where: str, message: str
) -> None:
    found = ask(kind, name, **options)
    assert not found["ok"]
    (problem,) = found["problems"]
    assert problem["where"] == where
    assert message in problem["message"]
    assert "\n" not in problem["message"]


def test_anyones_model(foreign: str) -> None:
    found = ask("model", f"{foreign}:Good")
    assert found["ok"]
    assert found["options"] == {"width": 4}
    assert found["parameters"] == 8


def test_levels_of_deep_supervision_are_found_and_losses_are_tried_with_them(foreign: str) -> None:
    assert ask("model", "unet", features=[4, 8])["levels"] == [[32, 32]]
    assert ask("model", f"{foreign}:Deep")["levels"] == [[32, 32], [16, 16]]
    request = {"kind": "loss", "name": "ce", "options": {}, "in_channels": 1, "out_channels": 4}
    assert answer({**request, "image_size": [32, 32], "levels": [[32, 32], [16, 16]]})["ok"]
    assert not answer({**request, "image_size": [32, 32], "levels": [[16, 16], [32, 32]]})["ok"]


@pytest.mark.parametrize(
    ("name", "options", "out_channels", "message"),
    [
        ("torch.nn:CrossEntropyLoss", {}, 1, "needs a channel per class, but the model's one channel"),
        ("torch.nn:BCEWithLogitsLoss", {}, 4, "a loss is called with logits (B, 4, H, W) and class indices"),
        ("monai:DiceLoss", {}, 4, "it needs the options {to_onehot_y: true, softmax: true}"),
        (
            "monai:DiceLoss",
            {"softmax": True},
            1,
            "would take logits for probabilities: it needs the options {sigmoid",
        ),
        (
            "monai:DiceLoss",
            {"softmax": True},
            4,
            "one that wants them otherwise needs a class of one's own around it",
        ),
        ("monai:DiceLos", {}, 4, "has no attribute 'DiceLos', did you mean 'DiceLoss'?"),
    ],
)
def test_losses_of_others_that_do_not_fit(
    name: str, options: dict[str, Any], out_channels: int, message: str
) -> None:
    (problem,) = ask("loss", name, out_channels, **options)["problems"]
    assert message in problem["message"]


@pytest.mark.parametrize(
    ("name", "options", "out_channels"),
    [
        ("DiceLoss", {"to_onehot_y": True, "softmax": True}, 4),
        ("DiceCELoss", {"to_onehot_y": True, "softmax": True}, 4),
        ("DiceLoss", {"sigmoid": True}, 1),
        ("TverskyLoss", {"sigmoid": True, "alpha": 0.3}, 1),
    ],
)
def test_losses_of_monai_fit_with_their_activation(
    name: str, options: dict[str, Any], out_channels: int
) -> None:
    found = ask("loss", f"monai:{name}", out_channels, **options)
    assert found["ok"], found["problems"]


@pytest.mark.usefixtures("torchvision_ops")
@pytest.mark.parametrize(("mode", "out_channels"), [("multiclass", 4), ("binary", 1)])
def test_losses_of_smp_fit_with_their_mode(mode: str, out_channels: int) -> None:
    found = ask("loss", "smp:DiceLoss", out_channels, mode=mode)
    assert found["ok"], found["problems"]
    assert found["options"]["mode"] == mode


@pytest.mark.usefixtures("torchvision_ops")
@pytest.mark.parametrize("kind", ["model", "loss"])
def test_the_documented_components_of_others_fit(kind: str) -> None:
    section = (
        (Path(__file__).parents[3] / "docs" / "suite.md")
        .read_text()
        .split("## Models and losses of others")[1]
    )
    tree = yaml.safe_load(section.split("```yaml\n")[1].split("```")[0])
    entries = [
        entry for entry in tree[{"model": "models", "loss": "losses"}[kind]] if isinstance(entry, dict)
    ]
    for entry in entries:
        if not entry["name"].startswith("my_models:"):
            found = ask(kind, entry["name"], 4, (64, 64), **entry["options"])
            assert found["ok"], found["problems"]


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("model", "Half", r"(2, 4, 32, 32), got (2, 4, 16, 16)"),
        ("loss", "Vector", "must return one number, got [2]"),
        ("loss", "Constant", "must depend on the logits, got no gradient"),
        ("loss", "Infinite", "must be finite, got inf for logits of 0"),
    ],
)
def test_anyones_component_that_breaks_the_contract(foreign: str, kind: str, name: str, message: str) -> None:
    (problem,) = ask(kind, f"{foreign}:{name}")["problems"]
    assert message in problem["message"]


class TestNarrow:
    """Which options make a model tiny."""

    def test_those_it_declares_over_those_given(self) -> None:
        found = ask("narrow", "unet", dropout=0.1, features=[8, 16, 32, 64])
        assert (found["ok"], found["options"]) == (True, {"dropout": 0.1, "features": [4, 8, 16]})

    def test_alone_where_the_given_ones_do_not_go_with_them(self) -> None:
        found = ask("narrow", "transunet", norm_groups=8, preset="none")
        assert "preset" not in found["options"]
        assert found["options"]["norm_groups"] == 2

    def test_a_model_that_declares_none(self, foreign: str) -> None:
        (problem,) = ask("narrow", f"{foreign}:Good")["problems"]
        assert problem["message"] == f"{foreign}:Good has no options that make it narrow"


def test_a_module_that_is_no_python(foreign: str) -> None:
    (problem,) = ask("model", "probe_broken:Net")["problems"]
    assert "SyntaxError" in problem["message"]


def test_the_subprocess_keeps_prints_out_of_its_answers(foreign: str, tmp_path: Path) -> None:
    request = {"kind": "model", "options": {}, "in_channels": 1, "out_channels": 1, "image_size": [16, 16]}
    text = json.dumps([{**request, "name": f"{foreign}:Good"}, {**request, "name": "nope"}])
    done = subprocess.run(
        [sys.executable, "-m", "medseg.training.probe"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    ready, first, second = done.stdout.split("\n")[:-1]
    assert ready == ""
    assert json.loads(first)["ok"]
    assert "unknown model 'nope'" in json.loads(second)["problems"][0]["message"]
    assert "a module that talks" in done.stderr
