"""Compaction: the same rows in fewer files, whatever dies, is damaged, or is written in between."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from object_store import ObjectStore

from bench.errors import ResultsError
from bench.results import compaction, pack
from bench.results.compaction import Compacted, compact, is_due
from bench.results.folder import Folder
from bench.results.index import INDEX_FILE, read_index
from bench.results.place import Place, open_place
from bench.results.schema import CASES, KEYS, SCHEMA_VERSION, TABLES, TRIALS, VERSION_KEY
from bench.results.sound import sound_trials
from bench.results.store import Store, part_name

Rows = Callable[..., dict[str, Any]]
Frames = dict[str, pd.DataFrame]
CODE = "c0de" * 16
START = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def fill(trial_row: Rows, case_row: Rows, curve_row: Rows) -> Callable[..., None]:
    """Writes trials that differ in all that is sorted and counted by."""

    def write(store: Store, names: str = "abcdefgh", **changes: Any) -> None:
        for number, trial in enumerate(names):
            phase = "final" if number % 3 == 0 else "tune"
            row = trial_row(trial=trial, minutes=number, phase=phase, task=f"t{number % 2}", **changes)
            cases = [
                case_row(trial=trial, case=f"{trial}{n}", part=part, value=number + n / 10)
                for n in range(number % 4)
                for part in ("test", "validation")
            ]
            store.write(row, cases, [curve_row(trial=trial, epoch=epoch) for epoch in range(2)])

    return write


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "bucket":
        request.getfixturevalue("s3")
        return open_place("s3://bucket/results") / "quick"
    return Folder(tmp_path)


def frames(store: Store) -> Frames:
    """Returns the three tables, in an order that files do not change."""
    by = {
        "trials": ["trial", "code"],
        "cases": ["trial", "code", "case", "part"],
        "curves": ["trial", "epoch"],
    }
    return {name: getattr(store, name)().sort_values(keys, ignore_index=True) for name, keys in by.items()}


def assert_same(found: Frames, expected: Frames) -> None:
    for name, frame in expected.items():
        pd.testing.assert_frame_equal(found[name], frame, check_exact=True)


def files(place: Place) -> dict[str, int]:
    return {name: len(place.files(name)) for name in ("trials", "cases", "curves")}


def part(trial: str) -> str:
    return part_name({"trial": trial, "code": CODE})


def test_rows_stay_and_files_go(place: Place, fill: Callable[..., None]) -> None:
    store = Store(place)
    fill(store)
    expected, parts = frames(store), store.parts()
    assert compact(place) == Compacted(trials=8, groups=1)
    assert files(place) == {"trials": 1, "cases": 1, "curves": 1}
    assert_same(frames(store), expected)
    assert store.parts() == parts
    for trials in (["a"], ["b", "g"], [], list("abcdefgh")):
        chosen = expected["cases"][expected["cases"]["trial"].isin(trials)].reset_index(drop=True)
        found = store.cases(trials, "test").sort_values(["trial", "case"], ignore_index=True)
        pd.testing.assert_frame_equal(found, chosen[chosen["part"] == "test"].reset_index(drop=True))
    one = expected["cases"][expected["cases"]["trial"] == "d"].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        store.cases_of("d", CODE, 1).sort_values(["case", "part"], ignore_index=True), one
    )
    row = expected["trials"].set_index("trial").loc["c"]
    assert store.row(part("c")) == {**row.to_dict(), "trial": "c"}
    assert (store.status(part("c")), store.status(part("z")), store.row(part("z"))) == (
        "complete",
        None,
        None,
    )
    assert compact(place) == Compacted(trials=0, groups=1)
    assert files(place) == {"trials": 1, "cases": 1, "curves": 1}


def test_whoever_reads_folders_with_pandas_finds_the_same(tmp_path: Path, fill: Callable[..., None]) -> None:
    store = Store(tmp_path)
    fill(store, "abcd")
    compact(store.root)
    fill(store, "efgh", node=None)
    found = {name: pd.read_parquet(tmp_path / name) for name in ("trials", "cases", "curves")}
    assert sorted(found["trials"]["trial"]) == list("abcdefgh")
    assert {name: len(frame) for name, frame in found.items()} == {
        n: len(f) for n, f in frames(store).items()
    }
    joined = found["cases"].merge(found["trials"], on=["trial", "code", "attempt"])
    assert len(joined) == len(store.cases())
    assert list(found["cases"].columns) == CASES.names


def test_a_crash_at_any_moment_leaves_every_trial_once(
    tmp_path: Path, fill: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write and each removal is the last one once, after which nothing is done any more."""
    monkeypatch.setattr(compaction, "MOST_TRIALS", 3)
    before = Store(tmp_path / "before")
    fill(before, "ab")
    compact(before.root)
    fill(before, "bcde")
    expected = frames(before)
    # All that is written, and some of what is removed then.
    for moment in [*range(16), *range(16, 100, 3)]:
        root = shutil.copytree(tmp_path / "before", tmp_path / str(moment))
        store, left = Store(root), [moment]

        def dying(call: Any, left: list[int] = left) -> Any:
            def change(*given: Any) -> None:
                left[0] -= 1
                if left[0] < 0:
                    raise KeyboardInterrupt
                call(*given)

            return change

        with monkeypatch.context() as patch:
            for name in ("write", "delete"):
                patch.setattr(Folder, name, dying(getattr(Folder, name)))
            try:
                compact(store.root)
            except KeyboardInterrupt:
                pass
            else:
                break
        assert_same(frames(store), expected)
        assert len(store.parts()) == 5
        compact(store.root)
        assert_same(frames(store), expected)
        sizes = files(store.root)
        assert len(set(sizes.values())) == 1
        assert sizes["trials"] <= 3
        assert sorted(pd.read_parquet(root / "trials")["trial"]) == list("abcde")
    assert moment > 20


