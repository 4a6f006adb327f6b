"""One dimension of a study's search space, and what a setting of it means."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.suite.search import same

Setting = dict[str, Any]


@dataclass(frozen=True)
class Parameter:
    """A hyper-parameter that tuning may change: a range or a list of choices.

    Args:
        name: Key in a setting, unique within a study.
        path: Dotted path that the value is put at: `train.*`, `model.*`, `loss.*`, or the axis `model`, `loss`.
        default: Value in the study's default setting, where the parameter is active in it.
        low: Smallest value of a range; an int where both ends are.
        high: Largest value of a range, included.
        log: Search the range on a logarithmic scale.
        step: Distance of neighbouring values of a range; none: 1 for ints, continuous for floats.
        choices: The values to choose from (JSON values), instead of a range.
        when: Pairs of another parameter's name and its values for which this one is active; all must hold.
    """

    name: str
    path: str
    default: Any
    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    step: int | float | None = None
    choices: tuple[Any, ...] | None = None
    when: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Returns the parameter as JSON values."""
        return asdict(self)


def is_active(parameter: Parameter, setting: Mapping[str, Any]) -> bool:
    """Says whether a parameter matters, given the values of those that it depends on.

    Args:
        parameter: Parameter of a study's space.
        setting: Values by parameter name; those that `parameter` depends on must have been decided.
    """
    return all(
        name in setting and any(same(setting[name], value) for value in values)
        for name, values in parameter.when
    )


def default_setting(space: Sequence[Parameter]) -> Setting:
    """Returns the defaults of the parameters that are active in them; parents come before children."""
    setting: Setting = {}
    for parameter in space:
        if is_active(parameter, setting):
            setting[parameter.name] = parameter.default
    return setting


def put(tree: dict[str, Any], path: str, value: Any) -> None:
    """Sets a value in a tree of mappings at a dotted path; mappings on the way are copied, not shared."""
    *parents, last = path.split(".")
    for key in parents:
        below = tree.get(key)
        tree[key] = dict(below) if isinstance(below, Mapping) else {}
        tree = tree[key]
    tree[last] = value
