"""Looks through what was de-identified, as it lies on the disk, for anything that should not be there."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from bench.results.deidentify import FREE
from bench.results.known_names import KnownNames, split_words
from bench.results.pseudonyms import PSEUDONYM
from bench.results.schema import TABLES
from bench.results.scrub import PATH

A_NAME = "the name of a case, a patient, a host or a user"
A_PATH = "looks like a path or an address"
NO_PSEUDONYM = "is no pseudonym"
_TEXTS = {field.name for schema in TABLES.values() for field in schema if pa.types.is_string(field.type)}
_OWN = "README.md"
"""Our words, the same in every bundle."""
_MOST_LETTERS = 80
_HASH = re.compile(r"[0-9a-f]{16,}")
"""Holds short runs of letters by chance."""


@dataclass
class Find:
    """Something that should not be there.

    Args:
        word: The name, or the text that looks like a path.
        what: Why it should not.
        text: A text that it stands in.
        places: Where: pairs of table or file, and column (empty: no table).
    """

    word: str
    what: str
    text: str
    places: set[tuple[str, str]] = field(default_factory=set)

    def __str__(self) -> str:
        columns: dict[str, list[str]] = {}
        for where, column in sorted(self.places):
            columns.setdefault(where, []).extend([column] if column else [])
        listed = ", ".join(
            f"{where} ({', '.join(names)})" if names else where for where, names in columns.items()
        )
        text = "" if self.text == self.word else f", e.g. {self.text[:_MOST_LETTERS]!r}"
        return f"{self.word[:_MOST_LETTERS]!r}, {self.what}: {listed}{text}"


@dataclass(frozen=True)
class Scanned:
    """What a look through files has found, each word once.

    Args:
        finds: What must not be there.
        allowed: What may be there nonetheless.
    """

    finds: tuple[Find, ...]
    allowed: tuple[Find, ...]


def scan(folder: Path, names: KnownNames, allowed: Iterable[str] = ()) -> Scanned:
    """Looks through all files of a folder.

    Args:
        folder: Of what was written.
        names: What must not be in it.
        allowed: Names, and texts that look like paths or addresses, that may be there; never as those of cases and
            patients.
    """
    found = _Finds(names)
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _OWN):
        where = path.relative_to(folder)
        table = (
            where.parts[0] if len(where.parts) > 1 else where.stem if path.suffix == ".csv" else str(where)
        )
        for column, texts in _texts(path):
            found.look((table, column), texts)
    fine = {*allowed, *("-".join(split_words(text)) for text in allowed)}
    everything = sorted(found.finds.values(), key=lambda find: (find.what, find.word))
    passed = [find for find in everything if find.what != NO_PSEUDONYM and find.word in fine]
    return Scanned(tuple(find for find in everything if find not in passed), tuple(passed))


class _Finds:
    """Gathers finds; looks at each text once."""

    def __init__(self, names: KnownNames):
        self.names = names
        self.finds: dict[tuple[str, str], Find] = {}
        self._known: dict[tuple[str, bool], list[tuple[str, str]]] = {}

    def look(self, place: tuple[str, str], texts: Iterable[str]) -> None:
        deep = place[1] in FREE or not place[1]
        # Sorted, so that the same example is shown each time.
        for text in sorted(texts):
            if place[1] in ("case", "patient"):
                if not PSEUDONYM.fullmatch(text):
                    self._add(text, NO_PSEUDONYM, text, place)
                continue
            for one in _strings(text):
                for word, what in self._problems(one, deep):
                    self._add(word, what, one, place)

    def _add(self, word: str, what: str, text: str, place: tuple[str, str]) -> None:
        self.finds.setdefault((what, word), Find(word, what, text)).places.add(place)

    def _problems(self, text: str, deep: bool) -> list[tuple[str, str]]:
        key = (text, deep)
        if key not in self._known:
            names = [(word, A_NAME) for word in self.names.within(text, deep and not _HASH.fullmatch(text))]
            self._known[key] = [*([(text, A_PATH)] if PATH.search(text) else []), *names]
        return self._known[key]


def _texts(path: Path) -> Iterator[tuple[str, set[str]]]:
    """Yields the columns of a file with the texts that they hold."""
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                yield from _columns(file.read_row_group(number))
            yield "", {str(value) for value in (file.schema_arrow.metadata or {}).values()}
    elif path.suffix == ".csv":
        # The others are read as what they look like: a text among numbers makes a column of texts.
        kinds = {name: pa.string() for name in _header(path) if name in _TEXTS}
        options = pyarrow.csv.ConvertOptions(column_types=kinds)
        with pyarrow.csv.open_csv(path, convert_options=options) as batches:
            for batch in batches:
                yield from _columns(batch)
    else:
        yield "", {path.read_text(encoding="utf-8")}


def _columns(table: Any) -> Iterator[tuple[str, set[str]]]:
    for name in table.schema.names:
        column = table.column(name)
        if pa.types.is_string(column.type) or pa.types.is_dictionary(column.type):
            yield name, {word for word in column.unique().to_pylist() if word}


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8") as lines:
        return [name.strip('"') for name in next(lines, "").rstrip("\n").split(",")]


def _strings(text: str) -> Iterator[str]:
    """Yields the texts in a JSON tree, keys as well; what is none is one text. Numbers are no names."""
    if text[:1] not in ("{", "["):
        yield text
        return
    try:
        yield from _walk(json.loads(text))
    except ValueError:
        yield text


def _walk(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, item in tree.items():
            yield str(key)
            yield from _walk(item)
    elif isinstance(tree, list):
        for item in tree:
            yield from _walk(item)
    elif isinstance(tree, str):
        yield tree