def test_what_was_written_since_wins(
    place: Place, fill: Callable[..., None], trial_row: Rows, case_row: Rows
) -> None:
    store = Store(place)
    fill(store)
    compact(place)
    assert not is_due(place)
    assert not store.write(trial_row(trial="d", status="infra_lost"), [], [])
    assert store.write(trial_row(trial="d", status="diverged"), [case_row(trial="d", case="new")], [])
    expected = frames(store)
    assert expected["trials"].set_index("trial").loc["d", ["status", "attempt"]].tolist() == ["diverged", 2]
    assert expected["cases"].query("trial == 'd'")["case"].tolist() == ["new"]
    assert is_due(place)
    pd.testing.assert_frame_equal(sound_trials(store, print), store.trials())
    assert compact(place) == Compacted(trials=1, groups=1)
    assert_same(frames(store), expected)
    assert len(read_index(place)) == 8
    assert files(place) == {"trials": 1, "cases": 1, "curves": 1}
    assert store.write(trial_row(trial="d"), [], [])
    assert store.status(part("d")) == "complete"
    assert store.trials().set_index("trial").loc["d", "attempt"] == 3


def test_cases_are_added_to_what_was_gathered(
    tmp_path: Path, fill: Callable[..., None], case_row: Rows
) -> None:
    store, place = Store(tmp_path), Folder(tmp_path)
    fill(store)
    compact(place)
    before = frames(store)
    rows = [case_row(trial="d", case="d0", definition="dice/v2"), case_row(trial="d", case="d0", value=3.0)]
    assert len(store.add_cases("d", CODE, 1, rows, dry_run=True).added) == 1
    assert_same(frames(store), before)
    found = store.add_cases("d", CODE, 1, rows)
    assert (len(found.added), found.same, found.conflicts) == (1, 1, ())
    expected = frames(store)
    assert len(expected["cases"]) == len(before["cases"]) + 1
    assert_same({"trials": expected["trials"]}, {"trials": before["trials"]})
    assert store.add_cases("d", CODE, 1, rows).same == 2
    compact(place)
    assert_same(frames(store), expected)
    with pytest.raises(ResultsError, match="attempt 2 of trial d is not there any more"):
        store.add_cases("d", CODE, 2, rows)


