"""Removes what a compaction that died has left, once it is sure that all of it lies elsewhere."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.results.aside import ASIDE, set_aside
from bench.results.groups import attempts_in
from bench.results.index import Index, groups_in, loose_parts
from bench.results.names import attempt_of
from bench.results.parts import SUFFIX, DamagedError, part_file, read_each
from bench.results.place import Place
from bench.results.schema import BESIDE, KEYS
from bench.words import plural

Say = Callable[[str], object]


@dataclass(frozen=True)
class Sweep:
    """What is there before trials are gathered.

    Args:
        place: Of the results.
        index: That names all that counts; see `bench.results.gathered.restore_index`.
        damaged: Groups that are damaged or lack a file: nothing is removed because one of them has it.
        say: Told what was moved.
    """

    place: Place
    index: Index
    damaged: Collection[str]
    say: Say

    def run(self, files: Mapping[str, Mapping[str, Any]]) -> None:
        """Removes groups that are not named, and files of trials that were gathered.

        Args:
            files: By table, the files in its folder.
        """
        named = {name: {group for group, _ in self.index.of(name).groups()} for name in ("trials", *KEYS)}
        there = {name: groups_in(found) for name, found in files.items()}
        for name, groups in named.items():
            # What they hold would be in the index if that did not name a later attempt.
            unnamed = sorted(there[name] - groups - set(self.damaged))
            self.place.delete_all(part_file(name, group) for group in unnamed)
            if name == "trials":
                for beside in BESIDE:
                    self.place.delete_all(part_file(beside, group) for group in unnamed)
                    there[beside] -= set(unnamed)
        loose = loose_parts(files["trials"])
        known = named["trials"] | there["trials"]
        lone = {name: sorted(there[name] - known) for name in BESIDE}
        if any(lone.values()):
            self._remove_lone(lone, loose)
        self._remove_gathered(files, loose)

    def older(self, loose: Collection[str]) -> list[str]:
        """Moves trials in files of their own that are of an earlier attempt than the one that was gathered.

        Args:
            loose: Names of parts.

        Returns:
            Which those were.
        """
        sound = self._sound()
        both = [part for part in loose if part in sound]
        moved = []
        for part, attempt in _attempts(self.place, both).items():
            if attempt < sound[part]:
                beside = [part_file(name, attempt_of(part, attempt)) for name in BESIDE]
                set_aside(self.place, [part_file("trials", part), *beside])
                moved.append(part)
        if moved:
            first = self.place / part_file("trials", moved[0])
            self.say(
                f"{first}: of an earlier attempt than the one that was gathered, moved to {self.place / ASIDE}"
                + (f", and so are {len(moved) - 1:,} others" if len(moved) > 1 else "")
            )
        return moved

    def _remove_lone(self, lone: Mapping[str, Collection[str]], loose: Collection[str]) -> None:
        """Removes cases and curves of groups without trials: these are written last."""
        known = self._sound()
        attempts = _attempts(self.place, loose)
        for name, groups in lone.items():
            for group in groups:
                file = part_file(name, group)
                try:
                    held = attempts_in(self.place, name, group)
                except DamagedError:
                    held = {"": 1}
                lost = [
                    part
                    for part, attempt in held.items()
                    if max(known.get(part, 0), attempts.get(part, 0)) < attempt
                ]
                if not lost:
                    self.place.delete(file)
                    continue
                set_aside(self.place, [file])
                what = plural(len(lost), "trial") if "" not in lost else "trials"
                self.say(f"{self.place / file}: of {what} that are not there, moved to {self.place / ASIDE}")

    def _remove_gathered(self, files: Mapping[str, Mapping[str, Any]], loose: Collection[str]) -> None:
        sound = self._sound()
        for part in sound.keys() - set(loose):
            attempt = attempt_of(part, sound[part])
            left = [name for name in BESIDE if f"{attempt}{SUFFIX}" in files[name]]
            self.place.delete_all(part_file(name, attempt) for name in left)

    def _sound(self) -> dict[str, int]:
        """Returns the attempts at trials in groups that are whole."""
        rows = self.index.of("trials").rows
        columns = (rows[name].to_pylist() for name in ("part", "attempt", "group"))
        return {
            part: attempt for part, attempt, group in zip(*columns, strict=True) if group not in self.damaged
        }


def _attempts(place: Place, parts: Iterable[str]) -> dict[str, int]:
    found = {}
    for part, table in read_each(place, "trials", list(parts), ["attempt"]):
        if not isinstance(table, DamagedError):
            found[part] = table["attempt"][0].as_py()
    return found
