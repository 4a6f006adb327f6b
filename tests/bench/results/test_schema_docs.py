"""docs/results_schema.md tells the truth: its columns are the schema's, and its queries run."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

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


def test_queries_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trial_row: Rows, case_row: Rows, curve_row: Rows
) -> None:
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
    store.write(trial_row(trial="f"), cases, [])
    # Only one of two trials was measured anew.
    both = [case_row(trial="h"), case_row(trial="h", definition="dice/v2", value=0.1)]
    store.write(trial_row(trial="h", seed=2), both, [])
    store.write(trial_row(trial="g", seed=1, status="oom", detail="no memory"), [], [])
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) >= 5
    for block in blocks:
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
    assert isinstance(scope["joined"], pd.DataFrame)