def test_what_is_dropped_stays_away(tmp_path: Path, fill: Callable[..., None]) -> None:
    store, place = Store(tmp_path), Folder(tmp_path)
    fill(store)
    compact(place)
    for trial in "ha":
        store.drop(part(trial))
    store.drop(part("z"))
    expected = frames(store)
    assert expected["trials"]["trial"].tolist() == list("bcdefg")
    assert compact(place) == Compacted(trials=0, groups=1)
    assert_same(frames(store), expected)
    assert len(read_index(place)) == 6


@pytest.mark.parametrize("damage", [None, b"PAR1 rubbish", b""])
def test_an_index_that_is_lost_is_read_off_the_groups(
    tmp_path: Path, fill: Callable[..., None], damage: bytes | None, trial_row: Rows
) -> None:
    store = Store(tmp_path)
    fill(store, "abcd")
    compact(store.root)
    fill(store, "efg")
    store.write_row("studies", study_row("s"))
    expected, index = frames(store), tmp_path / INDEX_FILE
    index.unlink() if damage is None else index.write_bytes(damage)
    assert_same(frames(store), expected)
    assert list(sound_trials(store, print)["trial"]) == list(store.trials()["trial"])
    if damage is not None:
        assert store.status(part("a")) == "complete"
    compact(store.root)
    assert_same(frames(store), expected)
    assert len(read_index(store.root)) == 7


def test_what_is_left_of_a_group_is_not_thrown_away(tmp_path: Path, fill: Callable[..., None]) -> None:
    """Without index, a group that lacks a file looks like one that was never committed."""
    store = Store(tmp_path)
    fill(store)
    compact(store.root)
    (tmp_path / INDEX_FILE).unlink()
    (curves,) = (tmp_path / "curves").iterdir()
    content = curves.read_bytes()
    curves.unlink()
    lost = f"{curves}: damaged or missing, with what belongs to 8 trials"
    assert compact(store.root) == Compacted(trials=0, groups=1, skipped=(lost,))
    assert len(store.trials()) == 8
    curves.write_bytes(content)
    (tmp_path / INDEX_FILE).unlink(missing_ok=True)
    assert len(store.trials()) == 8


def test_an_index_of_a_newer_version_is_no_damage(tmp_path: Path, fill: Callable[..., None]) -> None:
    store = Store(tmp_path)
    fill(store)
    compact(store.root)
    table = pq.read_table(tmp_path / INDEX_FILE)
    pq.write_table(
        table.replace_schema_metadata({VERSION_KEY: str(SCHEMA_VERSION + 1)}), tmp_path / INDEX_FILE
    )
    with pytest.raises(
        ResultsError, match=rf"{INDEX_FILE}: written with results schema .* install a newer one"
    ):
        store.trials()


def test_trials_that_go_on_stay_as_they_are(tmp_path: Path, fill: Callable[..., None]) -> None:
    store = Store(tmp_path)
    fill(store, "ab")
    fill(store, "cd", status="interrupted")
    assert compact(store.root).trials == 2
    fill(store, "c")
    assert store.trials().set_index("trial")["attempt"].to_dict() == {"a": 1, "b": 1, "c": 2, "d": 1}
    assert compact(store.root).trials == 1
    assert files(store.root) == {"trials": 2, "cases": 2, "curves": 2}
    only = Store(tmp_path / "only")
    fill(only, "cd", status="infra_lost")
    assert compact(only.root) == Compacted(trials=0, groups=0)
    assert len(only.trials()) == 2


