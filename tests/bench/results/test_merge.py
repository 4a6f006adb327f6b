"""Merging is a union on identity: nothing is lost, nothing is there twice, and nobody chooses unasked."""

import json
import math
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from object_store import ObjectStore

from bench.errors import BenchError, ResultsError
from bench.results import merge as module
from bench.results.compaction import compact
from bench.results.export import export
from bench.results.lock import RunLock
from bench.results.merge import Merged, merge
from bench.results.place import open_place
from bench.results.pseudonyms import Pseudonyms
from bench.results.schema import TABLES
from bench.results.store import Store

Rows = Callable[..., dict[str, Any]]


class World:
    """Stores by name, filled with trials of few numbers."""

    def __init__(self, root: Path, trial_row: Rows, case_row: Rows, curve_row: Rows):
        self.root, self.trial_row, self.case_row, self.curve_row = root, trial_row, case_row, curve_row

    def store(self, name: str) -> Store:
        return Store(self.root / name)

    def add(self, name: str, trial: str, cases: dict[str, float] | None = None, **changes: Any) -> None:
        """Adds a trial; `cases` are values by case, or by case and definition joined by a blank."""
        row = self.trial_row(trial=trial, **changes)
        rows = []
        for key, value in ({"p1": 0.9, "p2": 0.8} if cases is None else cases).items():
            case, _, definition = key.partition(" ")
            named = {"definition": definition or "dice/v1"}
            rows.append(self.case_row(trial=trial, case=case, patient=case, value=value, **named))
        if not self.store(name).read_suite():
            self.store(name).write_suite({"suite": "quick"})
        complete = row["status"] == "complete"
        self.store(name).write(row, rows if complete else [], [self.curve_row(trial=trial)])

    def merge(self, *names: str, out: str = "out", **options: Any) -> Merged:
        return merge([open_place(self.root / name) for name in names], open_place(self.root / out), **options)

    def ids(self, name: str = "out") -> list[str]:
        return sorted(self.store(name).trials()["trial"])


@pytest.fixture
def world(tmp_path: Path, trial_row: Rows, case_row: Rows, curve_row: Rows) -> World:
    return World(tmp_path, trial_row, case_row, curve_row)


def same(one: Store, other: Store) -> None:
    for name, schema in TABLES.items():
        keys = [
            key
            for key in ("trial", "code", "case", "definition", "epoch", "run", "study")
            if key in schema.names
        ]
        left, right = (
            store.table(name).to_pandas().sort_values(keys, ignore_index=True) for store in (one, other)
        )
        pd.testing.assert_frame_equal(left, right)


def test_a_union_holds_every_trial_once(world: World) -> None:
    world.add("a", "t1")
    world.add("a", "t2", status="oom", value=math.nan)
    # Times, hosts and costs do not make another result.
    world.add("b", "t1", minutes=9, node="other", train_s=1.0, attempt=3, value=0.8 + 1e-9)
    world.add("b", "t3", code="0ther" * 12)
    seen: list[tuple[int, int]] = []
    assert world.merge("a", "b", watch=lambda n, of: seen.append((n, of))) == Merged(3, (2, 1), (0, 1))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert world.ids() == ["t1", "t2", "t3"]
    out = world.store("out")
    first = out.trials().set_index("trial").loc["t1"]
    assert (first["node"], first["attempt"]) == ("host-7", 1)
    assert len(out.cases()) == 4
    assert len(out.curves()) == 3


def test_a_copy_of_one_place_is_the_same(world: World) -> None:
    world.add("a", "t1", cases={"p1": math.inf, "p2": math.nan})
    world.add("a", "t2", status="diverged", value=math.nan, steps=None)
    world.store("a").write_suite({"suite": "quick", "tasks": [], "studies": [], "claims": []})
    world.merge("a")
    same(world.store("a"), world.store("out"))


