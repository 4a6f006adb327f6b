"""docs/models.md says what the code counts, and shows what the commands print."""

import re
from pathlib import Path

import pytest

from medseg.config import Component
from medseg.models import MODELS
from medseg.training.conformance import CHECKS
from medseg.training.describe import describe_model

TEXT = (Path(__file__).parents[1] / "docs" / "models.md").read_text(encoding="utf-8")
ROWS = {
    cells[0].strip("`"): cells
    for line in TEXT.splitlines()
    if line.startswith("| `") and len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 7
}


def test_every_model_has_a_row():
    own = {name for name in MODELS.names() if MODELS.path(name).startswith("medseg.")}
    assert set(ROWS) == own


@pytest.mark.parametrize("name", ROWS)
def test_the_numbers_are_those_of_the_code(name):
    _, paper, parameters, gmacs, size, divisor, _ = ROWS[name]
    height, width = map(int, size.split(" x "))
    facts = describe_model(Component(name=name), 1, 4, (height, width))
    assert parameters == f"{facts.parameters:,}"
    assert gmacs == f"{facts.gmacs:.2f}"
    assert divisor == str(facts.size_divisor)
    link = re.search(r"\((https://[^)]*)\)", paper)[1]
    assert MODELS.load(name).paper.endswith(link)


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("unet", {"conv_bias": False}, 224),
        ("resunet", {"shortcut": "3x3", "upsample": "transposed"}, 224),
        ("unetplusplus", {"deep_supervision": False}, 224),
        ("transunet", {}, 256),
    ],
)
def test_the_numbers_in_the_notes_are_those_of_the_code(name, options, size):
    facts = describe_model(Component(name=name, options=options), 1, 4, (size, size))
    assert f"{facts.parameters:,}" in ROWS[name][6]


@pytest.mark.parametrize("name", ["nnunet_plain", "nnunet_resenc"])
def test_heads_of_deep_supervision_are_told_apart(name):
    facts = describe_model(Component(name=name), 1, 4, (256, 224))
    assert f"have {facts.training_only:,} more" in ROWS[name][6]


def test_every_check_is_explained_and_shown():
    assert re.findall(r"^\| `(\w+)` \| [^|]* \|$", TEXT, re.MULTILINE) == list(CHECKS)
    assert re.findall(r"^ok    (\w+) +[\d.]+ s$", TEXT, re.MULTILINE) == list(CHECKS)


def test_the_shown_card_has_the_lines_of_the_command():
    facts = describe_model(Component(name="resunet"), 1, 4, (224, 224))
    assert f"parameters     {facts.parameters:,}\n" in TEXT
    assert f"GMACs          {facts.gmacs:.4g} per image" in TEXT
    assert MODELS.load("resunet").paper in TEXT
