"""The reference of suites is complete, and its example is a suite."""

import re
from pathlib import Path

import pytest

from bench.suite import parse_suite
from bench.suite.schema import Claim, Final, ModelEntry, Resources, Suite
from bench.suite.search import BudgetSpec, Constraints, ParameterSpec, PrunerSpec, SamplerSpec, Tune
from medseg.training.config import AugmentConfig, TrainConfig
from medseg.training.recipes import RECIPES

TEXT = (Path(__file__).parents[1] / "docs" / "suite.md").read_text()


@pytest.mark.parametrize(
    "config",
    [
        Suite,
        Tune,
        SamplerSpec,
        PrunerSpec,
        Constraints,
        BudgetSpec,
        ParameterSpec,
        Final,
        Resources,
        Claim,
        ModelEntry,
        TrainConfig,
        AugmentConfig,
    ],
)
def test_every_key_is_documented(config):
    missing = [name for name in config.model_fields if not re.search(rf"\b{name}\b", TEXT)]
    assert not missing


@pytest.mark.parametrize("config", [TrainConfig, AugmentConfig])
def test_the_defaults_are_the_documented_ones(config):
    for name, field in config.model_fields.items():
        if isinstance(field.default, int | float | str) and not isinstance(field.default, bool):
            assert_says(documented(name)[0], field.default)


def test_values_that_are_no_numbers_are_documented():
    for name, field in TrainConfig.model_fields.items():
        if isinstance(field.default, bool) or field.default is None:
            assert_says(documented(name)[0], field.default)


def test_the_table_of_recipes_is_what_they_set():
    table = TEXT.split("### Recipes\n")[1].split("\n\n")[1].splitlines()
    names = [cell.strip() for cell in table[0].split("|")[2:-1]]
    rows = {row.split("`")[1]: [cell.strip() for cell in row.split("|")[2:-1]] for row in table[2:]}
    assert names == list(RECIPES)
    assert rows.keys() == {key for recipe in RECIPES.values() for key in recipe.values}
    for column, name in enumerate(names):
        config = TrainConfig.model_validate({"recipe": name})
        for key, cells in rows.items():
            if key == "augment":
                assert (cells[column] == "nnU-Net's 2D set") == (config.augment == AugmentConfig.nnunet())
                assert (cells[column] == "our default") == (config.augment == AugmentConfig())
            else:
                assert_says(cells[column], getattr(config, key))


def documented(name: str) -> list[str]:
    """Returns the cells of a key's row, without the key."""
    row = re.search(rf"^\| `{name}` \| (.*) \|$", TEXT, re.MULTILINE).group(1)
    return [cell.strip() for cell in row.split("|")]


def assert_says(shown: str, value: object) -> None:
    words = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        assert shown == words[value]
    else:
        assert shown == value or float(shown) == value


def test_the_example_is_read(tmp_path):
    example = re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL).group(1)
    suite = parse_suite(example, tmp_path / "my-suite.yaml").suite
    assert [model.title for model in suite.models] == ["unet", "narrow U-Net", "my_models:MyNet"]


def test_the_example_of_the_readme_is_read(tmp_path):
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    example = re.search(r"```yaml\n(# my-suite.*?)```", readme, re.DOTALL).group(1)
    suite = parse_suite(example, tmp_path / "my-suite.yaml").suite
    assert suite.tune.budget.trials == 20


@pytest.mark.parametrize("name", ["quick", "real-mini", "full"])
def test_shipped_suites_are_read(name):
    path = Path(__file__).parents[1] / "suites" / f"{name}.yaml"
    assert parse_suite(path.read_text(), path).suite.suite == name