def test_merging_again_and_in_any_order_changes_nothing(world: World) -> None:
    world.add("a", "t1")
    world.add("b", "t1")
    world.add("b", "t2")
    env = {field.name: None if field.nullable else "x" for field in TABLES["env"]}
    world.store("b").write_row("env", env | {"cores": 2})
    world.merge("a", "b")
    world.merge("b", "a", out="other")
    same(world.store("out"), world.store("other"))
    before = {path: path.stat().st_mtime_ns for path in (world.root / "out").rglob("*.parquet")}
    assert world.merge("a", "b") == Merged(2, (0, 0), (1, 2))
    assert {path: path.stat().st_mtime_ns for path in (world.root / "out").rglob("*.parquet")} == before


def test_what_the_target_holds_counts_as_the_first(world: World) -> None:
    world.add("a", "t1", node="first")
    world.add("b", "t1", node="second")
    world.add("b", "t2")
    assert world.merge("b", out="a") == Merged(2, (1,), (1,))
    assert world.ids("a") == ["t1", "t2"]
    assert set(world.store("a").trials().set_index("trial").loc["t1", ["node"]]) == {"first"}
    # A place may be named as source and target.
    assert world.merge("a", "b", out="a") == Merged(2, (2, 0), (0, 2))


def test_a_result_takes_the_place_of_none(world: World) -> None:
    world.add("a", "t1", status="interrupted", value=math.nan)
    world.add("b", "t1")
    world.add("c", "t1", status="infra_lost", value=math.nan)
    assert world.merge("a", "b", "c") == Merged(1, (0, 1, 0), (0, 0, 0))
    assert list(world.store("out").trials()["status"]) == ["complete"]
    # Also where the target has the lesser one; its attempt counts on.
    assert world.merge("b", out="a").conflicts == ()
    row = world.store("a").trials().iloc[0]
    assert (row["status"], row["attempt"], len(world.store("a").cases())) == ("complete", 2, 2)


def test_measured_by_more_is_united(world: World) -> None:
    world.add("a", "t1", cases={"p1": 0.9, "p2": 0.8, "p1 dice/v2": 0.7, "p2 dice/v2": 0.6})
    world.add("b", "t1", cases={"p1": 0.9, "p2": 0.8, "p1 hd/v1": 3.0, "p2 hd/v1": math.inf}, attempt=4)
    world.add("c", "t1", cases={"p1": 0.9, "p2": 0.8, "p1 hd/v1": 3.0, "p2 hd/v1": math.inf})
    world.merge("a", "b", "c")
    cases = world.store("out").cases()
    assert sorted(cases["definition"]) == ["dice/v1"] * 2 + ["dice/v2"] * 2 + ["hd/v1"] * 2
    assert set(cases["attempt"]) == {1}
    world.merge("b", out="a")
    assert len(world.store("a").cases()) == 6


def test_other_numbers_are_lines_and_nothing_is_written(world: World) -> None:
    world.add("a", "t1", value=0.8)
    world.add("b", "t1", value=0.7)
    world.add("a", "t2", seed=1)
    world.add("b", "t2", seed=1, cases={"p1": 0.9, "p2": 0.1})
    world.add("a", "t3", seed=2)
    world.add("b", "t3", seed=2, status="oom", value=math.nan)
    world.add("a", "t4", seed=3)
    world.add("b", "t4", seed=3, cases={"p1": 0.9, "p3": 0.8})
    a, b, title = world.root / "a", world.root / "b", "phantom-lung: unet + dice, final, fold 0, seed"
    found = world.merge("a", "b")
    assert sorted(found.conflicts) == [
        f"{title} 0 (t1): dice 0.8 in {a}, dice 0.7 in {b}",
        f"{title} 1 (t2): test p2 lung: dice/v1 0.8 in {a}, 0.1 in {b}",
        f"{title} 2 (t3): complete in {a}, oom in {b}",
        f"{title} 3 (t4): other test cases, e.g. p2: 2 in {a}, 2 in {b}",
    ]
    assert not (world.root / "out").exists()


