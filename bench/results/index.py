"""What compaction has gathered, and where its rows lie: an index of the files that hold many trials.

A group is one file per table: ``trials/compact-X.parquet``, ``cases/compact-X.parquet`` and so on. What the index
does not name is not there; who writes it commits a compaction in one step. All that it says can be read off the
groups, so that one that is lost or damaged is made anew.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.results.parts import SUFFIX, DamagedError
from bench.results.place import Place
from bench.results.schema import SCHEMA_VERSION, VERSION_KEY, version_of

INDEX_FILE = "compact.parquet"
PREFIX = "compact-"

_TEXT, _COUNT = pa.string(), pa.int64()
INDEX = pa.schema(
    [
        pa.field("table", _TEXT, nullable=False),
        pa.field("part", _TEXT, nullable=False),
        pa.field("group", _TEXT, nullable=False),
        # Place in the group's file of the table, and how many rows that holds.
        pa.field("row", _COUNT, nullable=False),
        pa.field("of", _COUNT, nullable=False),
        # Of trials: how it ended, and where what belongs to it begins and how many rows that are.
        pa.field("status", _TEXT),
        pa.field("attempt", pa.int32()),
        pa.field("cases_from", _COUNT),
        pa.field("cases_rows", _COUNT),
        pa.field("curves_from", _COUNT),
        pa.field("curves_rows", _COUNT),
    ],
    metadata={VERSION_KEY: str(SCHEMA_VERSION)},
)


@dataclass(frozen=True)
class Index:
    """Where gathered rows lie.

    Args:
        rows: Arrow table with the columns of `INDEX`, one row per part.
    """

    rows: Any

    def __len__(self) -> int:
        return len(self.rows)

    def of(self, table: str) -> "Index":
        """Returns what it knows of one table."""
        return Index(self.rows.filter(pc.field("table") == table))

    def keep(self, parts: Collection[str]) -> "Index":
        """Returns the rows of these parts."""
        return Index(self.rows.filter(self._among(parts)))

    def without(self, parts: Collection[str], table: str | None = None) -> "Index":
        """Returns the rows of all other parts; of other tables, where one is named, all rows stay."""
        if not parts:
            return self
        gone = self._among(parts)
        if table is not None:
            gone = pc.and_(gone, pc.equal(self.rows["table"], table))
        return Index(self.rows.filter(pc.invert(gone)))

    def plus(self, rows: Iterable[Mapping[str, Any]]) -> "Index":
        """Returns it with rows after its own; columns that they leave out are null."""
        return Index(pa.concat_tables([self.rows, pa.Table.from_pylist(list(rows), schema=INDEX)]))

    def find(self, table: str, part: str) -> dict[str, Any] | None:
        """Returns what it knows of one part; none if that is not in it."""
        found = self.rows.filter((pc.field("table") == table) & (pc.field("part") == part)).to_pylist()
        return found[0] if found else None

    def parts(self) -> list[str]:
        """Returns the names of its parts."""
        return list(self.rows["part"].to_pylist())

    def groups(self) -> Iterator[tuple[str, "Index"]]:
        """Yields its groups, sorted by name, with their rows."""
        for name in sorted(pc.unique(self.rows["group"]).to_pylist()):
            yield name, Index(self.rows.filter(pc.field("group") == name))

    def spans(self, table: str) -> tuple[Any, Any]:
        """Returns where rows of a table begin in the group's file, and how many there are, as integer arrays."""
        if table in ("cases", "curves"):
            return tuple(self.rows[f"{table}_{what}"].to_numpy() for what in ("from", "rows"))
        starts = self.rows["row"].to_numpy()
        return starts, starts * 0 + 1

    def _among(self, parts: Collection[str]) -> Any:
        return pc.is_in(self.rows["part"], value_set=pa.array(list(parts), pa.string()))


EMPTY = Index(INDEX.empty_table())


def is_group(part: str) -> bool:
    """Says whether the name of a file is that of a group rather than that of a part."""
    return part.startswith(PREFIX)


def loose_parts(names: Iterable[str]) -> list[str]:
    """Returns the parts among the files of a table's folder that lie in a file of their own, sorted."""
    found = (name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))
    return sorted(part for part in found if not is_group(part))


def groups_in(names: Iterable[str]) -> set[str]:
    """Returns the groups among the files of a table's folder."""
    return {name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX) and is_group(name)}


def read_index(place: Place) -> Index:
    """Reads the index.

    Raises:
        FileNotFoundError: If there is none.
        DamagedError: If it is damaged, or of a version that knew other columns.
        ResultsError: If it is of a newer version.
        OSError: If it cannot be reached.
    """
    where, content = str(place / INDEX_FILE), place.read(INDEX_FILE)
    try:
        table = pq.read_table(pa.BufferReader(content), use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise DamagedError(f"{where}: damaged or not Parquet") from error
    version_of(table.schema, where)
    if table.column_names != INDEX.names:
        raise DamagedError(f"{where}: not of this version")
    return Index(table.cast(INDEX))


def write_index(place: Place, index: Index) -> None:
    """Writes the index, in one step; errors as in `Place.write`."""
    sink = pa.BufferOutputStream()
    pq.write_table(index.rows.cast(INDEX), sink, compression="zstd")
    place.write(INDEX_FILE, sink.getvalue())