def test_what_is_damaged_is_said_and_stays(tmp_path: Path, fill: Callable[..., None]) -> None:
    store = Store(tmp_path)
    fill(store)
    whole = store.cases(list("efgh")), store.curves(list("efgh"))
    (tmp_path / "trials" / f"{part('a')}.parquet").write_bytes(b"PAR1 rubbish")
    (tmp_path / "cases" / f"{part('b')}-1.parquet").write_bytes(b"PAR1 rubbish")
    (tmp_path / "curves" / f"{part('c')}-1.parquet").write_bytes(b"PAR1 rubbish")
    (tmp_path / "curves" / f"{part('d')}-1.parquet").unlink()
    done = compact(store.root)
    assert done.trials == 4
    for trial, word in zip("abcd", ("damaged", "damaged", "damaged", "is missing"), strict=True):
        assert sum(f"/{trial}-c0dec0de" in text and word in text for text in done.skipped) == 1
    assert {path.name[0] for path in (tmp_path / "trials").iterdir()} == set("abcd") | {"c"}
    assert sorted(read_index(store.root).parts()) == [part(trial) for trial in "efgh"]
    for found, expected in zip((store.cases(list("efgh")), store.curves(list("efgh"))), whole, strict=True):
        by = [name for name in ("trial", "case", "part", "epoch") if name in found]
        found, expected = (frame.sort_values(by, ignore_index=True) for frame in (found, expected))
        pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize("table", ["trials", "cases", "curves"])
@pytest.mark.parametrize("gone", [True, False])
def test_a_group_that_is_damaged_is_set_aside(
    tmp_path: Path, fill: Callable[..., None], table: str, gone: bool
) -> None:
    store = Store(tmp_path)
    fill(store, "abc")
    compact(store.root)
    fill(store, "de")
    (group,) = (tmp_path / table).glob("compact-*")
    group.unlink() if gone else group.write_bytes(group.read_bytes()[:-20])
    with pytest.raises(
        ResultsError,
        match=r"is missing; put it back.*bench run SUITE|damaged or not .*; put it back.*bench run SUITE",
    ):
        getattr(store, table)()
    # `bench compact` says so, and what is whole is gathered nonetheless.
    done = compact(store.root)
    assert (done.trials, done.skipped) == (
        2,
        (f"{group}: damaged or missing, with what belongs to 3 trials",),
    )
    said: list[str] = []
    trials = sound_trials(store, said.append)
    if table == "curves":
        assert sorted(trials["trial"]) == list("abcde")
        assert said == [f"{group}: damaged or missing; 3 trials lost the learning curves."]
        assert (len(store.cases()), set(store.curves()["trial"])) == (8, set("de"))
        assert compact(store.root).skipped == ()
        return
    assert list(trials["trial"]) == ["d", "e"]
    assert said == [
        f"3 trials lie in files that are damaged ({group}), moved to {tmp_path}/damaged and to be made anew."
    ]
    assert_same(frames(store), {"trials": trials.sort_values("trial", ignore_index=True)})
    assert store.write(trials.iloc[0].to_dict() | {"trial": "a"}, [], [])
    assert compact(store.root).skipped == ()


def test_a_block_within_a_group_that_is_damaged_is_found(tmp_path: Path, fill: Callable[..., None]) -> None:
    store = Store(tmp_path)
    fill(store, "abc")
    compact(store.root)
    (group,) = (tmp_path / "cases").glob("compact-*")
    content = bytearray(group.read_bytes())
    content[4:200] = b"x" * 196
    group.write_bytes(content)
    assert len(compact(store.root).skipped) == 1
    assert sound_trials(store, print).empty


def test_a_worker_of_a_dead_run_may_write_meanwhile(
    tmp_path: Path,
    fill: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    trial_row: Rows,
    case_row: Rows,
) -> None:
    store = Store(tmp_path)
    fill(store)
    write = compaction.write_index

    def late(*given: Any) -> None:
        store.write(trial_row(trial="d"), [case_row(trial="d", value=9.0)], [])
        write(*given)

    monkeypatch.setattr(compaction, "write_index", late)
    compact(store.root)
    assert store.trials().set_index("trial").loc["d", "attempt"] == 2
    assert store.cases(["d"])["value"].tolist() == [9.0]
    monkeypatch.undo()
    compact(store.root)
    assert store.cases(["d"])["value"].tolist() == [9.0]


