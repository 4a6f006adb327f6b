"""Tables of names: `"resunet": "medseg.models.resunet:ResUNet"`, imported when used."""

from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from medseg.errors import RegistryError, UnknownNameError


class Registry:
    """Names of one kind of component and where each is defined.

    Other packages add theirs through the entry point group; a name that exists already raises.
    A user may also give ``module:Attribute`` instead of a name.

    Args:
        kind: What the table holds, for messages, e.g. ``"model"``.
        table: Name to ``module:Attribute``.
        group: Entry point group through which installed packages add names.
    """

    def __init__(self, kind: str, table: Mapping[str, str], group: str):
        self.kind, self.group = kind, group
        self._builtin = dict(table)

    @cached_property
    def _paths(self) -> dict[str, str]:
        paths = dict(self._builtin)
        for point in entry_points(group=self.group):
            if point.name in paths and paths[point.name] != point.value:
                raise RegistryError(
                    f"{self.kind} '{point.name}' is defined twice: {paths[point.name]} and {point.value} "
                    f"(entry point group {self.group})"
                )
            paths[point.name] = point.value
        return paths

    def names(self) -> tuple[str, ...]:
        """Returns the known names, sorted."""
        return tuple(sorted(self._paths))

    def register(self, name: str, path: str) -> None:
        """Adds a name for this process.

        Raises:
            RegistryError: If the name is taken.
        """
        if name in self._paths:
            raise RegistryError(f"{self.kind} '{name}' is already registered as {self._paths[name]}")
        self._paths[name] = path

    def path(self, name: str) -> str:
        """Returns ``module:Attribute`` of a name without importing it.

        Raises:
            UnknownNameError: If the name is neither known nor of the form ``module:Attribute``.
        """
        if name in self._paths:
            return self._paths[name]
        if ":" in name:
            return name
        raise UnknownNameError(self.kind, name, self.names())

    def load(self, name: str) -> Any:
        """Imports and returns what a name stands for.

        Raises:
            UnknownNameError: If the name is not known.
            RegistryError: If its module or attribute cannot be imported.
        """
        path = self.path(name)
        module, _, attribute = path.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise RegistryError(f"{self.kind} '{name}' cannot be imported from {path}: {error}") from error
