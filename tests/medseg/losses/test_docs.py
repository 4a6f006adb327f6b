"""docs/losses.md names every loss, its paper, its defaults and its search space."""

import re
from pathlib import Path

import pytest
import yaml

from bench.suite import parse_suite
from medseg.config import search_space
from medseg.losses import LOSSES

TEXT = (Path(__file__).parents[3] / "docs" / "losses.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")] for line in TEXT.splitlines() if line[:1] == "|"
]
OPTIONS = {
    (loss, row[1].strip("`")): (row[2], row[3].strip("| "))
    for row in ROWS
    if len(row) == 4 and row[1].startswith("`")
    for loss in re.findall(r"\w+", row[0])
}
CASES = [(name, option) for name in LOSSES.names() for option in LOSSES.load(name).Config.model_fields]


def written(space):
    if "choices" in space:
        return ", ".join(yaml.safe_dump(value).splitlines()[0] for value in space["choices"])
    return f"{space['low']} to {space['high']}" + (", log" if space.get("log") else "")


@pytest.mark.parametrize("name", LOSSES.names())
def test_every_loss_has_its_rows(name):
    formula, advice = (row for row in ROWS if row[0] == f"`{name}`" and len(row) in (2, 3))
    assert len(formula) == 3
    assert len(advice) == 2
    link = re.search(r"https://\S+", LOSSES.load(name).paper).group()
    assert formula[2].endswith(link)


@pytest.mark.parametrize(("name", "option"), CASES)
def test_defaults_and_search_spaces_are_those_of_the_code(name, option):
    default, space = OPTIONS.get((name, option)) or OPTIONS["all", option]
    config = LOSSES.load(name).Config
    expected = config.model_fields[option].default
    if isinstance(expected, float):
        assert float(default) == pytest.approx(expected, rel=1e-4)
    else:
        assert yaml.safe_load(default) == expected
    found = search_space(config).get(option)
    assert space == ("" if found is None else written(found))


def test_no_row_is_about_what_is_not_there():
    assert {key for key in OPTIONS if key[0] != "all"} <= set(CASES)
    assert {row[0] for row in ROWS if re.fullmatch(r"`\w+`", row[0])} <= {
        f"`{name}`" for name in LOSSES.names()
    }


def test_the_example_is_read(tmp_path):
    example = re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL).group(1)
    rest = "tune: {budget: {trials: 1}, space: {train.learning_rate: {low: 1.0e-3, high: 1.0e-2}}}\n"
    text = "suite: losses\ntasks: [covid-lung]\nmodels: [unet]\n" + example + rest
    suite = parse_suite(text, tmp_path / "losses.yaml").suite
    assert [entry.name for entry in suite.losses][:2] == ["ce_dice", "focal"]