def test_groups_have_a_size(
    tmp_path: Path, fill: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, seen = Store(tmp_path), []
    fill(store)
    expected = frames(store)
    monkeypatch.setattr(compaction, "MOST_TRIALS", 3)
    done = compact(store.root, lambda now, total: seen.append((now, total)))
    assert (done.groups, seen) == (3, [(3, 8), (6, 8), (8, 8)])
    assert_same(frames(store), expected)
    # Groups that are large enough stay; small ones are put together with what is new.
    large = {path.name for path in (tmp_path / "trials").iterdir()}
    fill(store, "ijk")
    compact(store.root)
    assert len(large & {path.name for path in (tmp_path / "trials").iterdir()}) >= 2
    monkeypatch.setattr(pack, "MOST_CASES", 4)
    other = Store(tmp_path / "other")
    fill(other)
    assert compact(other.root).groups > 1
    assert_same(frames(other), expected)


def test_older_parts_are_brought_up_to_date(tmp_path: Path, fill: Callable[..., None]) -> None:
    store = Store(tmp_path)
    fill(store, "abcd")
    for path in (tmp_path / "trials").iterdir():
        older = pq.read_table(path).select(TRIALS.names[: TRIALS.names.index("gmacs")])
        pq.write_table(older.replace_schema_metadata({VERSION_KEY: "1"}), path)
    for path in (tmp_path / "cases").iterdir():
        older = pq.read_table(path).drop_columns(["phase"])
        pq.write_table(older.replace_schema_metadata({VERSION_KEY: "2"}), path)
    expected = frames(store)
    assert expected["trials"]["run"].isna().all()
    coded = store.case_table().to_pandas()
    assert set(coded["phase"]) == {""}
    compact(store.root)
    assert_same(frames(store), expected)


def test_groups_of_an_older_version_are_read(
    tmp_path: Path, fill: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    fill(store, "abcd")
    compact(store.root)
    (group,) = (tmp_path / "trials").iterdir()
    older = pq.read_table(group).drop_columns(["run", "case_s"])
    pq.write_table(older.replace_schema_metadata({VERSION_KEY: "4"}), group)
    (group,) = (tmp_path / "cases").iterdir()
    older = pq.read_table(group).drop_columns(["phase"])
    pq.write_table(older.replace_schema_metadata({VERSION_KEY: "2"}), group, row_group_size=2)
    assert store.trials()["run"].isna().all()
    assert set(store.case_table(["d", "b"], "test").to_pandas()["phase"]) == {""}
    assert len(store.case_table(["d", "b"], "test")) == len(store.cases(["d", "b"], "test")) == 4


def test_it_is_due_from_a_number_on(
    tmp_path: Path, fill: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    assert not is_due(store.root)
    fill(store, "abc")
    assert not is_due(store.root)
    monkeypatch.setattr(compaction, "DUE", 3)
    assert is_due(store.root)
    compact(store.root)
    assert not is_due(store.root)


def test_a_disk_that_lies_loses_nothing(
    tmp_path: Path, fill: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    fill(store)
    expected, write = frames(store), Folder.write
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "write", lambda place, name, content: write(place, name, bytes(content)[:-1]))
        with pytest.raises(ResultsError, match="what was written to it just now cannot be read back"):
            compact(store.root)
    assert_same(frames(store), expected)
    assert files(store.root) == {"trials": 8, "cases": 8, "curves": 8}


def test_looks_between_which_results_are_gathered(
    tmp_path: Path, fill: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    fill(store)
    expected, attempts = frames(store), Store._attempts

    def late(self: Store, *given: Any) -> list[str]:
        found = attempts(self, *given)
        monkeypatch.setattr(Store, "_attempts", attempts)
        compact(store.root)
        return found

    monkeypatch.setattr(Store, "_attempts", late)
    assert_same(
        {"cases": frames(store)["cases"]},
        expected | {"trials": expected["trials"]} and {"cases": expected["cases"]},
    )


def study_row(study: str, **changes: Any) -> dict[str, Any]:
    names = ("suite", "plan", "task", "entry", "model", "loss", "metric", "data", "split")
    jsons = ("models", "losses", "space", "budget", "search", "final", "labels")
    return {
        "study": study,
        **dict.fromkeys(names, "x"),
        **{f"{name}_json": "[]" for name in jsons},
        **changes,
    }


def test_rows_of_studies_are_gathered(tmp_path: Path, s3: ObjectStore) -> None:
    for place in (Folder(tmp_path), open_place("s3://bucket/results")):
        store = Store(place)
        for number in range(compaction.FEW):
            store.write_row("studies", study_row(f"s{number:02}", task=f"t{number:02}"))
        expected = store.studies()
        compact(place)
        assert len(place.files("studies")) == 1
        pd.testing.assert_frame_equal(store.studies(), expected)
        store.write_row("studies", study_row("s03", task="t03", entry="other"))
        assert store.studies()["entry"].value_counts().to_dict() == {"x": compaction.FEW - 1, "other": 1}
        for number in range(compaction.FEW):
            store.write_row("studies", study_row(f"new{number:02}"))
        expected = store.studies()
        place.delete(INDEX_FILE)
        compact(place)
        assert len(place.files("studies")) == 1
        pd.testing.assert_frame_equal(store.studies(), expected)


@pytest.mark.parametrize("table", ["runs", "studies", "env"])
@pytest.mark.parametrize("gathered", [True, False])
def test_a_damaged_row_does_not_end_it(
    tmp_path: Path, fill: Callable[..., None], table: str, gathered: bool
) -> None:
    store, count = Store(tmp_path), compaction.FEW + 1
    whole = {field.name: None for field in TABLES[table] if field.nullable}
    texts = {field.name: "x" for field in TABLES[table] if field.type == "string" and not field.nullable}
    more = {"runs": {"started_at": START, "end": "done"}, "studies": {}, "env": {"cores": 1}}[table]

    def write(first: int) -> None:
        for number in range(first, first + count):
            store.write_row(table, whole | texts | more | {KEYS[table]: f"k{number:02}"})

    write(0)
    if gathered:
        compact(store.root)
        write(count)
        (damaged,) = (tmp_path / table).glob("compact-*")
    else:
        damaged = tmp_path / table / "k03.parquet"
    damaged.write_bytes(b"PAR1 rubbish")
    fill(store, "abc")
    done = compact(store.root)
    assert (done.trials, len(done.skipped)) == (3, 1)
    assert str(damaged) in done.skipped[0]
    assert damaged.exists()
    assert len(list((tmp_path / table).iterdir())) == 2
    damaged.unlink() if not gathered else sound_trials(store, print)
    assert len(getattr(store, table)()) == (count if gathered else count - 1)
    assert compact(store.root).skipped == ()


def test_a_damaged_group_does_not_keep_others_from_being_gathered(
    tmp_path: Path, fill: Callable[..., None]
) -> None:
    store = Store(tmp_path)
    fill(store, "abc")
    compact(store.root)
    (damaged,) = (tmp_path / "cases").iterdir()
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-9])
    for trials in ("de", "fgh"):
        fill(store, trials)
        done = compact(store.root)
        assert done.trials == len(trials)
        assert done.skipped == (f"{damaged}: damaged or missing, with what belongs to 3 trials",)
    damaged.write_bytes(content)
    assert compact(store.root) == Compacted(trials=0, groups=1)
    assert sorted(store.trials()["trial"]) == list("abcdefgh")


def test_what_is_gathered_anew_counts_for_the_size_of_a_group(
    tmp_path: Path, fill: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, held = Store(tmp_path), []
    monkeypatch.setattr(compaction, "MOST_CASES", 12)
    monkeypatch.setattr(pack, "MOST_CASES", 12)
    for trials in ("bcdf", "ghij"):
        fill(store, trials)
    expected, write = frames(store), pack._Rows.write

    def noted(rows: Any, *given: Any) -> Any:
        held.append(rows.count)
        return write(rows, *given)

    monkeypatch.setattr(pack._Rows, "write", noted)
    compact(store.root)
    fill(store, "klmn")
    fill(store, "bcdf", number=7)
    expected = frames(store)
    compact(store.root)
    assert_same(frames(store), expected)
    # The trial that goes beyond it has six rows.
    assert max(held) <= 12 + 6
