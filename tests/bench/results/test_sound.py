"""What a run finds in a store in which files are damaged or gone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bench.errors import ResultsError
from bench.results.schema import SCHEMA_VERSION, TABLES, VERSION_KEY
from bench.results.sound import sound_trials
from bench.results.store import Store, part_name

Rows = Callable[..., dict[str, Any]]


def names(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*.parquet")}


@pytest.fixture
def store(tmp_path: Path, trial_row: Rows, case_row: Rows) -> Store:
    store = Store(tmp_path)
    for minutes, trial in enumerate("abcd"):
        store.write(trial_row(trial=trial, minutes=minutes), [case_row(trial=trial)], [])
    return store


def part(trial_row: Rows, trial: str) -> str:
    return part_name(trial_row(trial=trial))


def test_a_sound_store_stays_as_it_is(store: Store, tmp_path: Path) -> None:
    said: list[str] = []
    before = names(tmp_path)
    assert list(sound_trials(store, said.append)["trial"]) == list("abcd")
    assert (said, names(tmp_path)) == ([], before)


@pytest.mark.parametrize("table", ["cases", "curves"])
def test_a_trial_without_all_of_its_parts_is_set_aside(
    store: Store, tmp_path: Path, trial_row: Rows, table: str
) -> None:
    said: list[str] = []
    gone = tmp_path / table / f"{part(trial_row, 'b')}-1.parquet"
    gone.unlink()
    with pytest.raises(
        ResultsError, match="is missing; put it back, or let `bench run SUITE` make the trial"
    ):
        getattr(store, table)()
    assert list(sound_trials(store, said.append)["trial"]) == list("acd")
    assert said == [f"1 trial lacks parts ({gone}), moved to {tmp_path}/damaged and to be made anew."]
    assert f"damaged/trials/{part(trial_row, 'b')}.parquet" in names(tmp_path)
    assert len(store.cases()) == len(store.trials()) == 3
    assert sound_trials(store, said.append) is not None
    assert len(said) == 1


def test_folders_are_listed_once_and_not_looked_through(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, files = type(store.root), type(store.root).files
    calls: list[str] = []

    def counted(place: Any, name: str) -> dict[str, float]:
        calls.append(name)
        return files(place, name)

    monkeypatch.setattr(kind, "files", counted)
    monkeypatch.setattr(kind, "exists", lambda place, name: calls.append(name))
    sound_trials(store, print)
    assert sorted(calls) == sorted(set(calls)) == sorted(TABLES)


def test_what_was_replaced_between_two_looks_is_no_hole(
    store: Store, monkeypatch: pytest.MonkeyPatch, trial_row: Rows, case_row: Rows
) -> None:
    kind, files = type(store.root), type(store.root).files

    def late(place: Any, name: str) -> dict[str, float]:
        if name == "cases":
            store.write(trial_row(trial="b"), [case_row(trial="b")], [])
        return files(place, name)

    monkeypatch.setattr(kind, "files", late)
    said: list[str] = []
    assert dict(sound_trials(store, said.append)[["trial", "attempt"]].values) == {
        "a": 1,
        "b": 2,
        "c": 1,
        "d": 1,
    }
    assert said == []


def test_all_damaged_parts_are_set_aside_at_once(store: Store, tmp_path: Path, trial_row: Rows) -> None:
    said: list[str] = []
    paths = [tmp_path / "trials" / f"{part(trial_row, trial)}.parquet" for trial in "ab"]
    for path in paths:
        path.write_bytes(b"PAR1 rubbish")
    with pytest.raises(
        ResultsError, match=r"a-c0dec0de.parquet: damaged .* is 1 other; `bench run SUITE` sets"
    ):
        store.trials()
    assert list(sound_trials(store, said.append)["trial"]) == list("cd")
    assert said == [f"2 trials are damaged ({paths[0]}), moved to {tmp_path}/damaged and to be made anew."]
    assert (tmp_path / "damaged/trials" / paths[0].name).read_bytes() == b"PAR1 rubbish"
    assert list(store.trials()["trial"]) == list("cd")
    # And once more, which loses nothing either.
    paths[0].write_bytes(b"PAR1 other rubbish")
    sound_trials(store, said.append)
    aside = tmp_path / "damaged/trials"
    assert (aside / paths[0].name).read_bytes() == b"PAR1 rubbish"
    assert (aside / f"{paths[0].name}.2").read_bytes() == b"PAR1 other rubbish"


def test_what_a_newer_version_wrote_is_no_damage(store: Store, tmp_path: Path, trial_row: Rows) -> None:
    path = tmp_path / "trials" / f"{part(trial_row, 'a')}.parquet"
    stamp = {VERSION_KEY: str(SCHEMA_VERSION + 1)}
    pq.write_table(pq.read_table(path).replace_schema_metadata(stamp), path)
    before = names(tmp_path)
    with pytest.raises(ResultsError, match="install a newer one"):
        sound_trials(store, print)
    assert names(tmp_path) == before


@pytest.mark.parametrize(
    ("table", "harm"),
    [("cases", "empty"), ("cases", "cut"), ("cases", "inside"), ("curves", "empty"), ("curves", "cut")],
)
def test_a_trial_with_a_damaged_part_is_set_aside(
    store: Store, tmp_path: Path, trial_row: Rows, table: str, harm: str
) -> None:
    broken = tmp_path / table / f"{part(trial_row, 'b')}-1.parquet"
    content = broken.read_bytes()
    broken.write_bytes(
        {"empty": b"", "cut": content[:-9], "inside": content[:4] + b"x" * 300 + content[304:]}[harm]
    )
    with pytest.raises(ResultsError, match=r"damaged .*; `bench run SUITE` sets aside what is damaged"):
        getattr(store, table)()
    said: list[str] = []
    assert list(sound_trials(store, said.append)["trial"]) == list("acd")
    assert said == [f"1 trial is damaged ({broken}), moved to {tmp_path}/damaged and to be made anew."]
    assert f"damaged/trials/{part(trial_row, 'b')}.parquet" in names(tmp_path)
    assert len(store.cases()) == len(store.trials()) == 3


def test_what_was_replaced_while_its_cases_were_read_is_not_damaged(
    store: Store, monkeypatch: pytest.MonkeyPatch, trial_row: Rows, case_row: Rows
) -> None:
    kind, read = type(store.root), type(store.root).read

    def late(place: Any, name: str) -> bytes:
        if name == f"cases/{part(trial_row, 'b')}-1.parquet":
            monkeypatch.setattr(kind, "read", read)
            store.write(trial_row(trial="b"), [case_row(trial="b")], [])
        return read(place, name)

    monkeypatch.setattr(kind, "read", late)
    said: list[str] = []
    attempts = sound_trials(store, said.append).set_index("trial")["attempt"]
    assert (dict(attempts), said) == ({"a": 1, "b": 2, "c": 1, "d": 1}, [])
