"""docs/results_schema.md tells the truth: its columns are the schema's, and its queries run."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from bench.results.compaction import compact
from bench.results.schema import CHOICES, SCHEMA_VERSION, TABLES
from bench.results.store import Store

Rows = Callable[..., dict[str, Any]]
PAGE = Path(__file__).parents[3] / "docs" / "results_schema.md"


def documented(name: str) -> dict[str, str]:
    section = PAGE.read_text(encoding="utf-8").split(f"## `{name}`")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.split("|")] for line in section.splitlines() if line.startswith("| ")
    ]
    return {column: row[2] for row in rows[1:] for column in row[1].split(", ")}


@pytest.mark.parametrize("name", list(TABLES))
def test_every_column_is_documented_with_its_type(name: str) -> None:
    found = documented(name)
    assert list(found) == TABLES[name].names
    for field in TABLES[name]:
        kind = found[field.name] or str(field.type)
        assert str(field.type).replace("double", "float64").startswith(kind.replace("double", "float64"))


def test_words_and_version_are_documented() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"Schema version {SCHEMA_VERSION} " in text
    for choices in CHOICES.values():
        for word in (word for words in choices.values() for word in words if word):
            assert f"`{word}`" in text


@pytest.fixture
def results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trial_row: Rows, case_row: Rows, curve_row: Rows
) -> Store:
    """Two tuning trials and three final ones, in the folder that the page names."""
    store = Store(tmp_path / "results" / "quick")
    for number, value in enumerate([0.5, 0.75]):
        row = trial_row(trial=f"t{number}", phase="tune", number=number, value=value)
        store.write(row, [], [curve_row(trial=row["trial"])])
    cases = [case_row(trial="f"), case_row(trial="f", case="p2-ed", patient="p2", value=0.5)]
    # Reference 100 and 40 mL: 60 %. Measured 90 and 45 mL: 50 %.
    for phase, measured, reference in (("ED", 90.0, 100.0), ("ES", 45.0, 40.0)):
        for metric, value in (("volume_ml", measured), ("reference_volume_ml", reference)):
            common = {"trial": "f", "case": f"p1-{phase}", "metric": metric, "definition": f"{metric}/v1"}
            cases.append(case_row(**common, phase=phase, unit="mL", value=value))
    store.write(trial_row(trial="f"), cases, [curve_row(trial="f", score=score) for score in (0.5, 0.7)])
    # Only one of two trials was measured anew.
    both = [case_row(trial="h"), case_row(trial="h", definition="dice/v2", value=0.1)]
    store.write(trial_row(trial="h", seed=2, case_s=0.75), both, [])
    store.write(trial_row(trial="g", seed=1, status="oom", detail="no memory", case_s=None), [], [])
    run = trial_row()["run"]
    store.write_row(
        "runs", filled("runs", run=run, suite="quick", end="done", command="bench run quick.yaml")
    )
    store.write_row("env", filled("env", run=run, driver="580.1"))
    store.write_row(
        "studies", filled("studies", study="study-unet", task="phantom-lung", entry="unet + dice")
    )
    monkeypatch.chdir(tmp_path)
    return store


@pytest.fixture
def two_codes(results: Store, trial_row: Rows, case_row: Rows) -> Store:
    """A trial that was run again after an upgrade, and gives another value."""
    newer = {"code": "newer", "finished_at": datetime(2027, 1, 1, tzinfo=UTC)}
    results.write(trial_row(trial="f", **newer), [case_row(trial="f", code="newer", value=0.1)], [])
    return results


def test_versions_of_the_code_are_not_averaged(two_codes: Store) -> None:
    scope: dict[str, Any] = {}
    for block in blocks("python")[:4]:
        exec(block, scope)
    assert scope["trials"]["trial"].is_unique
    # Of the newer code p1 has 0.1, and 0.9 of the other seed; p2 it does not have.
    assert scope["per_label"].loc[("phantom-lung", "unet + dice", "lung"), "mean"] == pytest.approx(0.5)
    database = duckdb.connect()
    view, query = (
        next(block for block in blocks("sql") if word in block) for word in ("VIEW", "patients AS")
    )
    database.sql(view)
    assert database.sql("SELECT count(*), count(DISTINCT trial) FROM trials").fetchall() == [(5, 5)]
    means = {row[3]: row[4] for row in database.sql(query).fetchall()}
    assert means["dice/v1"] == pytest.approx(0.5)


def filled(name: str, **values: Any) -> dict[str, Any]:
    """Returns a row of a table in which every other column that must not be null has some value."""
    some = {"string": "[]", "int32": 1, "timestamp[us, tz=UTC]": datetime(2026, 1, 2, tzinfo=UTC)}
    row = {field.name: None if field.nullable else some[str(field.type)] for field in TABLES[name]}
    return row | values


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


STATES = ("as written", "compacted", "written again")


def brought_to(state: str, store: Store, rewrite: Callable[[], object]) -> None:
    """Compacts results, and writes a trial again that was gathered: it is in two files then."""
    if state != "as written":
        compact(store.root)
    if state == "written again":
        rewrite()
        assert len(pd.read_parquet(Path("results/quick/trials"))) == 6


@pytest.mark.parametrize("state", STATES)
def test_queries_with_pandas_run(results: Store, trial_row: Rows, case_row: Rows, state: str) -> None:
    row = case_row(trial="h", definition="dice/v3", value=0.2)
    brought_to(state, results, lambda: results.add_cases("h", trial_row()["code"], 1, [row]))
    scope: dict[str, Any] = {}
    assert len(blocks("python")) >= 5
    for block in blocks("python"):
        exec(block, scope)
    key = ("phantom-lung", "unet + dice")
    assert list(scope["failures"]["detail"]) == ["no memory"]
    assert scope["per_label"].loc[(*key, "lung"), "mean"] == pytest.approx(0.7)
    assert scope["joined"].groupby("metric")["definition"].nunique().max() == 1
    agreement = scope["agreement"].loc[(*key, "lung")]
    assert (agreement["ef", "mean"], agreement["edv", "mean"]) == (pytest.approx(-10), -10)
    assert list(scope["hardest"].index) == [("phantom-lung", "p2-ed"), ("phantom-lung", "p1-ed")]
    assert scope["gain"][key] == 0.25
    assert scope["hours"][(*key, "tune")] == pytest.approx(22 / 3600)
    assert scope["speed"].to_dict() == {("unet + dice", "cpu", "580.1"): 0.5}
    assert scope["searched"].to_dict() == {key: 0}
    assert isinstance(scope["joined"], pd.DataFrame)


@pytest.mark.parametrize("state", STATES)
def test_queries_with_duckdb_run(results: Store, trial_row: Rows, case_row: Rows, state: str) -> None:
    rows = [case_row(trial="h"), case_row(trial="h", definition="dice/v2", value=0.1)]
    brought_to(state, results, lambda: results.write(trial_row(trial="h", seed=2), rows, []))
    database = duckdb.connect()
    found = []
    for block in blocks("sql"):
        for statement in filter(str.strip, block.split(";")):
            relation = database.sql(statement)
            found.append(relation.fetchall() if relation is not None else [])
    made, dice, failed, hours, runs, curves = found
    key = ("phantom-lung", "unet + dice")
    assert made == []
    # By the first definition p1 has 0.9 and 0.9, and p2 0.5; by the second one p1 has 0.1.
    named = [(*key, "lung", "dice/v1", pytest.approx(0.7)), (*key, "lung", "dice/v2", pytest.approx(0.1))]
    assert ([row[:5] for row in dice], [row[6] for row in dice]) == (named, [2, 1])
    assert failed == [(*key, "oom", 1)]
    assert hours == [(*key, pytest.approx(55 / 3600), pytest.approx(22 / 55))]
    assert runs == [("bench run quick.yaml", "done", None, None, None)]
    assert curves == [(*key, 1, pytest.approx(0.6), 3.0)]
