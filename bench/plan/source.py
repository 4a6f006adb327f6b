"""What defines a component from outside `medseg`: its sources and its package's version. Imports none of it."""

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path

from medseg.registry import module_file

OURS = {"medseg", "bench"}
# Neither do they count for our own models: a new torch makes no new study.
_NOT_COUNTED = {"torch", "numpy"}
_INSTALLED = {"site-packages", "dist-packages"}


def external_source(path: str) -> str | None:
    """Returns the SHA-256 of what defines a component from outside `medseg`; none for our own.

    Of an installed package: its version and the file that defines the component, found through re-exports such as
    ``from .swin_unetr import SwinUNETR``. Of code that lies elsewhere, for which no version speaks: its file, every
    such file that it imports, directly or not, and the versions of the packages that these import.

    Args:
        path: ``module:Attribute``. Our own sources are in `code_fingerprint`.
    """
    module, _, attribute = path.partition(":")
    if module.partition(".")[0] in OURS or module_file(module) is None:
        return None
    home = _defining(module, attribute.partition(".")[0], set()) or module
    loose, packages = _loose_code(module)
    total = hashlib.sha256()
    for name in sorted(loose | {home}):
        content = _content(name)
        total.update(f"{name}\0{len(content)}\0".encode())
        total.update(content)
    if _is_installed(home):
        packages.add(home.partition(".")[0])
    total.update("\0".join(_versions(packages - _NOT_COUNTED)).encode())
    return total.hexdigest()


def loose_code(path: str) -> set[Path]:
    """Returns the files and packages, by their topmost folder, that other machines miss to import a component.

    Args:
        path: ``module:Attribute``; empty for what is installed, and for our own.
    """
    module = path.partition(":")[0]
    if module.partition(".")[0] in OURS or module_file(module) is None:
        return set()
    tops = {name.partition(".")[0] for name in _loose_code(module)[0]}
    files = {file for name in tops if (file := module_file(name)) is not None}
    return {file.parent if file.name == "__init__.py" else file for file in files}


def _loose_code(module: str) -> tuple[set[str], set[str]]:
    """Returns the modules that importing one runs and that are not installed; and the packages that these import."""
    loose: set[str] = set()
    packages: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if name in loose or top in OURS | _NOT_COUNTED or top in sys.stdlib_module_names:
            continue
        if "." in name:
            waiting.append(name.rpartition(".")[0])
        if module_file(name) is None:
            continue
        if _is_installed(name):
            packages.add(top)
            continue
        loose.add(name)
        waiting += _imported(name)
    return loose, packages


def _defining(module: str, name: str, seen: set[tuple[str, str]]) -> str | None:
    """Returns the module that a name comes from, or none if the module does not have it."""
    if (module, name) in seen or module_file(module) is None:
        return None
    seen.add((module, name))
    for node in _statements(_tree(module).body):
        match node:
            case ast.ClassDef() | ast.FunctionDef() if node.name == name:
                return module
            case ast.Assign() if any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
                other = _defining(module, node.value.id, seen) if isinstance(node.value, ast.Name) else None
                return other or module
            case ast.ImportFrom():
                origin = _origin(module, node)
                for alias in node.names:
                    if alias.name == "*" or name == (alias.asname or alias.name):
                        found = _defining(origin, name if alias.name == "*" else alias.name, seen)
                        if found is not None:
                            return found
    return None


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yields a module's statements, also those under a condition."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            for part in (node.body, *(getattr(node, name, []) for name in ("orelse", "finalbody"))):
                yield from _statements(part)
            for handler in getattr(node, "handlers", []):
                yield from _statements(handler.body)


def _imported(module: str) -> Iterator[str]:
    """Yields what a module imports, anywhere in it; not all that it yields need be modules."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(module, node)
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def _origin(module: str, node: ast.ImportFrom) -> str:
    """Returns the absolute name of the module that a statement in another imports from."""
    if not node.level:
        return node.module or ""
    file = module_file(module)
    steps = module.split(".")
    above = node.level - (file is not None and file.stem == "__init__")
    return ".".join((*steps[: len(steps) - above], *filter(None, [node.module])))


def _tree(module: str) -> ast.Module:
    try:
        return ast.parse(_content(module))
    except (SyntaxError, ValueError):
        # Compiled code, or no Python: its bytes still count.
        return ast.Module([], [])


def _content(module: str) -> bytes:
    file = module_file(module)
    return b"" if file is None else file.read_bytes()


def _is_installed(module: str) -> bool:
    file = module_file(module)
    return file is not None and not _INSTALLED.isdisjoint(file.parts)


def _versions(packages: Iterable[str]) -> list[str]:
    names = {name for package in packages for name in _distributions().get(package, [])}
    return [f"{name}=={version(name)}" for name in sorted(names)]


@cache
def _distributions() -> dict[str, list[str]]:
    return {top: list(names) for top, names in packages_distributions().items()}
