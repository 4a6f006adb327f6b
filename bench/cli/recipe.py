"""What `bench show recipe` shows: the values that a recipe sets, and where each is worth searching."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.cli.card import flow, option_text
from bench.cli.component_report import say_line, say_search, short
from bench.suite.search import ParameterSpec
from medseg.config import Config, search_space
from medseg.errors import UnknownNameError
from medseg.training.config import TrainConfig
from medseg.training.recipes import RECIPES

Card = Mapping[str, Any]

# Hyper-parameters that count only where another one has one of these values.
WHEN: dict[str, dict[str, list[str]]] = {
    "momentum": {"optimizer": ["sgd"]},
    "beta1": {"optimizer": ["adam", "adamw"]},
    "beta2": {"optimizer": ["adam", "adamw"]},
    "polynomial_power": {"schedule": ["polynomial"]},
    "step_drops": {"schedule": ["step"]},
    "step_factor": {"schedule": ["step"]},
    "plateau_patience": {"schedule": ["plateau"]},
    "plateau_factor": {"schedule": ["plateau"]},
}


def recipe_card(name: str) -> dict[str, Any]:
    """Returns what is to be known of a recipe, as JSON values.

    Returns:
        `name`, `description`, `source`; `values`, what it sets, as under `train:`; `options`, a list of every
        hyper-parameter with `name` (dotted), `value` under the recipe, `default` without it, `search` (a range as
        in a suite, or none) and `description`; `search`, the ranges that a suite with this recipe takes, by path.

    Raises:
        UnknownNameError: If there is none of that name.
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    recipe = RECIPES[name]
    options = list(_options(TrainConfig(), TrainConfig.model_validate({"recipe": name})))
    return {
        "name": name,
        "description": recipe.description,
        "source": recipe.source,
        "values": dict(recipe.values),
        "options": options,
        "search": _search({option["name"]: option for option in options}),
    }


def say_recipe(card: Card, console: Console) -> None:
    """Prints a recipe: where it comes from, every hyper-parameter under it, where to search."""
    say_line(console, f"{card['name']}  train: {{recipe: {card['name']}}}", "bold")
    say_line(console, card["source"], "dim")
    console.print()
    say_line(console, card["description"])
    console.print()
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("train.", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("worth searching", overflow="fold")
    table.add_column("meaning", overflow="fold")
    for option in card["options"]:
        value = short(option["value"])
        if option["value"] != option["default"]:
            value += f" (default {short(option['default'])})"
        search = _range(option["search"]) if option["search"] else ""
        table.add_row(*map(Text, (option["name"], value, search, option["description"])))
    console.print(table)
    say_search(card["search"], console)


def _options(default: Config, current: Config, above: str = "") -> Iterator[dict[str, Any]]:
    kind = type(default)
    ranges = search_space(kind)
    tree, defaults = current.model_dump(mode="json"), default.model_dump(mode="json")
    for name, field in kind.model_fields.items():
        below = getattr(current, name)
        if isinstance(below, Config):
            yield from _options(getattr(default, name), below, f"{above}{name}.")
            continue
        yield {
            "name": f"{above}{name}",
            "value": tree[name],
            "default": defaults[name],
            "search": dict(ranges[name]) if name in ranges else None,
            "description": option_text(field),
        }


def _search(options: Mapping[str, Card]) -> dict[str, dict[str, Any]]:
    """Returns the ranges that hold the recipe's values, since its setting is the first trial."""
    fitting = {
        name: dict(option["search"])
        for name, option in options.items()
        if option["search"] and ParameterSpec(**option["search"]).contains(option["value"])
    }
    found = {}
    for name, spec in fitting.items():
        conditions = WHEN.get(name, {})
        searched = {f"train.{parent}": values for parent, values in conditions.items() if parent in fitting}
        fixed = {parent: values for parent, values in conditions.items() if parent not in fitting}
        if all(options[parent]["value"] in values for parent, values in fixed.items()):
            found[f"train.{name}"] = spec | ({"when": searched} if searched else {})
    return found


def _range(spec: Card) -> str:
    if "choices" in spec:
        return ", ".join(map(flow, spec["choices"]))
    return f"{flow(spec['low'])} to {flow(spec['high'])}{', log' if spec.get('log') else ''}"
