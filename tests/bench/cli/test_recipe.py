"""`bench show recipe` and `bench list recipes`."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from bench.cli.component_child import ComponentError
from bench.cli.main import cli
from bench.cli.recipe import WHEN, recipe_card
from bench.suite import parse_suite
from bench.suite.check_space import train_fields
from bench.suite.resolve import train_config
from medseg.training.config import TrainConfig
from medseg.training.recipes import RECIPES


def shown(*arguments: str) -> str:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(cli, ["show", "recipe", *arguments])
    assert result.exit_code == 0
    return result.stdout


def test_a_recipe_is_shown_with_all_hyper_parameters():
    text = shown("nnunet")
    assert text.startswith("nnunet  train: {recipe: nnunet}\n" + RECIPES["nnunet"].source)
    rows = {words[0]: words[1:] for line in text.splitlines() if (words := line.split())}
    assert rows["learning_rate"][:6] == ["0.01", "(default", "0.001)", "0.0001", "to", "0.01,"]
    assert rows["beta1"][:4] == ["0.9", "0.8", "to", "0.95"]
    assert rows["augment.rotation_deg"][:3] == ["180.0", "(default", "20.0)"]
    assert not {name.removeprefix("train.") for name in train_fields()} - rows.keys()


def test_a_recipe_is_shown_as_json_and_nothing_else():
    card = json.loads(shown("adamw", "--json"))
    assert card["values"] == RECIPES["adamw"].values
    options = {option["name"]: option for option in card["options"]}
    assert (options["optimizer"]["value"], options["optimizer"]["default"]) == ("adamw", "adam")
    assert options["patch_size"]["search"] is None
    assert options["ema_decay"]["search"] == {"choices": [None, 0.99, 0.999]}
    assert all(option["description"] for option in card["options"])


@pytest.mark.parametrize("name", list(RECIPES))
def test_a_search_space_can_be_pasted_into_a_suite(name, tmp_path):
    """As printed; reading it checks that the recipe's values lie in it and that its conditions can hold."""
    space = shown(name).partition("\nspace:\n")[2]
    pasted = "".join(f"    {line}\n" for line in space.rstrip().splitlines())
    text = (
        f"suite: s\ntasks: [phantom-cardiac]\nmodels: [unet]\nlosses: [dice]\ntrain: {{recipe: {name}}}\n"
        f"tune:\n  budget: {{trials: 2}}\n  space:\n{pasted}"
    )
    suite = parse_suite(text, tmp_path / "s.yaml").suite
    assert {"train.learning_rate", "train.optimizer", "train.momentum"} <= suite.tune.space.keys()
    assert suite.tune.space["train.momentum"].when == {"train.optimizer": ["sgd"]}
    assert suite.tune.space.keys() == recipe_card(name)["search"].keys()
    assert train_config(suite) == TrainConfig.model_validate({"recipe": name})


def test_what_does_not_count_under_a_recipe_is_not_searched(monkeypatch):
    """A recipe outside of the range of the optimiser: what depends on it is not asked for in vain."""
    unusual = TrainConfig.model_fields["optimizer"]
    monkeypatch.setattr(unusual, "json_schema_extra", {"search": {"choices": ["adam", "sgd"]}})
    search = recipe_card("adamw")["search"]
    assert "train.optimizer" not in search
    assert "train.momentum" not in search
    assert "when" not in search["train.beta1"]


def test_conditions_are_about_what_there_is():
    for name, conditions in WHEN.items():
        for parent, values in conditions.items():
            assert name in TrainConfig.model_fields
            for value in values:
                TrainConfig.model_validate({parent: value})


def test_recipes_are_listed():
    result = CliRunner().invoke(cli, ["list", "recipes", "--json"])
    rows = {row["name"]: row for row in json.loads(result.output)}
    assert rows.keys() == RECIPES.keys()
    assert rows["nnunet"]["origin"] == "medseg-bench"
    assert rows["nnunet"]["paper"] == RECIPES["nnunet"].source


def test_an_unknown_recipe_is_named_with_the_nearest():
    result = CliRunner().invoke(cli, ["show", "recipe", "nnunt"])
    assert isinstance(result.exception, ComponentError)
    assert result.exception.exit_code == 2
    assert (
        str(result.exception)
        == "unknown recipe 'nnunt', did you mean 'nnunet'? (choices: adam, nnunet, adamw)"
    )


def test_showing_a_recipe_imports_no_torch():
    code = (
        "import sys; from bench.cli.component_commands import show_recipe_command; show_recipe_command('adam', True);"
        "print([m for m in ('torch', 'ray', 'accelerate', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
