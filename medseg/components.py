"""Builds a registered component: options into a config, clear errors for what does not fit."""

import inspect
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from medseg.config import Config
from medseg.errors import ConfigError, did_you_mean

# What a constructor written by anyone is expected to raise for arguments that it does not like.
CONSTRUCTION_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def config_type(target: Any) -> type[Config] | None:
    """Returns the `Config` that sits beside a class, or none if the class takes plain keywords."""
    found = getattr(target, "Config", None)
    return found if isinstance(found, type) and issubclass(found, Config) else None


def read_options(kind: str, config: type[Config], options: Mapping[str, Any]) -> Config:
    """Validates options against a config.

    Args:
        kind: First part of the dotted path in messages, e.g. ``"model"``.
        config: The component's config class.
        options: What the user wrote.

    Raises:
        ConfigError: For the first option that is unknown or invalid; the message counts the others.
    """
    try:
        return config.model_validate(dict(options))
    except ValidationError as error:
        problems = error.errors(include_url=False)
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        path = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            message = f"unknown option '{path}'{did_you_mean(path, config.model_fields)}"
        else:
            text = first["msg"].removeprefix("Value error, ").replace("a valid tuple", "a list")
            message = f"{text[:1].lower()}{text[1:]}, got {first['input']!r}" if path else text
        raise ConfigError(f"{kind}.{path}" if path else kind, message + more) from error


def component_keywords(
    kind: str,
    target: Callable[..., Any],
    options: Mapping[str, Any],
    required: Mapping[str, Any],
    offered: Mapping[str, Any],
    presets: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Returns the keywords that a component is called with.

    Args:
        kind: First part of the dotted path in messages, e.g. ``"model"``.
        target: Class or function to be called.
        options: What the user wrote.
        required: Keywords that are always passed.
        offered: Keywords that are passed when the signature names them.
        presets: Options that, where the signature names them and the user does not, have these values. Of no
            effect beside a `Config`, which has its own defaults.

    Raises:
        ConfigError: If an option is unknown, invalid, missing, or not the user's to set.
    """
    config = config_type(target)
    named, anything = parameters_of(target)
    context = {**required, **{key: value for key, value in offered.items() if key in named}}
    if config is not None:
        return {**context, "config": read_options(kind, config, options)}
    free = [name for name in named if name not in context]
    for name in options:
        if name in context:
            raise ConfigError(f"{kind}.{name}", "is set by the task and cannot be an option")
        if name not in free and not anything:
            raise ConfigError(f"{kind}.{name}", f"unknown option '{name}'{did_you_mean(name, free)}")
    options = {**{name: value for name, value in presets.items() if name in free}, **options}
    for name in free:
        if named[name].default is inspect.Parameter.empty and name not in options:
            raise ConfigError(f"{kind}.{name}", f"{_name(target)} needs this option")
    # A default that is passed on is not always the same as none: deprecated arguments take effect then.
    changed = {name: value for name, value in options.items() if not _is_default(named.get(name), value)}
    return {**context, **changed}


def all_options(
    kind: str,
    target: Callable[..., Any],
    options: Mapping[str, Any],
    context: tuple[str, ...],
    presets: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Returns the given options completed by the defaults, JSON-ready.

    For a class without a `Config` the defaults come from its signature, scalars only: a tuple would come back
    from JSON as a list, which foreign code need not accept.

    Args:
        kind: First part of the dotted path in messages.
        target: Class or function.
        options: What the user wrote.
        context: Keywords that are no options unless the user sets them.
        presets: Defaults that win over those of the signature; see `component_keywords`.

    Raises:
        ConfigError: If an option is unknown or invalid.
    """
    config = config_type(target)
    if config is not None:
        return read_options(kind, config, options).model_dump(mode="json")
    named, _ = parameters_of(target)
    defaults = {
        name: presets.get(name, parameter.default)
        for name, parameter in named.items()
        if name not in context and _is_json_scalar(presets.get(name, parameter.default))
    }
    return {**defaults, **options}


def one_line(error: BaseException) -> str:
    """Returns the first line of an error's text, or its type if it has none."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def parameters_of(target: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], bool]:
    """Returns the parameters that a class or function names, and whether it takes any other keyword too."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return {}, True
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return named, any(p.kind is p.VAR_KEYWORD for p in parameters)


def _is_default(parameter: inspect.Parameter | None, value: Any) -> bool:
    if parameter is None or not _is_json_scalar(value):
        return False
    return type(value) is type(parameter.default) and bool(value == parameter.default)


def _is_json_scalar(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int | str)


def _name(target: Any) -> str:
    return str(getattr(target, "__name__", type(target).__name__))
