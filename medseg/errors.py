"""Errors of the medical side. Each message says what must hold, what came, and where."""

from collections.abc import Iterable
from difflib import get_close_matches


class MedsegError(Exception):
    """Base of all errors that a user can act on."""


class UnknownNameError(MedsegError):
    """A registry does not know a name.

    Args:
        kind: What was looked up, e.g. ``"model"``.
        name: The name that came.
        known: The names that exist.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]):
        self.kind, self.name, self.known = kind, name, tuple(known)
        super().__init__(f"unknown {kind} '{name}'{did_you_mean(name, self.known)}")


class RegistryError(MedsegError):
    """A registry entry is wrong: defined twice, or its target cannot be imported."""


class DataError(MedsegError):
    """A data set is missing, unreadable or does not hold what its task declares."""


class ModelError(MedsegError):
    """A model cannot be built, or does not fit the task's image size or channels."""


class ConfigError(MedsegError):
    """A setting is not valid for the component that it configures.

    Args:
        where: Dotted path of the offending option, e.g. ``"model.features"``.
        message: What must hold and what came.
    """

    def __init__(self, where: str, message: str):
        self.where, self.message = where, message
        super().__init__(f"{where}: {message}" if where else message)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns ``", did you mean 'x'?"`` for the nearest known name, then the choices."""
    choices = tuple(known)
    near = get_close_matches(name, choices, n=1, cutoff=0.6)
    hint = f", did you mean '{near[0]}'?" if near else ""
    return f"{hint} (choices: {', '.join(choices)})" if choices else hint
