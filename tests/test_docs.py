"""The reference of suites is complete, and its example is a suite."""

import re
from pathlib import Path

import pytest

from bench.suite import parse_suite
from bench.suite.schema import BudgetSpec, Claim, Final, ModelEntry, ParameterSpec, Resources, Suite, Tune
from medseg.training.config import AugmentConfig, TrainConfig

TEXT = (Path(__file__).parents[1] / "docs" / "suite.md").read_text()


@pytest.mark.parametrize(
    "config",
    [Suite, Tune, BudgetSpec, ParameterSpec, Final, Resources, Claim, ModelEntry, TrainConfig, AugmentConfig],
)
def test_every_key_is_documented(config):
    missing = [name for name in config.model_fields if not re.search(rf"\b{name}\b", TEXT)]
    assert not missing


@pytest.mark.parametrize("config", [TrainConfig, AugmentConfig])
def test_the_defaults_are_the_documented_ones(config):
    for name, field in config.model_fields.items():
        if isinstance(field.default, int | float | str) and not isinstance(field.default, bool):
            shown = re.search(rf"^\| `{name}` \| ([^|]*) \|", TEXT, re.MULTILINE).group(1).strip()
            assert shown == field.default or float(shown) == field.default


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
