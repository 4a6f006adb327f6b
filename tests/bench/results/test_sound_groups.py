"""A damaged file of many trials: they are not made anew unasked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.errors import ResultsError
from bench.results.compaction import FEW, compact
from bench.results.folder import Folder
from bench.results.index import INDEX_FILE
from bench.results.merge import merge
from bench.results.sound import sound_trials
from bench.results.sound_groups import HANDFUL
from bench.results.store import Store

Rows = Callable[..., dict[str, Any]]
MANY = "abcdefgh"


@pytest.fixture
def store(tmp_path: Path, trial_row: Rows, case_row: Rows, curve_row: Rows) -> Store:
    """Eight trials that were gathered, and one that was not."""
    store = Store(tmp_path / "results")
    for number, trial in enumerate([*MANY, "i"]):
        if trial == "i":
            compact(store.root)
        store.write(trial_row(trial=trial, minutes=number), [case_row(trial=trial)], [curve_row(trial=trial)])
    return store


def files(store: Store) -> dict[str, bytes]:
    root = Path(str(store.root))
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.parquet")}


def group_of(store: Store, table: str) -> Path:
    (group,) = (Path(str(store.root)) / table).glob("compact-*")
    return group


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("table", ["trials", "cases"])
@pytest.mark.parametrize("gone", [True, False])
def test_a_run_stops_before_it_makes_many_trials_anew(
    store: Store, table: str, gone: bool, indexed: bool
) -> None:
    assert len(MANY) > HANDFUL
    group = group_of(store, table)
    group.unlink() if gone else group.write_bytes(b"PAR1 rubbish")
    if not indexed:
        (Path(str(store.root)) / INDEX_FILE).unlink()
    if gone and table == "trials" and not indexed:
        # Nothing names them any more; what is left of them stays where it is.
        assert list(sound_trials(store, pytest.fail)["trial"]) == ["i"]
        assert group_of(store, "cases").exists()
        return
    with pytest.raises(ResultsError) as caught:
        sound_trials(store, pytest.fail)
    line = str(caught.value)
    assert line.startswith(f"{group}: damaged or missing, with what belongs to 8 trials; put it back; or")
    assert "`bench merge COPY -o RESULTS --skip-damaged`" in line
    assert "`bench run SUITE --retry damaged`" in line
    assert "delete" not in line
    left = {"trials", "cases", "curves"} - ({table} if gone else set())
    assert all(group_of(store, name).exists() for name in left)
    assert not (Path(str(store.root)) / "damaged").exists()
    said: list[str] = []
    assert list(sound_trials(store, said.append, anew=True)["trial"]) == ["i"]
    assert "moved to" in said[0]
    assert list(store.trials()["trial"]) == ["i"]
    assert compact(store.root).skipped == ()


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("damage", [None, b"PAR1 rubbish"])
def test_lost_curves_cost_no_trial(store: Store, damage: bytes | None, indexed: bool) -> None:
    group, said, cases = group_of(store, "curves"), [], store.cases()
    group.unlink() if damage is None else group.write_bytes(damage)
    if not indexed:
        (Path(str(store.root)) / INDEX_FILE).unlink()
    assert list(sound_trials(store, said.append)["trial"]) == [*MANY, "i"]
    assert said == [f"{group}: damaged or missing; 8 trials lost the learning curves."]
    assert store.curves()["trial"].tolist() == ["i"]
    assert len(store.cases()) == len(cases)
    assert store.curves(["a"]).empty
    sound_trials(store, pytest.fail)
    assert compact(store.root).skipped == ()
    assert sorted(store.trials()["trial"]) == [*MANY, "i"]


def test_a_file_that_is_put_back_ends_it(store: Store) -> None:
    group = group_of(store, "cases")
    content = group.read_bytes()
    group.write_bytes(content[:-9])
    with pytest.raises(ResultsError, match="8 trials"):
        sound_trials(store, pytest.fail)
    group.write_bytes(content)
    assert len(sound_trials(store, pytest.fail)) == 9


@pytest.mark.parametrize("table", ["trials", "cases"])
def test_trials_of_a_damaged_group_are_taken_from_a_copy(store: Store, tmp_path: Path, table: str) -> None:
    copy = Folder(tmp_path / "copy")
    merge([store.root], copy)
    expected = store.cases()
    group_of(store, table).write_bytes(b"PAR1 rubbish")
    found = merge([copy], store.root, skip_damaged=True)
    assert len(found.left_out) == 1
    compact(store.root)
    assert compact(store.root).skipped == ()
    assert len(sound_trials(store, pytest.fail)) == 9
    assert len(store.cases()) == len(expected)


def test_what_no_trial_depends_on_is_set_aside(tmp_path: Path) -> None:
    from test_compaction import study_row

    store, said = Store(tmp_path), []
    for number in range(FEW):
        store.write_row("studies", study_row(f"s{number}"))
    compact(store.root)
    group = group_of(store, "studies")
    group.write_bytes(b"PAR1 rubbish")
    with pytest.raises(ResultsError, match="let `bench run SUITE` set it aside: no trial depends on it"):
        store.studies()
    sound_trials(store, said.append)
    assert said == [f"{group}: damaged or missing; no trial depends on it."]
    assert store.studies().empty
    assert (tmp_path / "damaged/studies" / group.name).exists()
