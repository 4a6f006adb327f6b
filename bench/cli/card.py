"""What a model or loss says of itself: text, options, search space."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from medseg.components import config_type, parameters_of
from medseg.config import Config, search_space

Target = Callable[..., Any]


@dataclass(frozen=True)
class Option:
    """One option of a component.

    Args:
        name: As in `options:` of a suite.
        default: JSON-ready; of foreign code whatever it is, and none where `required`.
        value: What it is now: the default, or what the user wrote.
        description: What it means, and which values there are; empty where its source does not say.
        required: Whether there is no default.
    """

    name: str
    default: Any
    value: Any
    description: str
    required: bool = False


def options_of(target: Target, given: Mapping[str, Any], context: Sequence[str]) -> list[Option]:
    """Returns a component's options in the order of its source.

    Args:
        target: Class or function.
        given: Its options as they are now, as far as they are known: defaults and what the user wrote.
        context: Keywords that are the task's, not the user's.
    """
    config = config_type(target)
    if config is not None:
        return [_option(name, field, config, given) for name, field in config.model_fields.items()]
    found = []
    for name, parameter in parameters_of(target)[0].items():
        if name in context and name not in given:
            continue
        required = parameter.default is inspect.Parameter.empty
        default = None if required else parameter.default
        found.append(Option(name, default, given.get(name, default), "", required))
    known = {option.name for option in found}
    return found + [Option(name, None, value, "") for name, value in given.items() if name not in known]


def search_of(kind: Literal["model", "loss"], target: Target) -> dict[str, dict[str, Any]]:
    """Returns where a component's options are worth searching, by path as in a suite's `space:`."""
    config: type[Config] | None = config_type(target)
    found = search_space(config) if config is not None else {}
    return {f"{kind}.{name}": dict(spec) for name, spec in found.items()}


def text_of(target: Target) -> str:
    """Returns a docstring without its sections: what it is, where it was published, its layers or formula."""
    lines = inspect.cleandoc(target.__doc__ or "").splitlines()
    kept = lines[: lines.index("Args:")] if "Args:" in lines else lines
    return "\n".join(kept).rstrip()


def paper_of(target: Target) -> str:
    """Returns where a component was published; empty where it does not say."""
    return str(getattr(target, "paper", "") or "")


def flow(value: Any) -> str:
    """Returns a value as YAML on one line, as a suite takes it; what YAML has no word for as Python shows it."""
    try:
        text: str = yaml.safe_dump(
            value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=float("inf")
        )
    except yaml.YAMLError:
        return repr(value)
    return text.removesuffix("\n").removesuffix("\n...")


def _option(name: str, field: FieldInfo, config: type[Config], given: Mapping[str, Any]) -> Option:
    if field.is_required():
        return Option(name, None, given.get(name), option_text(field), required=True)
    # A shorthand for other options is not dumped.
    defaults = config.model_construct().model_dump(mode="json")
    default = defaults.get(name, field.get_default(call_default_factory=True))
    return Option(name, default, given.get(name, default), option_text(field))


def option_text(field: FieldInfo) -> str:
    """Returns what an option means, and which words it can be."""
    text = field.description or ""
    if get_origin(field.annotation) is Literal:
        choices = "One of " + ", ".join(map(str, get_args(field.annotation))) + "."
        return f"{text} {choices}".strip()
    return text
