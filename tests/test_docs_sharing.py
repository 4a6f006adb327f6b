"""docs/sharing.md tells the truth: its commands run in order, and what it names is there."""

import re
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.cli.main import main
from bench.results.additions import RELATIVE
from bench.results.known_names import LEAST_DIGITS, LEAST_LETTERS, LEAST_WITHIN
from bench.results.merge_suites import DATA_OF_TASK, OF_STUDY, SALT
from bench.results.schema import CASES, TRIALS
from bench.results.store import Store

TEXT = (Path(__file__).parents[1] / "docs" / "sharing.md").read_text(encoding="utf-8")


def fill(root: Path, trial: str, seed: int) -> None:
    blank = {field.name: None if field.nullable else "" for field in TRIALS}
    numbers = dict.fromkeys(("number", "fold", "attempt", "epochs", "batch_size"), 1)
    when = datetime(2026, 1, 2, tzinfo=UTC)
    row = (
        blank | numbers | {"trial": trial, "code": "c", "phase": "final", "status": "complete", "seed": seed}
    )
    row |= {"task": "lung", "entry": "unet + dice", "study": "s", "setting": "s0", "value": 0.8}
    row |= {"model": "unet", "loss": "dice", "versions_json": "{}", "setting_json": "{}", "spec_json": "{}"}
    case = {field.name: "" for field in CASES} | {
        "trial": trial,
        "part": "test",
        "status": "ok",
        "label": "lung",
    }
    case |= {"metric": "dice", "definition": "dice/v1", "diagonal": 9.0, "value": 0.8}
    cases = [case | {"case": f"p{n}", "patient": f"p{n}"} for n in range(3)]
    store = Store(root)
    store.write(row | {"started_at": when, "finished_at": when}, cases, [])
    store.write_suite({"suite": "quick", "tasks": [{"name": "lung", "unit": "mm"}]})


def test_the_commands_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "results" / "quick", "a", seed=0)
    fill(tmp_path / "other" / "quick", "b", seed=1)
    commands = [
        line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()
    ]
    assert len(commands) >= 7
    for command in commands:
        monkeypatch.setattr(sys, "argv", shlex.split(command.replace("/mnt/other", "other")))
        monkeypatch.setattr(sys, "path", list(sys.path))
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
        assert code == 0, command
    assert len(Store("results/merged").trials()) == 2
    assert len(Store("results/again").trials()) == 1


def test_what_it_names_is_there() -> None:
    # Of what tells data apart, and of what a study promises, each has its row.
    for key in (*DATA_OF_TASK, "counts", "budget"):
        assert f"`{key}`" in TEXT
    assert {"counts", "budget"} <= set(OF_STUDY)
    assert SALT.partition(",")[0] in TEXT
    assert (RELATIVE, LEAST_LETTERS, LEAST_DIGITS) == (2e-6, 4, 5)
    assert "2·10⁻⁶" in TEXT
    assert re.search(r"four\s+letters, or five digits", TEXT)
    assert LEAST_WITHIN == 6
    assert "names of six letters or more are found within" in TEXT
