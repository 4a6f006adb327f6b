"""From a suite to a plan: studies with their trials and identities. Imports neither torch nor Ray."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.plan.make import make_plan
    from bench.plan.plan import Plan, PlannedData, describe
    from bench.plan.study import Study

_HOMES = {
    "Plan": "bench.plan.plan",
    "PlannedData": "bench.plan.plan",
    "Study": "bench.plan.study",
    "describe": "bench.plan.plan",
    "make_plan": "bench.plan.make",
}

__all__ = ["Plan", "PlannedData", "Study", "describe", "make_plan"]


def __getattr__(name: str) -> Any:
    # Identities alone should not cost the import of the data readers.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
