"""The search space of a study: one entry's own, or that of several models or losses to choose from."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from bench.plan.components import default_option
from bench.plan.parameter import Parameter
from bench.plan.study import Choice
from bench.suite.resolve import Placed

Pair = tuple[str, str]
Scope = tuple[int, ...]
AXES = ("model", "loss")
# Axes of a pair by which a parameter is split up, the fewest first.
SCOPES: tuple[Scope, ...] = ((), (0,), (1,), (0, 1))


def build_space(
    models: Sequence[Choice], losses: Sequence[Choice], spaces: Mapping[Pair, Mapping[str, Placed]]
) -> tuple[Parameter, ...]:
    """Merges the spaces of the pairs that a study can choose from.

    With one model and one loss a parameter's name is its path. Where an axis is searched it is itself a parameter,
    `model` or `loss`, and what differs between its choices is split up: `model.dropout@unet` is active when
    `model` is `unet`. What is the same for all stays one parameter.

    Args:
        models: Models to choose from; the first is the default.
        losses: Losses to choose from; the first is the default.
        spaces: Effective space of every pair of labels, by dotted path; conditions have no circle.

    Returns:
        Parameters in an order that depends on names only, those that others depend on before them.
    """
    labels = ([model.label for model in models], [loss.label for loss in losses])
    axes = [
        Parameter(axis, axis, default=titles[0], choices=tuple(titles))
        for axis, titles in zip(AXES, labels, strict=True)
        if len(titles) > 1
    ]
    searched = {index for index, titles in enumerate(labels) if len(titles) > 1}
    builder = _Builder(models, losses, spaces, searched)
    split = sorted(builder.parameters(), key=lambda entry: (entry[0], entry[1].name))
    return (*axes, *(parameter for _, parameter in split))


class _Builder:
    def __init__(
        self,
        models: Sequence[Choice],
        losses: Sequence[Choice],
        spaces: Mapping[Pair, Mapping[str, Placed]],
        searched: set[int],
    ):
        self._models = {model.label: model for model in models}
        self._losses = {loss.label: loss for loss in losses}
        self._spaces, self._searched = spaces, searched
        self._scopes: dict[str, Scope] = {}

    def parameters(self) -> Iterator[tuple[int, Parameter]]:
        """Yields parameters with their depth: 0 if they depend on none but axes."""
        for path in sorted({path for space in self._spaces.values() for path in space}):
            scope = self._scope(path)
            for group in self._groups(scope):
                pair = next((pair for pair in group if path in self._spaces[pair]), None)
                if pair is not None:
                    yield self._depth(path), self._parameter(path, scope, pair)

    def _scope(self, path: str) -> Scope:
        """Returns the fewest axes such that the parameter is the same within each of their choices."""
        if path not in self._scopes:
            own = {index for index in self._searched if path.startswith(f"{AXES[index]}.")}
            needed = own.union(*(self._scope(parent) for parent in self._parents(path)))
            fitting = (s for s in SCOPES if needed <= set(s) <= self._searched and self._uniform(path, s))
            self._scopes[path] = next(fitting)
        return self._scopes[path]

    def _uniform(self, path: str, scope: Scope) -> bool:
        for group in self._groups(scope):
            specs = [self._spaces[pair][path].spec if path in self._spaces[pair] else None for pair in group]
            if any(spec != specs[0] for spec in specs):
                return False
        return True

    def _groups(self, scope: Scope) -> list[list[Pair]]:
        groups: dict[tuple[str, ...], list[Pair]] = {}
        for pair in product(self._models, self._losses):
            groups.setdefault(tuple(pair[axis] for axis in scope), []).append(pair)
        return list(groups.values())

    def _parents(self, path: str) -> set[str]:
        return {
            parent for space in self._spaces.values() if path in space for parent in space[path].spec.when
        }

    def _depth(self, path: str) -> int:
        return 1 + max((self._depth(parent) for parent in self._parents(path)), default=-1)

    def _name(self, path: str, scope: Scope, pair: Pair) -> str:
        return f"{path}@{'+'.join(pair[axis] for axis in scope)}" if scope else path

    def _parameter(self, path: str, scope: Scope, pair: Pair) -> Parameter:
        spec = self._spaces[pair][path].spec
        axes = [(AXES[axis], (pair[axis],)) for axis in scope]
        others = [
            (self._name(parent, self._scope(parent), pair), values)
            for parent, values in sorted(spec.conditions().items())
        ]
        return Parameter(
            name=self._name(path, scope, pair),
            path=path,
            default=self._default(path, pair),
            low=spec.low,
            high=spec.high,
            log=spec.log,
            step=spec.step,
            choices=spec.choices,
            when=(*axes, *others),
        )

    def _default(self, path: str, pair: Pair) -> Any:
        model, loss = self._models[pair[0]], self._losses[pair[1]]
        trees = {"train": model.train.model_dump(mode="json")}
        trees |= {"model": model.component.options, "loss": loss.component.options}
        return default_option(trees[path.partition(".")[0]], path)