def test_numbers_have_as_many_digits_as_tell_them_apart(world: World) -> None:
    world.add("a", "t1", value=0.91234561)
    world.add("b", "t1", value=0.91234961)
    world.add("a", "t2", seed=1, cases={"p1": 0.9, "p2": 0.8})
    world.add("b", "t2", seed=1, cases={"p1": 0.90001, "p2": 0.1})
    a, b = world.root / "a", world.root / "b"
    one, two = sorted(world.merge("a", "b").conflicts)
    assert one.endswith(f"dice 0.912346 in {a}, dice 0.91235 in {b}")
    assert two.endswith(f"test p1 lung: dice/v1 0.9 in {a}, 0.90001 in {b} and 1 other value")


def test_what_the_target_holds_is_left_alone_by_a_contradiction(world: World) -> None:
    world.add("a", "t1")
    world.add("a", "t2")
    world.add("out", "t1", value=0.1)
    assert len(world.merge("a").conflicts) == 1
    assert world.ids() == ["t1"]


def test_whom_one_prefers_counts(world: World) -> None:
    world.add("a", "t1", value=0.8)
    world.add("b", "t1", value=0.7)
    world.add("b", "t2", cases={"p1": 0.5, "p2": 0.5})
    world.add("c", "t2", cases={"p1": 0.5, "p2": 0.4})
    found = world.merge("a", "b", prefer=1)
    assert (found.conflicts, len(found.settled)) == ((), 1)
    assert dict(world.store("out").trials().set_index("trial")["value"]) == {"t1": 0.7, "t2": 0.8}
    # The word of one does not settle what two others disagree about.
    assert len(world.merge("a", "b", "c", prefer=0, out="other").conflicts) == 1
    # Nor does it hold back from what the target has.
    world.add("target", "t1", value=0.8)
    assert len(world.merge("b", out="target", prefer=0).settled) == 1
    assert dict(world.store("target").trials().set_index("trial")["value"])["t1"] == 0.7


def test_a_study_that_was_tuned_twice_is_no_equal_budget(world: World) -> None:
    tune = {"phase": "tune", "number": 1}
    rates = [
        {"setting_json": json.dumps({"train.learning_rate": rate}), "setting": f"s{rate}"} for rate in (1, 2)
    ]
    world.add("a", "t1", **tune, **rates[0])
    world.add("b", "t2", **tune, **rates[1])
    world.add("b", "t3")
    (line,) = world.merge("a", "b").conflicts
    assert line == (
        "phantom-lung: unet + dice was tuned twice: trial 1 has train.learning_rate=1 in "
        f"{world.root / 'a'}, train.learning_rate=2 in {world.root / 'b'}"
    )
    # Preferred, the one search counts in whole, and the other one not at all.
    world.merge("a", "b", prefer=0)
    assert world.ids() == ["t1"]
    # But what the target holds is not taken out of it.
    assert world.merge("a", out="b", prefer=0).conflicts == (line,)
    assert world.ids("b") == ["t2", "t3"]
    # One search that two places share, or one of each code, is fine.
    world.add("c", "t1", **tune, **rates[0])
    world.add("c", "t4", phase="tune", number=2)
    world.add("d", "t5", **tune, **rates[1], code="0ther" * 12)
    assert world.merge("a", "c", "d", out="other").conflicts == ()


def test_plans_are_united_or_contradict(world: World) -> None:
    world.add("a", "t1")
    world.add("b", "t2", seed=1)
    study = {"id": "s", "task": "phantom-lung", "entry": "unet + dice", "counts": {"numbers": 3}}
    for name, seed in (("a", 0), ("b", 1)):
        final = {"folds": [0], "seeds": [seed]}
        world.store(name).write_suite(
            {"suite": "quick", "plan": name, "studies": [{**study, "final": final}]}
        )
    world.merge("a", "b")
    united = world.store("out").read_suite() or {}
    assert united["studies"][0]["final"] == {"folds": [0], "seeds": [0, 1]}
    world.store("b").write_suite({"suite": "quick", "studies": [{**study, "counts": {"numbers": 9}}]})
    (line,) = world.merge("a", "b", out="other").conflicts
    assert line.startswith("phantom-lung: unet + dice: counts: {'numbers': 3} in ")
    assert world.merge("a", "b", out="other", prefer=0).conflicts == ()


