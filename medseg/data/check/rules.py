"""What can be wrong with a data set whose files can all be read: one rule per line of `RULES`."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.data.agree import relative
from medseg.data.case import Case, DataSet
from medseg.data.check.inspect_case import CaseFacts
from medseg.data.splits import Split

# Planes coarser than the distance between them by this factor are not the planes that were acquired.
COARSE_PLANE = 1.5
SIZE_RATIO = 4


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Args:
        where: The file, relative to the data set's folder, or what else it is about.
        text: What is wrong.
    """

    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


Look = Callable[[DataSet, Sequence[CaseFacts], Split | None], Iterable[Finding]]


@dataclass(frozen=True)
class Rule:
    """A rule: whether breaking it forbids training, and how to see it."""

    fatal: bool
    look: Look


def found_in(line: str) -> Finding:
    """Returns a finding from a line that starts with its file."""
    where, _, text = line.partition(": ")
    return Finding(where, text) if text else Finding("data set", line)


def _blank_label(dataset: DataSet, facts: Sequence[CaseFacts], _: Split | None) -> Iterator[Finding]:
    for item in facts:
        if item.blank:
            yield _of(dataset, item.case.label, "has no pixel of any label")


def _absent_label(dataset: DataSet, facts: Sequence[CaseFacts], _: Split | None) -> Iterator[Finding]:
    known = [item.pixels for item in facts if item.pixels]
    for index, (name, value) in enumerate(dataset.task.labels.items(), start=1):
        if known and not any(pixels[index] for pixels in known):
            yield Finding(f"label '{name}'", f"no case has it (value {value})")


def _no_label_at_all(dataset: DataSet, facts: Sequence[CaseFacts], _: Split | None) -> Iterator[Finding]:
    known = [item.pixels for item in facts if item.pixels]
    if known and not any(any(pixels[1:]) for pixels in known):
        yield Finding("labels", "no case has a pixel of any label: there is nothing to learn")


def _constant_image(dataset: DataSet, facts: Sequence[CaseFacts], _: Split | None) -> Iterator[Finding]:
    for item in facts:
        if item.constant:
            yield _of(dataset, item.case.image, f"all values are {item.intensities[0]:g}")


def _same_image(dataset: DataSet, facts: Sequence[CaseFacts], _: Split | None) -> Iterator[Finding]:
    """Copies, of one patient or of several."""
    copies: dict[str, list[Case]] = defaultdict(list)
    for case in dataset.cases:
        copies[case.digest].append(case)
    for first, *others in copies.values():
        for other in others:
            whose = "the same patient" if other.patient == first.patient else f"patient {first.patient}"
            yield _of(
                dataset, other.image, f"is the very same image as {_name(dataset, first.image)} of {whose}"
            )


def _alike_image(dataset: DataSet, facts: Sequence[CaseFacts], split: Split | None) -> Iterator[Finding]:
    """Nearly the same images of different patients."""
    part = _parts(split)
    for pair in dataset.alike:
        first, second = (dataset.case(case_id) for case_id in pair)
        if first.digest != second.digest:
            places = [part.get(case.patient, "") for case in (first, second)]
            both = f", both in {places[0]}" if places[0] == places[1] else f", in {places[0]} and {places[1]}"
            yield _of(
                dataset,
                second.image,
                f"looks like {_name(dataset, first.image)} but counts as another patient ({second.patient} and "
                f"{first.patient}{both if split else ''}); if it is one person, list both in groups.csv",
            )


def _mixed_orientation(dataset: DataSet, facts: Sequence[CaseFacts], _: Split | None) -> Iterator[Finding]:
    counts = Counter(item.orientations[0] for item in facts if item.orientations[0])
    if len(counts) < 2:
        return
    usual, most = counts.most_common(1)[0]
    for axes, count in counts.most_common()[1:]:
        first = next(item.case for item in facts if item.orientations[0] == axes)
        others = f" and {count - 1} others are" if count > 1 else " is"
        yield _of(dataset, first.image, f"this{others} oriented {axes}, {most} are {usual}; turn them alike")


def _cut_label(dataset: DataSet, facts: Sequence[CaseFacts], _: Split | None) -> Iterator[Finding]:
    """Labels that lie beyond the network's field of view, in part or altogether."""
    for item in facts:
        for name, there, seen in zip(dataset.task.labels, item.pixels[1:], item.seen[1:], strict=False):
            if seen < there:
                yield _of(
                    dataset,
                    item.case.label,
                    f"{1 - seen / there:.1%} of '{name}' lies beyond what the network sees; a larger image_size "
                    f"{'or spacing_mm ' if dataset.task.spacing_mm else ''}would hold it",
                )


def _coarse_plane(dataset: DataSet, facts: Sequence[CaseFacts], _: Split | None) -> Iterator[Finding]:
    for case in dataset.cases:
        if len(case.shape) == 3 and max(case.spacing_mm[1:]) > COARSE_PLANE * case.spacing_mm[0]:
            yield _of(
                dataset,
                case.image,
                f"spacing {_by(case.spacing_mm)} mm: planes are coarser than the distance between them, so the "
                f"first axis may not be the slice axis",
            )


def _several_subgroups(dataset: DataSet, facts: Sequence[CaseFacts], _: Split | None) -> Iterator[Finding]:
    found: dict[str, set[str]] = defaultdict(set)
    for case in dataset.cases:
        found[case.patient].add(case.subgroup)
    for patient, subgroups in found.items():
        if len(subgroups) > 1:
            names = ", ".join(sorted(name or "none" for name in subgroups))
            yield Finding(f"patient {patient}", f"is in {len(subgroups)} subgroups: {names}")


def _varied_size(dataset: DataSet, facts: Sequence[CaseFacts], _: Split | None) -> Iterator[Finding]:
    """Rows or columns; the number of slices varies by nature."""
    small, large = (
        choose(dataset.cases, key=lambda case: case.shape[-1] * case.shape[-2]) for choose in (min, max)
    )
    if any(b > SIZE_RATIO * a for a, b in zip(small.shape[-2:], large.shape[-2:], strict=True)):
        yield _of(
            dataset,
            large.label,
            f"has {_by(large.shape[-2:])} pixels in plane, "
            f"{_name(dataset, small.label)} only {_by(small.shape[-2:])}",
        )


RULES: tuple[Rule, ...] = (
    Rule(True, _no_label_at_all),
    Rule(False, _same_image),
    Rule(False, _alike_image),
    Rule(False, _several_subgroups),
    Rule(False, _blank_label),
    Rule(False, _absent_label),
    Rule(False, _constant_image),
    Rule(False, _mixed_orientation),
    Rule(False, _cut_label),
    Rule(False, _coarse_plane),
    Rule(False, _varied_size),
)


def _of(dataset: DataSet, path: Path, text: str) -> Finding:
    return Finding(_name(dataset, path), text)


def _name(dataset: DataSet, path: Path) -> str:
    return relative(path, dataset.root)


def _parts(split: Split | None) -> dict[str, str]:
    if split is None:
        return {}
    parts = dict.fromkeys(split.test, "the test part")
    return parts | {name: f"fold {number}" for number, fold in enumerate(split.folds) for name in fold}


def _by(numbers: Sequence[float]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)
