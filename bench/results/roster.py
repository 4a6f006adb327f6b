"""How many of a suite's patients the results name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Roster:
    """Patients, as far as results name them: those that were only trained on have no rows.

    Args:
        suite: As planned.
    """

    suite: Mapping[str, Any]
    _seen: dict[str, set[str]] = field(default_factory=dict)
    _data: dict[str, str] = field(default_factory=dict)

    def add(self, trials: Any, cases: Any) -> None:
        """Notes the patients of some trials, from Arrow tables of these and of their cases."""
        self._data |= zip(trials["trial"].to_pylist(), trials["data"].to_pylist(), strict=True)
        pairs = cases.select(["trial", "patient"]).group_by(["trial", "patient"]).aggregate([])
        for trial, patient in zip(pairs["trial"].to_pylist(), pairs["patient"].to_pylist(), strict=True):
            self._seen.setdefault(self._data.get(trial, ""), set()).add(patient)

    @property
    def listed(self) -> set[str]:
        """Names that the suite lists itself, as patients to test on."""
        return {name for task in self._tasks() for name in _test_patients(task)}

    @property
    def known(self) -> int:
        """How many patients of all data sets have a name here."""
        seen = {data: set(patients) for data, patients in self._seen.items()}
        for task in self._tasks():
            seen.setdefault(str(task.get("data_fingerprint", "")), set()).update(_test_patients(task))
        planned = {str(task.get("data_fingerprint", "")) for task in self._tasks()}
        return sum(len(patients) for data, patients in seen.items() if data in planned or not planned)

    @property
    def total(self) -> int | None:
        """How many patients all data sets have; none where the suite does not say."""
        counts: dict[str, int] = {}
        for task in self._tasks():
            if not isinstance(count := task.get("patients"), int):
                return None
            data = str(task.get("data_fingerprint", ""))
            counts[data] = max(count, counts.get(data, 0))
        return sum(counts.values()) or None

    def _tasks(self) -> Iterator[Mapping[str, Any]]:
        return (task for task in self.suite.get("tasks") or () if isinstance(task, Mapping))


def _test_patients(task: Mapping[str, Any]) -> list[str]:
    split = task.get("split")
    test = split.get("test") if isinstance(split, Mapping) else None
    return [str(name) for name in test] if isinstance(test, list | tuple) else []