def test_names_of_patients_that_do_not_meet_are_never_merged(world: World) -> None:
    world.add("a", "t1")
    world.add("b", "t2", seed=1)
    export(world.store("b"), world.root / "b.zip", "bundle", Pseudonyms())
    for prefer in (None, 0):
        (line,) = world.merge("a", "b.zip", prefer=prefer).conflicts
        assert line.startswith(
            "names of cases and patients, by the salt that they were replaced with: none in "
        )


def test_other_salts_are_one_line(world: World) -> None:
    world.add("a", "t1")
    world.add("a", "t2", seed=1)
    task = {"name": "phantom-lung", "data_fingerprint": "f", "split_hash": "s"}
    world.store("a").write_suite({"suite": "quick", "tasks": [task]})
    for name in ("one", "two"):
        export(world.store("a"), world.root / f"{name}.zip", "bundle", Pseudonyms())
    found = world.merge("one.zip", "two.zip", prefer=0)
    assert len(found.conflicts) == 1
    assert found.final
    assert not (world.root / "out").exists()


def test_a_run_without_a_plan_is_told(world: World) -> None:
    world.add("a", "t1")
    world.add("b", "t2", seed=1)
    (world.root / "b" / "suite.json").unlink()
    assert world.merge("a", "b").unplanned == (str(world.root / "b"),)
    # A copy of it has no more.
    export(world.store("b"), world.root / "b.zip", "bundle")
    assert world.merge("b.zip", out="other").unplanned == (str(world.root / "b.zip"),)


def test_a_target_within_a_source_is_refused(world: World) -> None:
    world.add("a", "t1")
    world.add("ab", "t2", seed=1)
    (world.root / "link").symlink_to("a")
    for name in ("a", "link"):
        with pytest.raises(
            BenchError, match=rf"deep lies in \S+{name}, which is to be merged; name a folder outside"
        ):
            world.merge(name, out="a/sub/deep")
    assert not (world.root / "a" / "sub").exists()
    world.merge("a", "ab", out="abc")


def test_names_with_one_salt_meet(world: World) -> None:
    world.add("a", "t1")
    world.add("b", "t2", seed=1)
    for name in ("a", "b"):
        export(world.store(name), world.root / f"{name}.zip", "bundle", Pseudonyms(b"x" * 16))
    assert world.merge("a.zip", "b.zip").trials == 2
    assert world.store("out").cases().groupby("patient")["trial"].nunique().tolist() == [2, 2]


def test_runs_studies_and_environments_come_along(world: World) -> None:
    def row(name: str, **changes: Any) -> dict[str, Any]:
        blank = {field.name: None if field.nullable else "x" for field in TABLES[name]}
        return blank | changes

    started = datetime(2026, 1, 2, tzinfo=UTC)
    for place, end in (("a", "running"), ("b", "done")):
        world.add(place, "t1")
        store = world.store(place)
        store.write_row("runs", row("runs", run="r", end=end, started_at=started))
        store.write_row("studies", row("studies", study=f"s{place}"))
        store.write_row("env", row("env", run=f"r{place}", cores=2))
    world.merge("a", "b")
    out = world.store("out")
    assert list(out.runs()["end"]) == ["done"]
    assert list(out.studies()["study"]) == ["sa", "sb"]
    assert list(out.env()["run"]) == ["ra", "rb"]


