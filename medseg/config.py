"""Base of every configuration: frozen, keyword-only, unknown keys refused."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """Settings of one component, beside its class. Field descriptions are the documentation."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Component(Config):
    """A registered part by name with its options, e.g. a model or a loss."""

    name: str
    options: dict[str, Any] = {}
