"""Names that must not be found in what is shared, and how they are looked for."""

import getpass
import re
import socket
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LEAST_LETTERS, LEAST_DIGITS = 4, 5
"""Shorter names are words and numbers like any other: nobody could tell a find from a chance."""
LEAST_WITHIN = 6
"""Letters and digits of names that are looked for within other words, too."""
_COMMON = frozenset({"root", "user", "users", "ubuntu", "admin", "localhost", "home", "runner"})
_TOKEN = re.compile(r"[^\W_]+")

Words = tuple[str, ...]
"""A name as its words, without case and accents: what stands between them does not matter."""


@dataclass(frozen=True)
class KnownNames:
    """Names that are looked for.

    Args:
        words: By the first word.
        parts: Those looked for within other words, by their first letters, each with what is written without gaps.
        short: How many names are too short or too common to be told from chance.
    """

    words: dict[str, list[Words]]
    parts: dict[str, list[tuple[str, Words]]]
    short: int = 0

    def within(self, text: str, deep: bool = False) -> set[str]:
        """Returns the names that a text holds, each as its words joined by ``-``.

        Args:
            text: Looked at without case, accents, and what stands between words.
            deep: Look within words, too.
        """
        tokens = split_words(text)
        found = {
            word
            for place, token in enumerate(tokens)
            for word in self.words.get(token, ())
            if tokens[place : place + len(word)] == word
        }
        if deep:
            found |= self._parts_of("".join(tokens))
        return {"-".join(word) for word in found}

    def _parts_of(self, text: str) -> set[Words]:
        found = set()
        for start in range(len(text) - LEAST_WITHIN + 1):
            for part, word in self.parts.get(text[start : start + LEAST_WITHIN], ()):
                if text.startswith(part, start) and _ends_there(text, start, start + len(part)):
                    found.add(word)
        return found


def _ends_there(text: str, start: int, stop: int) -> bool:
    """Says whether a part of a text is no piece of a longer number."""
    before, after = text[start - 1 : start], text[stop : stop + 1]
    return not (
        (text[start].isdigit() and before.isdigit()) or (text[stop - 1].isdigit() and after.isdigit())
    )


def split_words(text: str) -> Words:
    """Returns the words of a text, without case and accents."""
    plain = unicodedata.normalize("NFKD", text)
    return tuple(_TOKEN.findall("".join(one for one in plain if not unicodedata.combining(one)).casefold()))


def make_known_names(names: Iterable[str]) -> KnownNames:
    """Returns what is to be looked for.

    Args:
        names: Of cases, patients, hosts and users.
    """
    words: dict[str, list[Words]] = {}
    parts: dict[str, list[tuple[str, Words]]] = {}
    short = 0
    for word in sorted({split_words(name) for name in names} - {()}):
        whole = "".join(word)
        least = LEAST_DIGITS if whole.isdigit() else LEAST_LETTERS
        if len(whole) < least or set(word) <= _COMMON:
            short += 1
            continue
        words.setdefault(word[0], []).append(word)
        if len(whole) >= LEAST_WITHIN and not whole.isdigit():
            parts.setdefault(whole[:LEAST_WITHIN], []).append((whole, word))
    return KnownNames(words, parts, short)


def machine_names() -> list[str]:
    """Returns what this machine and its user are called."""
    names = [socket.gethostname(), socket.gethostname().partition(".")[0]]
    with suppress(KeyError, OSError, RuntimeError, ImportError):
        names += [getpass.getuser(), Path.home().name]
    return names
