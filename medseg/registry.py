"""Tables of names: `"resunet": "medseg.models.resunet:ResUNet"`, imported when used."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from medseg.errors import RegistryError, UnknownNameError


@dataclass(frozen=True)
class Library:
    """A package whose components go by a short prefix, such as ``monai:SwinUNETR``.

    Args:
        install: The name that pip knows it by.
        modules: Module that holds the components, by kind.
    """

    install: str
    modules: Mapping[str, str]


LIBRARIES: Mapping[str, Library] = {
    "monai": Library("monai", {"model": "monai.networks.nets", "loss": "monai.losses"}),
    "smp": Library(
        "segmentation-models-pytorch",
        {"model": "segmentation_models_pytorch", "loss": "segmentation_models_pytorch.losses"},
    ),
}


class Registry:
    """Names of one kind of component and where each is defined.

    Other packages add theirs through the entry point group; a name that exists already raises.
    A user may also give ``module:Attribute`` instead of a name, or ``library:Attribute`` with one of `LIBRARIES`.

    Args:
        kind: What the table holds, for messages, e.g. ``"model"``.
        table: Name to ``module:Attribute``.
        group: Entry point group through which installed packages add names.
        expects: Class of what the names stand for, as ``module:Class``; empty: anything.
    """

    def __init__(self, kind: str, table: Mapping[str, str], group: str, expects: str = ""):
        self.kind, self.group, self.expects = kind, group, expects
        self._builtin = dict(table)

    @cached_property
    def _paths(self) -> dict[str, str]:
        paths = dict(self._builtin)
        for point in entry_points(group=self.group):
            target = point.value.partition("[")[0].strip()  # extras, as in "pkg.mod:Attr [more]"
            if point.name in paths and paths[point.name] != target:
                raise RegistryError(
                    f"{self.kind} '{point.name}' is defined twice: {paths[point.name]} and {target} "
                    f"(entry point group {self.group}); uninstall one of the packages"
                )
            paths[point.name] = target
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
        prefix, colon, attribute = name.partition(":")
        if prefix in LIBRARIES and self.kind in LIBRARIES[prefix].modules:
            prefix = LIBRARIES[prefix].modules[self.kind]
        if prefix and colon and attribute:
            return f"{prefix}:{attribute}"
        raise UnknownNameError(self.kind, name, self.names())

    def load(self, name: str) -> Any:
        """Imports and returns what a name stands for.

        Raises:
            UnknownNameError: If the name is not known.
            RegistryError: If its module or attribute cannot be imported, or is not what the table holds.
        """
        path = self.path(name)
        module, _, attribute = path.partition(":")
        if not module or not attribute:
            raise RegistryError(f"{self.kind} '{name}' needs a path module:Attribute, got {path!r}")
        try:
            found: Any = import_module(module)
        except Exception as error:  # whatever a plug-in raises while it is imported
            raise RegistryError(self._why(name, path, error)) from error
        for step in attribute.split("."):
            try:
                found = getattr(found, step)
            except Exception as error:  # modules that import on demand do it here
                raise RegistryError(self._why(name, path, error) + _nearest(found, step)) from error
        if self.expects and not isinstance(found, _class(self.expects)):
            wanted = self.expects.partition(":")[2]
            raise RegistryError(
                f"{self.kind} '{name}' must be a {wanted}, got {type(found).__name__} at {path}"
            )
        return found

    def loadable(self) -> dict[str, Any]:
        """Returns what every name stands for, without those that cannot be imported."""
        found = {}
        for name in self.names():
            try:
                found[name] = self.load(name)
            except RegistryError:
                continue
        return found

    def _why(self, name: str, path: str, error: Exception) -> str:
        module = path.partition(":")[0]
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        library = LIBRARIES.get(name.partition(":")[0])
        top = module.partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and error.name == top and library is not None:
            return f"{self.kind} '{name}' needs {library.install}: pip install {library.install}"
        if not isinstance(error, ImportError | AttributeError):
            text = f"{type(error).__name__}: {text}"
        why = f"{self.kind} '{name}' cannot be imported from {path}: {text}"
        if "torchvision::" in text:
            why += "; torch and torchvision must be of one build (both CPU, or both for one CUDA): reinstall both"
        return why


def module_file(module: str) -> Path | None:
    """Finds a module's file; unlike `find_spec` it does not import the packages that hold it.

    Args:
        module: Dotted name.

    Returns:
        The file, or none where there is no such module or it has none.
    """
    top, *steps = module.split(".")
    try:
        spec = find_spec(top) if top else None
    except (ImportError, ValueError):
        return None
    for step in steps:
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(f"{spec.name}.{step}", spec.submodule_search_locations)
    origin = Path(spec.origin) if spec is not None and spec.origin else None
    return origin if origin is not None and origin.is_file() else None


def _nearest(module: Any, attribute: str) -> str:
    if not isinstance(module, ModuleType):
        return ""
    near = get_close_matches(attribute, [name for name in dir(module) if name[0] != "_"], n=1, cutoff=0.6)
    return f", did you mean '{near[0]}'?" if near else ""


def _class(path: str) -> type:
    module, _, name = path.partition(":")
    found: type = getattr(import_module(module), name)
    return found
