"""The settings of a space whose dimensions have a finite number of values."""

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np

from bench.plan.parameter import Parameter, Setting, default_setting, is_active
from bench.suite.search import same

MOST_SETTINGS = 10_000


def grid_size(spec: Parameter) -> int | None:
    """Returns how many values a dimension has; None if there is no end of them."""
    if spec.choices is not None:
        return len(spec.choices)
    low, high = spec.low, spec.high
    assert low is not None
    assert high is not None
    if isinstance(low, int) and isinstance(high, int):
        return len(range(low, high + 1, int(spec.step or 1)))
    return None if spec.step is None else round((high - low) / spec.step) + 1


def grid_values(spec: Parameter, most: int | None = None) -> list[Any] | None:
    """Returns the values of a dimension in their order, at most so many; None if there is no end of them."""
    size = grid_size(spec)
    if size is None:
        return None
    indices = range(size if most is None else min(size, most))
    if spec.choices is not None:
        return [spec.choices[index] for index in indices]
    assert spec.low is not None
    if isinstance(spec.low, int) and isinstance(spec.high, int):
        return [spec.low + index * int(spec.step or 1) for index in indices]
    # As they would be written: 0.1 + 2 x 0.1 is 0.3.
    return [float(f"{spec.low + index * (spec.step or 0):.12g}") for index in indices]


def count_settings(space: Sequence[Parameter]) -> int:
    """Returns how many settings there are; what is not active makes no difference between two of them.

    Beyond `MOST_SETTINGS` it is a lower bound: nobody waits for a number that is refused whatever it is.

    Raises:
        ValueError: If a dimension has no end of values.
    """
    sizes = {parameter.name: grid_size(parameter) or 0 for parameter in space}
    found = 0
    # Every branch holds a setting at least.
    for _, rest in _branches(space, _parents(space), _all_values(space, MOST_SETTINGS + 1)):
        found += prod(sizes[name] for name, _ in rest)
        if found > MOST_SETTINGS:
            break
    return found


def grid_settings(space: Sequence[Parameter], seed: int) -> list[Setting]:
    """Returns every setting once: the default, then the others in an order drawn from a seed.

    Args:
        space: Parameters, parents before the parameters that depend on them.
        seed: Of the order.

    Raises:
        ValueError: If a dimension has no end of values.
    """
    found: list[Setting] = []
    for chosen, rest in _branches(space, _parents(space), _all_values(space)):
        names = [name for name, _ in rest]
        for values in product(*(values for _, values in rest)):
            drawn = {**chosen, **dict(zip(names, values, strict=True))}
            found.append({p.name: drawn[p.name] for p in space if p.name in drawn})
    default = default_setting(space)
    others = [setting for setting in found if not _alike(setting, default)]
    order = np.random.default_rng(seed).permutation(len(others))
    return [default, *(others[index] for index in order)]


Values = dict[str, list[Any]]


def _branches(
    space: Sequence[Parameter], parents: set[str], values: Values
) -> Iterator[tuple[Setting, list[tuple[str, list[Any]]]]]:
    """Yields the values of parameters that others depend on, with the values left to each active other."""

    def branch(index: int, chosen: Setting) -> Iterator[Setting]:
        if index == len(space):
            yield chosen
            return
        parameter = space[index]
        if parameter.name not in parents or not is_active(parameter, chosen):
            yield from branch(index + 1, chosen)
            return
        for value in values[parameter.name]:
            yield from branch(index + 1, {**chosen, parameter.name: value})

    for chosen in branch(0, {}):
        rest = [p for p in space if p.name not in parents and is_active(p, chosen)]
        yield chosen, [(p.name, values[p.name]) for p in rest]


def _parents(space: Sequence[Parameter]) -> set[str]:
    return {name for parameter in space for name, _ in parameter.when}


def _all_values(space: Sequence[Parameter], most: int | None = None) -> Values:
    found = {}
    for parameter in space:
        values = grid_values(parameter, most)
        if values is None:
            raise ValueError(f"{parameter.name}: a grid needs choices or a step")
        found[parameter.name] = values
    return found


def _alike(first: Setting, second: Setting) -> bool:
    return first.keys() == second.keys() and all(_same(first[name], second[name]) for name in first)


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, float) and isinstance(second, int | float):
        return abs(first - second) <= 1e-8 * max(1.0, abs(first), abs(second))
    return same(first, second)
