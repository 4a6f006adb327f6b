"""Finding a suite's results."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.errors import ResultsError
from bench.results.compaction import compact
from bench.results.find import find_results
from bench.results.place import open_place
from bench.results.store import Store


def test_newest_by_default(tmp_path: Path, trial_row: Callable[..., dict[str, Any]]) -> None:
    for age, name in enumerate(["quick", "full"]):
        Store(tmp_path / name).write(trial_row(), [], [])
        for part in (tmp_path / name / "trials").iterdir():
            os.utime(part, (1e9 - age, 1e9 - age))
    (tmp_path / "empty" / "trials").mkdir(parents=True)
    assert find_results(None, tmp_path).folder == tmp_path / "quick"
    assert find_results(tmp_path / "full", Path("nowhere")).folder == tmp_path / "full"
    assert find_results(Path("full"), tmp_path).folder == tmp_path / "full"
    with pytest.raises(ResultsError, match=r"fast: no results there; .* holds full, quick"):
        find_results(Path("fast"), tmp_path)


def test_gathering_makes_no_results_newer(tmp_path: Path, trial_row: Callable[..., dict[str, Any]]) -> None:
    for minutes, name in enumerate(["old", "new"]):
        Store(tmp_path / name).write(trial_row(minutes=minutes), [], [])
        when = trial_row(minutes=minutes)["finished_at"].timestamp()
        for path in (tmp_path / name / "trials").iterdir():
            os.utime(path, (when, when))
    compact(open_place(tmp_path / "old"))
    assert find_results(None, tmp_path).folder == tmp_path / "new"
    compact(open_place(tmp_path / "new"))
    compact(open_place(tmp_path / "old"))
    assert find_results(None, tmp_path).folder == tmp_path / "new"
    (group,) = (tmp_path / "new" / "trials").iterdir()
    group.write_bytes(b"rubbish")
    assert find_results(None, tmp_path).folder == tmp_path / "old"
    assert find_results(tmp_path / "new", tmp_path).folder == tmp_path / "new"


def test_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"no results in .*; `bench run SUITE` makes some"):
        find_results(None, tmp_path)
    with pytest.raises(ResultsError, match=r"x: no results there$"):
        find_results(Path("x"), tmp_path)
