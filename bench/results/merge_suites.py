"""Unites what several runs planned: their tasks, studies and claims."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.results.pseudonyms import SALT_MARK

Tree = Mapping[str, Any]

FREE_OF_TASK = frozenset(
    {"title", "dataset", "groups", "patient_pattern", "split", "phantom", "metrics", "patients_from"}
)
"""What may differ: it acts through the data's fingerprint and the split's hash, or says what else was measured."""
DATA_OF_TASK = frozenset({"data_fingerprint", "split_hash", "labels", "unit"})
OF_STUDY = ("task", "entry", "budget", "counts")
OF_SUITE = ("scale", "compare")
SALT = "names of cases and patients, by the salt that they were replaced with"


@dataclass(frozen=True)
class Conflict:
    """Two places say something else of the same.

    Args:
        what: In a line, without a full stop.
        kept: Number of the place that came first.
        other: Number of the other one.
        final: No word of one of them settles it: what they hold cannot lie side by side.
        leaves_out: To settle it leaves trials of the other one out.
    """

    what: str
    kept: int
    other: int
    final: bool = False
    leaves_out: bool = False

    def __str__(self) -> str:
        return self.what


@dataclass
class _Union:
    """What was seen so far, by key, with the place that it is from."""

    names: Sequence[str]
    conflicts: list[Conflict] = field(default_factory=list)
    _seen: dict[tuple[str, ...], tuple[Any, int]] = field(default_factory=dict)

    def agree(self, key: tuple[str, ...], value: Any, place: int, what: str, final: bool = False) -> bool:
        """Keeps the first value of a key; says whether this one is the same, and notes it if not."""
        first, kept = self._seen.setdefault(key, (value, place))
        if first == value:
            return True
        told = f"{what}: {_shown(first)} in {self.names[kept]}, {_shown(value)} in {self.names[place]}"
        self.conflicts.append(Conflict(told, kept, place, final))
        return False


def other_names(suites: Sequence[Tree | None]) -> bool:
    """Says whether cases and patients of some suites were given other names than those of others."""
    return len({(suite or {}).get(SALT_MARK) for suite in suites}) > 1


def unite_suites(
    suites: Sequence[Tree | None], names: Sequence[str]
) -> tuple[dict[str, Any] | None, list[Conflict]]:
    """Returns one resolved suite for several, and where they contradict each other.

    Of a study the folds and seeds of its final trials are united; of a task, the metrics. Everything else that a
    leaderboard reads must be the same. Of the rest, and where there is a conflict, the first one's stays. Where names
    were replaced with other salts that is all that is said.

    Args:
        suites: As `Store.read_suite` returns them.
        names: Of their places, for messages.
    """
    union = _Union(names)
    for place, suite in enumerate(suites):
        union.agree((SALT_MARK,), (suite or {}).get(SALT_MARK), place, SALT, final=True)
    there = [(place, suite) for place, suite in enumerate(suites) if suite is not None]
    if not there:
        return None, union.conflicts
    if other_names(suites):
        # Nothing else means the same: names, and hashes that are made of names, differ throughout.
        return dict(there[0][1]), union.conflicts
    for place, suite in there:
        for key in OF_SUITE:
            union.agree((key,), _plain(suite.get(key)), place, key, final=True)
    united = {key: value for _, suite in reversed(there) for key, value in suite.items()}
    united["tasks"] = _unite_tasks(there, union)
    united["studies"] = _unite_studies(there, union)
    united["claims"] = _unite_claims(there, union)
    if registered := _earliest(suite.get("registered", {}) for _, suite in there):
        united["registered"] = registered
    for key in ("models", "losses"):
        united[key] = _distinct(one for _, suite in there for one in suite.get(key, ()))
    united["suite"] = "+".join(_distinct(str(suite.get("suite", "")) for _, suite in there))
    plans = _distinct(str(suite["plan"]) for _, suite in there if suite.get("plan"))
    if plans:
        united["plan"] = plans[0] if len(plans) == 1 else _digest(plans)
    return united, union.conflicts


def _unite_tasks(there: Sequence[tuple[int, Tree]], union: _Union) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for place, suite in there:
        for task in suite.get("tasks", ()):
            name = str(task["name"])
            for key, value in task.items():
                if key not in FREE_OF_TASK:
                    final = key in DATA_OF_TASK
                    union.agree(("task", name, key), _plain(value), place, f"task {name}: {key}", final)
            kept = found.setdefault(name, dict(task))
            if "patients_from" in task:  # results of before it was recorded do not say
                kept.setdefault("patients_from", task["patients_from"])
            kept["metrics"] = _distinct([*kept.get("metrics", ()), *task.get("metrics", ())])
    return list(found.values())


def _unite_studies(there: Sequence[tuple[int, Tree]], union: _Union) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for place, suite in there:
        for study in suite.get("studies", ()):
            id_, title = str(study["id"]), f"{study['task']}: {study['entry']}"
            # An entry whose options or search differ is another one, whatever it is called.
            if not union.agree(("entry", study["task"], study["entry"]), id_, place, f"{title}: study"):
                continue
            for key in OF_STUDY:
                if key in study:
                    union.agree(("study", id_, key), _plain(study[key]), place, f"{title}: {key}")
            kept = found.setdefault(id_, dict(study))
            kept["final"] = unite_finals(kept.get("final", {}), study.get("final", {}))
    return list(found.values())


def unite_finals(first: Tree, second: Tree) -> dict[str, list[int]]:
    """Returns folds and seeds of final trials that one of two plans has."""
    return {key: sorted({*first.get(key, ()), *second.get(key, ())}) for key in ("folds", "seeds")}


def _unite_claims(there: Sequence[tuple[int, Tree]], union: _Union) -> list[Any]:
    found: dict[str, Any] = {}
    for place, suite in there:
        for claim in suite.get("claims", ()):
            union.agree(("claim", claim["id"]), _plain(claim), place, f"claim {claim['id']}")
            found.setdefault(claim["id"], claim)
    return list(found.values())


def _earliest(ledgers: Iterable[Tree]) -> dict[str, Any]:
    """Returns when each claim was first written down, as far as one of them knows; times are UTC, as ISO 8601."""
    found: dict[str, Any] = {}
    for key, known in (item for ledger in ledgers for item in ledger.items()):
        before = found.get(key, known)
        found[key] = min(before, known, key=lambda one: one["at"] or "9999")
    return found


def _plain(value: Any) -> Any:
    """Lists and tuples that hold the same are the same."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _distinct(values: Iterable[Any]) -> list[Any]:
    kept: list[Any] = []
    for value in values:
        if value not in kept:
            kept.append(value)
    return kept


def _digest(plans: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(plans)).encode()).hexdigest()


def _shown(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
