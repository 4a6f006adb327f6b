"""Base of every configuration: frozen, keyword-only, unknown keys refused."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue

SEARCH = "search"


class Config(BaseModel):
    """Settings of one component, beside its class. Field descriptions are the documentation."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Component(Config):
    """A registered part by name with its options, e.g. a model or a loss."""

    name: str
    options: dict[str, Any] = {}


def search(
    low: float | None = None,
    high: float | None = None,
    *,
    log: bool = False,
    step: float | None = None,
    choices: Sequence[JsonValue] | None = None,
) -> dict[str, JsonValue]:
    """Says where an option is worth searching, for ``Field(json_schema_extra=search(0.5, 4))``.

    The keys are those of a suite's `space`; `bench show` prints them ready to be pasted there.

    Args:
        low: Smallest value.
        high: Largest value.
        log: Draw on a logarithmic scale.
        step: Distance of the values that are drawn; none: any between.
        choices: The values, instead of a range.

    Raises:
        ValueError: If it is neither a range nor choices.
    """
    if (choices is None) == (low is None or high is None):
        raise ValueError("search needs either low and high or choices")
    if choices is not None:
        return {SEARCH: {"choices": list(choices)}}
    found: dict[str, JsonValue] = {"low": low, "high": high}
    if log:
        found["log"] = True
    if step is not None:
        found["step"] = step
    return {SEARCH: found}


def search_space(config: type[Config]) -> dict[str, dict[str, JsonValue]]:
    """Returns what `search` said about a config's options, by option name."""
    found: dict[str, dict[str, JsonValue]] = {}
    for name, field in config.model_fields.items():
        extra = field.json_schema_extra
        where = extra.get(SEARCH) if isinstance(extra, dict) else None
        if isinstance(where, dict):
            found[name] = where
    return found
