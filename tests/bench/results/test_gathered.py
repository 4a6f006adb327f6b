"""An index that is lost, old or of other results: nothing that lies in a group is taken for gone."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from object_store import ObjectStore

from bench.errors import ResultsError
from bench.results import gathered
from bench.results.compaction import Compacted, compact, is_due
from bench.results.folder import Folder
from bench.results.gathered import known_index, restore_index
from bench.results.index import INDEX_FILE, read_index
from bench.results.merge import merge
from bench.results.place import Place, open_place
from bench.results.sound import sound_trials
from bench.results.store import Store, part_name

Rows = Callable[..., dict[str, Any]]
Fill = Callable[..., None]
CODE = "c0de" * 16


@pytest.fixture
def fill(trial_row: Rows, case_row: Rows, curve_row: Rows) -> Fill:
    def write(store: Store, names: str, **changes: Any) -> None:
        for name in names:
            case = case_row(trial=name, case=f"{name}-1")
            store.write(trial_row(trial=name, **changes), [case], [curve_row(trial=name)])

    return write


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "bucket":
        request.getfixturevalue("s3")
        yield open_place("s3://bucket/results") / "quick"
    else:
        yield Folder(tmp_path / "quick")
    gathered.forget()


def part(trial: str) -> str:
    return part_name({"trial": trial, "code": CODE})


def seen(store: Store) -> dict[str, int]:
    """Returns the attempts that are read, where every trial has its rows of cases and curves."""
    trials = store.trials()
    for table in (store.cases(), store.curves()):
        assert sorted(zip(table["trial"], table["attempt"], strict=True)) == sorted(
            zip(trials["trial"], trials["attempt"], strict=True)
        )
    return dict(zip(trials["trial"], trials["attempt"].tolist(), strict=True))


def groups(root: Path) -> list[int]:
    return [len(list((root / name).glob("compact-*"))) for name in ("trials", "cases", "curves")]


def test_a_folder_copied_over_another_one_loses_nothing(tmp_path: Path, fill: Fill) -> None:
    for name, trials in {"a": "abc", "b": "cde"}.items():
        fill(Store(tmp_path / name), trials)
        compact(Folder(tmp_path / name))
    both = shutil.copytree(tmp_path / "a", tmp_path / "both")
    shutil.copytree(tmp_path / "b", both, dirs_exist_ok=True)
    store = Store(both)
    assert seen(store) == dict.fromkeys("abcde", 1)
    assert [store.status(part(trial)) for trial in "abcde"] == ["complete"] * 5
    assert compact(store.root) == Compacted(trials=0, groups=1)
    assert seen(store) == dict.fromkeys("abcde", 1)
    assert groups(both) == [1, 1, 1]


def test_an_older_index_put_back_loses_nothing(place: Place, fill: Fill) -> None:
    store = Store(place)
    fill(store, "abc")
    compact(place)
    older = place.read(INDEX_FILE)
    fill(store, "cde")
    compact(place)
    place.write(INDEX_FILE, older)
    expected = {**dict.fromkeys("abde", 1), "c": 2}
    assert seen(store) == expected
    assert store.row(part("c"))["attempt"] == 2  # type: ignore[index]
    assert compact(place).skipped == ()
    assert seen(store) == expected
    place.write(INDEX_FILE, older)
    restore_index(place)
    assert sorted(read_index(place).parts()) == [part(trial) for trial in "abcde"]


def test_an_older_index_beside_its_own_groups_loses_nothing(tmp_path: Path, fill: Fill) -> None:
    """As a backup that is copied back over what came after it."""
    root = tmp_path / "now"
    store = Store(root)
    fill(store, "abc")
    compact(store.root)
    backup = shutil.copytree(root, tmp_path / "backup")
    fill(store, "cde")
    compact(store.root)
    shutil.copytree(backup, root, dirs_exist_ok=True)
    expected = {**dict.fromkeys("abde", 1), "c": 2}
    assert seen(store) == expected
    assert compact(store.root).skipped == ()
    assert seen(store) == expected
    assert groups(root) == [1, 1, 1]


def test_a_trial_of_an_earlier_attempt_does_not_replace_a_later_one(tmp_path: Path, fill: Fill) -> None:
    root = tmp_path / "now"
    store = Store(root)
    fill(store, "ab", status="oom", value=None)
    backup = shutil.copytree(root, tmp_path / "backup")
    fill(store, "a")
    compact(store.root)
    shutil.copytree(backup, root, dirs_exist_ok=True)
    done = compact(store.root)
    moved = root / "trials" / f"{part('a')}.parquet"
    assert done.skipped == (
        f"{moved}: of an earlier attempt than the one that was gathered, moved to {root}/damaged",
    )
    assert seen(store) == {"a": 2, "b": 1}
    assert store.status(part("a")) == "complete"
    assert (root / "damaged/trials" / moved.name).exists()


@pytest.mark.parametrize("lost", [None, b"PAR1 rubbish"])
def test_one_trial_is_found_without_index(
    place: Place, fill: Fill, lost: bytes | None, trial_row: Rows, case_row: Rows
) -> None:
    store = Store(place)
    fill(store, "abc")
    assert store.status(part("a")) == "complete"
    compact(place)
    place.delete(INDEX_FILE) if lost is None else place.write(INDEX_FILE, lost)
    assert store.status(part("a")) == "complete"
    assert store.row(part("a"))["attempt"] == 1  # type: ignore[index]
    assert len(store.cases_of("a", CODE, 1)) == 1
    assert store.status(part("z")) is None
    assert not store.write(trial_row(trial="a", status="interrupted"), [], [])
    more = case_row(trial="b", case="b-1", definition="dice/v2")
    assert len(store.add_cases("b", CODE, 1, [more]).added) == 1
    assert len(store.cases_of("b", CODE, 1)) == 2
    fill(store, "c")
    assert store.row(part("c"))["attempt"] == 2  # type: ignore[index]
    assert store.trials().set_index("trial")["attempt"].to_dict() == {"a": 1, "b": 1, "c": 2}
    sound_trials(store, print)
    assert sorted(read_index(place).parts()) == [part(trial) for trial in "abc"]
    assert is_due(place)
    compact(place)
    assert store.trials().set_index("trial")["attempt"].to_dict() == {"a": 1, "b": 1, "c": 2}


@pytest.mark.parametrize("lost", [None, b"PAR1 rubbish"])
def test_what_is_dropped_without_index_is_gone(tmp_path: Path, fill: Fill, lost: bytes | None) -> None:
    store, index = Store(tmp_path), tmp_path / INDEX_FILE
    fill(store, "abc")
    compact(store.root)
    index.unlink() if lost is None else index.write_bytes(lost)
    store.drop(part("b"))
    assert seen(store) == {"a": 1, "c": 1}
    assert store.status(part("b")) is None


def test_a_merge_adds_cases_to_a_target_without_index(
    tmp_path: Path, fill: Fill, trial_row: Rows, case_row: Rows
) -> None:
    target, other = Store(tmp_path / "target"), Store(tmp_path / "other")
    fill(target, "ab")
    fill(other, "ab")
    other.add_cases("a", CODE, 1, [case_row(trial="a", case="a-1", definition="dice/v2")])
    compact(target.root)
    (tmp_path / "target" / INDEX_FILE).unlink()
    merge([other.root], target.root)
    assert len(target.cases_of("a", CODE, 1)) == 2
    assert len(target.trials()) == 2


def test_the_index_is_read_once(place: Place, fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    store, calls = Store(place), []
    fill(store, "ab")
    compact(place)
    read = gathered.read_index
    monkeypatch.setattr(gathered, "read_index", lambda place: calls.append(1) or read(place))
    monkeypatch.setattr("bench.results.bucket.YOUNG_NS", -(10**12))
    for _ in range(3):
        fill(Store(place), "c")
        assert store.status(part("a")) == "complete"
    assert len(calls) == 1
    assert len(known_index(place)) == 2
    compact(place)
    calls.clear()
    assert len(known_index(place)) == 3
    assert calls


def test_an_index_that_was_just_written_is_not_trusted_in_a_bucket(s3: ObjectStore, fill: Fill) -> None:
    """Times there are whole seconds."""
    place = open_place("s3://bucket/results") / "young"
    fill(Store(place), "a")
    compact(place)
    assert place.stamp(INDEX_FILE) != place.stamp(INDEX_FILE)
    assert place.stamp("none") is None


def test_what_a_crash_left_goes_and_what_is_named_nowhere_else_stays(tmp_path: Path, fill: Fill) -> None:
    store = Store(tmp_path)
    fill(store, "abc")
    before = shutil.copytree(tmp_path, tmp_path / "before")
    compact(store.root)
    (cases,) = (tmp_path / "cases").iterdir()
    # Of a compaction that died before it wrote the trials.
    shutil.copy(cases, before / "cases" / cases.name)
    assert compact(Folder(before)) == Compacted(trials=3, groups=1)
    assert groups(before) == [1, 1, 1]
    # The trials of it are lost, and the index, too.
    (trials,) = (tmp_path / "trials").iterdir()
    trials.unlink()
    (tmp_path / INDEX_FILE).unlink()
    fill(store, "c")
    done = compact(store.root)
    assert done.trials == 1
    assert done.skipped == tuple(
        f"{tmp_path / name / cases.name}: of 2 trials that are not there, moved to {tmp_path}/damaged"
        for name in ("cases", "curves")
    )
    assert (tmp_path / "damaged/cases" / cases.name).exists()
    assert compact(store.root).skipped == ()


def test_a_group_whose_trials_are_lost_and_that_is_named_says_so(tmp_path: Path, fill: Fill) -> None:
    store = Store(tmp_path)
    fill(store, "abc")
    compact(store.root)
    (group,) = (tmp_path / "trials").iterdir()
    content = group.read_bytes()
    group.unlink()
    with pytest.raises(ResultsError, match=r"is missing; put it back.*--skip-damaged.*--retry damaged"):
        store.trials()
    assert len(compact(store.root).skipped) == 1
    group.write_bytes(content)
    assert seen(store) == dict.fromkeys("abc", 1)


def test_a_whole_copy_of_a_damaged_group_counts(tmp_path: Path, fill: Fill) -> None:
    store = Store(tmp_path)
    fill(store, "abc")
    compact(store.root)
    (name,) = (path.name for path in (tmp_path / "trials").iterdir())
    for table in ("trials", "cases", "curves"):
        shutil.copy(tmp_path / table / name, tmp_path / table / "compact-copy.parquet")
    (tmp_path / "cases" / name).write_bytes(b"PAR1 rubbish")
    assert list(sound_trials(store, pytest.fail)["trial"]) == list("abc")
    (tmp_path / INDEX_FILE).unlink()
    compact(store.root)
    assert seen(store) == dict.fromkeys("abc", 1)


@pytest.mark.parametrize("table", ["trials", "cases"])
def test_a_damaged_group_that_is_named_nowhere_is_kept_and_said(
    tmp_path: Path, fill: Fill, table: str
) -> None:
    store = Store(tmp_path)
    fill(store, "abc")
    compact(store.root)
    (group,) = (tmp_path / table).iterdir()
    fill(store, "d")
    group.write_bytes(b"PAR1 rubbish")
    (tmp_path / INDEX_FILE).unlink()
    for read in (store.trials, lambda: store.status(part("a"))):
        with pytest.raises(ResultsError, match=r"damaged or not Parquet .*; put it back"):
            read()
    done = compact(store.root)
    assert done.trials == 1
    assert len(done.skipped) == 1
    assert "damaged or not Parquet" in done.skipped[0]
    assert group.read_bytes() == b"PAR1 rubbish"
    assert groups(tmp_path) == [2, 2, 2]


def test_rows_of_runs_in_a_group_that_is_not_named_count(tmp_path: Path, fill: Fill) -> None:
    from test_compaction import study_row

    for name in "ab":
        store = Store(tmp_path / name)
        for number in range(20):
            store.write_row("studies", study_row(f"{name}{number}"))
        compact(store.root)
    shutil.copytree(tmp_path / "b", tmp_path / "a", dirs_exist_ok=True)
    store = Store(tmp_path / "a")
    assert len(store.studies()) == 40
    compact(store.root)
    assert len(store.studies()) == 40
    assert len(pq.read_table(tmp_path / "a" / "studies")) == 40
