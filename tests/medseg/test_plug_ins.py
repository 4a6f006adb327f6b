"""A package that is installed adds a model, a loss, a metric and a task by name."""

import os
import subprocess
import sys
import textwrap
from importlib.metadata import entry_points

import pytest

from medseg.errors import RegistryError
from medseg.losses import LOSSES, build_loss
from medseg.metrics import METRICS, evaluate_case
from medseg.models import MODELS, build_model
from medseg.registry import Registry
from medseg.tasks import TASKS

MODULE = """
import torch
from torch import nn
from medseg.metrics.spec import EmptyValues, MetricSpec
from medseg.tasks import TASKS

class Net(nn.Conv2d):
    def __init__(self, in_channels, out_channels, width=3):
        super().__init__(in_channels, out_channels, width, padding=width // 2)

class Squared(nn.Module):
    def forward(self, logits, target):
        return ((torch.sigmoid(logits[:, -1]) - (target > 0).float()) ** 2).mean()

VOLUME = MetricSpec(
    name="volume_error", title="Volume error", definition="acme-volume-error/1", higher_is_better=False, worst=0.0,
    of_label=lambda pair: float(abs(int(pair.reference.sum()) - int(pair.prediction.sum()))),
    empty=EmptyValues(both=0.0, reference=float("nan"), prediction=float("nan")),
)
HEART = TASKS.load("phantom-cardiac").model_copy(update={"name": "acme-heart", "image_size": (32, 32)})
"""
POINTS = {
    "medseg.models": {"acme_net": "acme_seg:Net", "acme_gone": "acme_gone:Net", "acme_half": "acme_half"},
    "medseg.losses": {"acme_squared": "acme_seg:Squared [gpu]"},
    "medseg.metrics": {"volume_error": "acme_seg:VOLUME"},
    "medseg.tasks": {"acme-heart": "acme_seg:HEART", "acme-broken": "acme_seg:NOTHING"},
}


def install(folder, package, module, points):
    """Puts a distribution into a folder as pip would: its module and its .dist-info."""
    folder.mkdir(exist_ok=True)
    (folder / f"{package}.py").write_text(textwrap.dedent(module))
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [
        f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in names.items()) for group, names in points.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))


@pytest.fixture
def fresh(monkeypatch):
    """Returns a function that makes the four tables look at what is installed once more."""
    tables = (MODELS, LOSSES, METRICS, TASKS)

    def forget():
        for table in tables:
            monkeypatch.delitem(vars(table), "_paths", raising=False)
        return tables

    yield forget
    monkeypatch.undo()
    for table in tables:
        vars(table).pop("_paths", None)


@pytest.fixture
def installed(tmp_path, monkeypatch, fresh):
    install(tmp_path / "site", "acme_seg", MODULE, POINTS)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "acme_seg", raising=False)
    fresh()
    return tmp_path / "site"


@pytest.mark.usefixtures("installed")
def test_names_of_all_four_kinds_are_known_and_work():
    import numpy as np
    import torch

    from medseg.config import Component

    model = build_model(Component(name="acme_net", options={"width": 5}), 1, 4, (8, 8))
    loss = build_loss(Component(name="acme_squared"), 4)
    images, target = torch.zeros(2, 1, 8, 8), torch.ones(2, 8, 8, dtype=torch.long)
    loss(model(images), target).backward()
    assert model.weight.shape == (4, 1, 5, 5)
    assert TASKS.load("acme-heart").image_size == (32, 32)
    reference = np.zeros((1, 4, 4), np.uint8)
    prediction = reference.copy()
    reference[0, :2], prediction[0, :1] = 1, 1
    (value,) = evaluate_case(reference, prediction, (1.0, 1.0, 1.0), ("heart",), ("volume_error",))
    assert (value.value, value.definition) == (4.0, "acme-volume-error/1")


@pytest.mark.usefixtures("installed")
def test_a_broken_plug_in_is_one_line_and_breaks_no_other_name():
    assert {"unet", "acme_net", "acme_gone"} <= set(MODELS.names())
    assert MODELS.load("unet").__name__ == "UNet"
    for table, name, message in (
        (
            MODELS,
            "acme_gone",
            r"^model 'acme_gone' cannot be imported from acme_gone:Net: No module named 'acme_gone'$",
        ),
        (MODELS, "acme_half", r"^model 'acme_half' needs a path module:Attribute, got 'acme_half'$"),
        (
            TASKS,
            "acme-broken",
            r"^task 'acme-broken' cannot be imported from acme_seg:NOTHING: .*no attribute",
        ),
    ):
        with pytest.raises(RegistryError, match=message):
            table.load(name)
    assert {"acme-heart", "acdc-lv"} <= TASKS.loadable().keys()
    assert "acme-broken" not in TASKS.loadable()


def test_a_name_of_two_packages_raises_and_says_what_to_do(installed, tmp_path, monkeypatch, fresh):
    install(tmp_path / "other", "acme_two", "", {"medseg.models": {"acme_net": "acme_two:Net"}})
    monkeypatch.syspath_prepend(str(tmp_path / "other"))
    models, losses, *_ = fresh()
    with pytest.raises(
        RegistryError, match=r"^model 'acme_net' is defined twice: .*; uninstall one of the packages$"
    ):
        models.names()
    assert "acme_squared" in losses.names()


def test_a_package_cannot_replace_one_of_ours(tmp_path, monkeypatch, fresh):
    install(tmp_path / "site", "acme_unet", "", {"medseg.models": {"unet": "acme_unet:Net"}})
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    models, *_ = fresh()
    with pytest.raises(
        RegistryError, match=r"'unet' is defined twice: medseg\.models\.unet:UNet and acme_unet:Net"
    ):
        models.names()


def test_the_same_package_seen_twice_is_no_duplicate(installed, tmp_path, monkeypatch):
    install(tmp_path / "copy", "acme_seg", MODULE, POINTS)
    monkeypatch.syspath_prepend(str(tmp_path / "copy"))
    assert len(entry_points(group="medseg.losses")) >= 1
    assert "acme_squared" in Registry("loss", {}, "medseg.losses").names()


def test_names_are_listed_without_importing_what_they_stand_for(installed):
    code = "import sys\nfrom medseg.models import MODELS\nassert 'acme_net' in MODELS.names()\n"
    code += "assert 'acme_seg' not in sys.modules and 'torch' not in sys.modules"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(installed), *sys.path))}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
