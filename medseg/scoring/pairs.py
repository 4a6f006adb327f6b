"""Which prediction is of which case: by name, and by folder where names repeat."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import DataError
from medseg.scoring.files import LabelFile

SHOWN = 3


@dataclass(frozen=True)
class Pair:
    """A case: its reference, and its prediction if there is one."""

    case: str
    reference: Path
    prediction: Path | None


@dataclass(frozen=True)
class Pairing:
    """What belongs together.

    Args:
        pairs: One per reference, in the order of the references.
        extra: Predictions without a reference.
    """

    pairs: tuple[Pair, ...]
    extra: tuple[Path, ...]


def pair(references: Mapping[str, LabelFile], predictions: Sequence[LabelFile]) -> Pairing:
    """Pairs predictions with references.

    What lies at the same place below both folders belongs together, with or without what a name says of being a
    label or a prediction; else what has the same name, if no other file has it.

    Args:
        references: By case id.
        predictions: Files of one system.

    Raises:
        DataError: If two predictions could be of one case, or one of two cases; names both.
    """
    by_place, by_key, by_name = defaultdict(list), defaultdict(list), defaultdict(list)
    for file in predictions:
        by_place[file.place].append(file)
        by_key[file.key].append(file)
        by_name[file.name].append(file)
    shared = Counter(reference.name for reference in references.values())
    pairs: list[Pair] = []
    used: dict[LabelFile, Path] = {}
    for case, reference in references.items():
        candidates = by_place[reference.place] or by_key[reference.key]
        if not candidates and shared[reference.name] == 1:
            candidates = by_name[reference.name]
        if len(candidates) > 1:
            first, second = candidates[:2]
            raise DataError(f"two predictions of '{case}': {first.path} and {second.path}; keep one of them")
        for file in candidates:
            if used.setdefault(file, reference.path) != reference.path:
                raise DataError(
                    f"{file.path} could be of {used[file]} or of {reference.path}; rename it as its reference is"
                )
        pairs.append(Pair(case, reference.path, candidates[0].path if candidates else None))
    extra = [file for file in predictions if file not in used]
    _refuse_ambiguous(references.values(), pairs, extra)
    return Pairing(tuple(pairs), tuple(file.path for file in extra))


def extra_message(extra: Sequence[Path], root: Path, references: Iterable[LabelFile]) -> str:
    """Returns what is said of predictions without a reference."""
    folder = root.parent if root.is_file() else root
    names = ", ".join(path.relative_to(folder).as_posix() for path in extra[:SHOWN])
    more = f" and {len(extra) - SHOWN} more" if len(extra) > SHOWN else ""
    what = "1 prediction has" if len(extra) == 1 else f"{len(extra)} predictions have"
    first = next(iter(references)).path.name
    return f"{root}: {what} no reference: {names}{more} (references are named as in {first})"


def _refuse_ambiguous(
    references: Iterable[LabelFile], pairs: Iterable[Pair], extra: Iterable[LabelFile]
) -> None:
    """Refuses a prediction whose name several references in other folders have."""
    lacking = {pair.reference for pair in pairs if pair.prediction is None}
    by_name = defaultdict(list)
    for reference in references:
        by_name[reference.name].append(reference.path)
    for file in extra:
        named = by_name[file.name]
        if len(named) > 1 and lacking.intersection(named):
            raise DataError(
                f"{file.path} could be of {named[0]} or of {named[1]}; put it into a folder as its reference is"
            )