def test_many_trials_are_gathered_on_the_way(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        world.add("a", f"t{number}", seed=number)
    world.merge("a")
    monkeypatch.setattr("bench.results.compaction.DUE", 2)
    world.merge("a", out="few files")
    assert len(list((world.root / "few files" / "trials").iterdir())) == 1
    same(world.store("out"), world.store("few files"))
    # What was gathered is a source and a target like any other.
    world.add("b", "t1", cases={"p1": 0.9, "p2": 0.8, "p1 hd/v1": 3.0, "p2 hd/v1": 2.0}, seed=1)
    world.add("b", "t3", seed=3)
    assert world.merge("few files", "b", out="new") == Merged(4, (3, 1), (0, 1))
    assert world.merge("b", out="few files") == Merged(4, (1,), (1,))
    same(world.store("new"), world.store("few files"))
    assert len(world.store("new").cases()) == 10


def test_an_interrupted_merge_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        world.add("a", f"t{number}", seed=number)
    commit, left = module.commit, [2]

    def killed(*arguments: Any) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        commit(*arguments)

    monkeypatch.setattr(module, "commit", killed)
    with pytest.raises(KeyboardInterrupt):
        world.merge("a")
    assert world.ids() == ["t0", "t1"]
    monkeypatch.undo()
    assert world.merge("a") == Merged(4, (2,), (2,))
    same(world.store("a"), world.store("out"))


def test_a_dry_run_writes_nothing(world: World) -> None:
    world.add("a", "t1")
    assert world.merge("a", dry_run=True).trials == 1
    assert os.listdir(world.root) == ["a"]


def test_what_cannot_be_merged_is_said(world: World) -> None:
    world.add("a", "t1")
    with pytest.raises(ResultsError, match=r"none: no results there"):
        world.merge("a", "none")
    world.merge("a")
    with RunLock(world.root / "out"), pytest.raises(ResultsError, match="in use by another run"):
        world.merge("a")
    (cases,) = (world.root / "a" / "cases").iterdir()
    cases.write_bytes(b"")
    world.add("b", "t1")
    with pytest.raises(ResultsError, match=rf"{cases.name}: damaged or not Parquet"):
        world.merge("b", "a", out="other")
    assert not (world.root / "other").exists()


def damage(world: World, name: str, pattern: str) -> str:
    (path,) = (world.root / name).glob(pattern)
    path.write_bytes(path.read_bytes()[:100])
    return path.name


def test_what_is_damaged_is_left_out_if_asked_for(world: World) -> None:
    for number in range(5):
        world.add("a", f"t{number}", seed=number)
    for number in (1, 3):
        world.add("backup", f"t{number}", seed=number)
    names = [damage(world, "a", pattern) for pattern in ("trials/t1-*", "cases/t2-*", "curves/t3-*")]
    (gone,) = (world.root / "a" / "cases").glob("t4-*")
    gone.unlink()
    with pytest.raises(ResultsError, match="damaged or not Parquet"):
        world.merge("a", "backup")
    found = world.merge("a", "backup", skip_damaged=True)
    assert (found.trials, found.added) == (3, (1, 2))
    assert world.ids() == ["t0", "t1", "t3"]
    assert [line.split(": ")[0].rpartition("/")[2] for line in found.left_out] == [
        names[0],
        gone.name,
        *names[1:],
    ]
    assert found.left_out[1].endswith(": is missing")
    # Into the damaged place itself: what a backup has whole is whole there again.
    world.merge("backup", out="a", skip_damaged=True)
    store = world.store("a")
    assert store.row("t1-c0dec0de") is not None
    assert len(store.cases(["t3"])) == 2
    assert len(store.curves(["t3"])) == 1


def test_where_nothing_whole_is_left_nothing_is_written(world: World) -> None:
    world.add("a", "t1")
    damage(world, "a", "trials/t1-*")
    found = world.merge("a", skip_damaged=True)
    assert (found.trials, len(found.left_out)) == (0, 1)
    assert not (world.root / "out").exists()


def test_a_damaged_file_of_many_trials_takes_no_others_with_it(world: World) -> None:
    world.add("a", "t1")
    world.add("a", "t2", seed=1)
    compact(open_place(world.root / "a"))
    world.add("a", "t3", seed=2)
    name = damage(world, "a", "cases/compact-*")
    found = world.merge("a", skip_damaged=True)
    assert world.ids() == ["t3"]
    (line,) = found.left_out
    assert f"cases/{name}: damaged or not Parquet" in line
    assert line.endswith("; with it go 2 trials")


def test_object_stores_and_bundles_merge_too(world: World, s3: ObjectStore) -> None:
    world.add("a", "t1")
    world.add("b", "t2")
    export(world.store("b"), world.root / "b.zip", "bundle")
    target = open_place("s3://bucket/merged")
    found = merge([open_place(world.root / "a"), open_place(world.root / "b.zip")], target)
    assert found == Merged(2, (1, 1), (0, 0))
    assert sorted(Store(target).trials()["trial"]) == ["t1", "t2"]
    back = merge([target], open_place(world.root / "back"))
    assert back.trials == 2
    same(Store(target), world.store("back"))


def study_row(**changes: Any) -> dict[str, Any]:
    blank = {field.name: "{}" if field.name.endswith("_json") else "x" for field in TABLES["studies"]}
    return blank | {"study": "s", "task": "lung", "entry": "unet + dice"} | changes


@pytest.mark.parametrize("column", ["metric", "space_json", "search_json", "labels_json", "data", "split"])
def test_studies_that_are_told_otherwise_are_a_conflict(world: World, column: str) -> None:
    for name, value in (("a", '"one"'), ("b", '"other"')):
        world.add(name, f"t{name}")
        world.store(name).write_row("studies", study_row(**{column: value}))
    found = world.merge("a", "b")
    a, b, what = world.root / "a", world.root / "b", column.removesuffix("_json")
    assert found.conflicts == (f"study lung: unet + dice: other {what} in {a} than in {b}",)
    assert not (world.root / "out").exists()
    final = column in ("labels_json", "data", "split")
    assert found.final == final
    assert bool(world.merge("a", "b", prefer=1).settled) != final


def test_what_was_planned_is_a_conflict_where_no_suite_says_it(world: World) -> None:
    for name in "ab":
        world.add(name, f"t{name}")
        world.store(name).write_row("studies", study_row(budget_json=f'"{name}"'))
    assert world.merge("a", "b", dry_run=True).conflicts == ()
    (world.root / "b" / "suite.json").unlink()
    assert "other budget" in world.merge("a", "b").conflicts[0]


@pytest.mark.parametrize("planned", [True, False])
def test_finals_of_a_study_are_those_of_the_united_suite(world: World, planned: bool) -> None:
    for seed, name in enumerate("ab"):
        final = {"folds": [0], "seeds": [seed]}
        world.add(name, f"t{name}")
        world.store(name).write_row("studies", study_row(final_json=json.dumps(final), plan=name))
        if planned:
            study = {"id": "s", "task": "lung", "entry": "unet + dice", "final": final}
            world.store(name).write_suite({"suite": "quick", "studies": [study]})
    world.merge("a", "b")
    (text,) = world.store("out").studies()["final_json"]
    assert json.loads(text) == {"folds": [0], "seeds": [0, 1]}
    world.merge("a", "b")
    assert len(world.store("out").studies()) == 1


def test_a_source_that_is_named_twice_gives_once(world: World) -> None:
    for name, trial in (("a", "t1"), ("b", "t2")):
        world.add(name, trial)
    (world.root / "link").symlink_to(world.root / "a")
    found = world.merge("a", "b", "a", "link")
    assert (found.trials, found.added, found.same) == (2, (1, 1, 0, 0), (0, 0, 0, 0))
    again = world.merge("link", out="a")
    assert (again.trials, again.conflicts) == (1, ())
    assert world.ids("a") == ["t1"]
