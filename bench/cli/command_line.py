"""What was typed, as it is written down: no paths, and nothing that says where or who."""

from collections.abc import Sequence
from pathlib import PurePath

ELLIPSIS = "..."
NAMED = ("--data",)
PLACES = ("--results", "--storage", "--address")


def command_line(words: Sequence[str]) -> str:
    """Returns a command without paths: of a file its name, of a place nothing.

    Args:
        words: As typed after `bench`.
    """
    shown, option = [], ""
    for word in words:
        name, sign, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if name and not sign:
            shown.append(name)
            option = name
            continue
        value = _without_path(name or option, value)
        shown.append(f"{name}={value}" if name else value)
        option = ""
    return " ".join(["bench", *shown])


def _without_path(option: str, value: str) -> str:
    if option in NAMED:
        return f"{value.partition('=')[0]}={ELLIPSIS}"
    if option in PLACES:
        return ELLIPSIS
    return PurePath(value.replace("\\", "/")).name if "/" in value or "\\" in value else value
