"""`bench compare` and `bench claims`: what is typed, what comes out, how they end."""

import json
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cli.compare_command import parse_margins, parse_ropes
from bench.cli.main import main
from bench.errors import EXIT_CODES, BenchError
from bench.plan.registered import with_registered
from bench.results.schema import TRIALS
from bench.results.store import Store

DAY = datetime(2026, 1, 2, tzinfo=UTC)
CLAIM = {
    "id": "dice-wins",
    "task": "lung",
    "better": {"loss": "dice"},
    "than": {"loss": "ce"},
    "margin": 0.01,
}


def write_final(root: Path, loss: str, quality: float, patients: int = 12, **changes: Any) -> None:
    """Writes a final trial whose Dice is `quality` but for the patients' own difficulty and a little noise."""
    rng = np.random.default_rng([len(loss), round(1000 * quality)])
    row: dict[str, Any] = {
        **{field.name: None for field in TRIALS},
        **dict.fromkeys(("setting_json", "spec_json", "versions_json"), "{}"),
        **dict.fromkeys(("fold", "seed", "epochs", "batch_size"), 0),
        **dict.fromkeys(("setting", "data", "split", "precision", "device"), "x"),
        "suite": "quick",
        "phase": "final",
        "number": -1,
        "status": "complete",
        "detail": "",
        "attempt": 1,
        "task": "lung",
        "model": "unet",
        "metric": "dice",
        "code": "c0de0000",
        "started_at": DAY,
        "finished_at": DAY,
        "loss": loss,
        "entry": f"unet + {loss}",
        "study": f"unet-{loss}",
        "trial": f"unet-{loss}",
        **changes,
    }
    cases = [
        {
            **dict.fromkeys(("phase", "subgroup", "unit"), ""),
            "trial": row["trial"],
            "part": "test",
            "case": f"p{place}-img",
            "patient": f"p{place}",
            "label": "lung",
            "metric": "dice",
            "definition": "dice/v1",
            "status": "ok",
            "diagonal": 100.0,
            "value": quality - 0.01 * place + 0.002 * rng.normal(),
        }
        for place in range(patients)
    ]
    Store(root).write(row, cases, [])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs: in the second, CE is 0.05 worse and all else the same but for noise."""
    root = tmp_path_factory.mktemp("written") / "results"
    for run, of_ce in (("one", 0.85), ("two", 0.80)):
        write_final(root / run, "dice", 0.9)
        write_final(root / run, "ce", of_ce)
        Store(root / run).write_suite({"suite": run, "claims": [CLAIM]})
    return root


@pytest.fixture
def results(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of them, in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    return Path(shutil.copytree(written, tmp_path / "results"))


@pytest.fixture
def bench(results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `bench ...`; returns exit code, standard output and standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bench", *arguments])
        monkeypatch.setattr(sys, "path", list(sys.path))
        with pytest.raises(SystemExit) as ended:
            main()
        output = capsys.readouterr()
        return int(ended.value.code or 0), output.out, output.err

    return run


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["one", "two"], 0, "B is"),
        (["one", "two", "--margin", "dice=-0.1"], 0, "Margin dice -0.1: kept (2 kept)."),
        (["one", "two", "--margin", "dice=-0.02"], 1, "Margin dice -0.02: broken (1 kept, 1 broken)."),
        (["one", " two ", "--task", " lung"], 0, "worse"),
        (["one", "two", "--margin", " dice = -0.1 "], 0, "Margin dice -0.1: kept (2 kept)."),
        ([" unet + dice", "unet + ce ", "--run", "one"], 0, "Dice, A: unet + dice, B: unet + ce"),
        (["unet + dice", "unet + ce", "--run", "one"], 0, "Dice, A: unet + dice, B: unet + ce"),
        (["results/one", "results/two", "--format", "md"], 0, "| task | entry | A → B |"),
    ],
)
def test_compare_says_and_ends(bench: Any, words: list[str], code: int, says: str) -> None:
    ended, output, _ = bench("compare", *words)
    assert (ended, says in output) == (code, True), output
    assert ended in EXIT_CODES


@pytest.mark.parametrize(
    ("words", "told"),
    [([], False), (["--details"], True), (["--rope", "dice=0.1"], True), (["--format", "md"], True)],
)
def test_details_come_where_asked_and_in_files(bench: Any, words: list[str], told: bool) -> None:
    ended, output, _ = bench("compare", "one", "two", *words)
    assert (ended, "Dice, details" in output) == (0, told)
    assert ("within ±0.1" in output) == ("--rope" in words)


def test_json_has_the_details(bench: Any) -> None:
    found = json.loads(bench("compare", "one", "two", "--rope", "dice=0.1", "--format", "json")[1])
    details = found["rows"][0]["details"]
    assert details["sign_flip_p"] == pytest.approx(2 / 2**12)
    assert details["by_patients"]["equivalent"] > 0.99
    assert details["shares"] == {"patient": 1.0, "seed": None, "fold": None, "residual": None}


@pytest.mark.parametrize("pair", ["dice", "dice=0", "dice=-0.01", "dice=nan"])
def test_malformed_ropes(pair: str) -> None:
    with pytest.raises(BenchError, match="--rope "):
        parse_ropes([pair])


def test_compare_cannot_tell(bench: Any, results: Path) -> None:
    write_final(results / "one", "focal", 0.7)
    ended, output, _ = bench("compare", "one", "two", "--margin", "dice=-0.1")
    assert ended == 7
    assert "cannot tell whether it is kept (2 kept, 1 not compared)." in output


def test_nothing_in_common_with_a_margin_cannot_be_told(bench: Any, results: Path) -> None:
    write_final(results / "three", "focal", 0.7)
    for words, code in ((["--margin", "dice=-0.1"], 7), ([], 4)):
        ended, output, error = bench("compare", "one", "three", *words)
        assert (ended, output, error.count("\n")) == (code, "", 1)
        assert "nothing to compare of results/one" in error


def test_entries_of_the_newest_run_need_no_run(bench: Any, results: Path) -> None:
    write_final(results / "two", "focal", 0.7)
    ended, output, _ = bench("compare", "unet + focal", "unet + ce")
    assert ended == 0
    assert "better" in output


def test_versions_of_the_code(bench: Any, results: Path) -> None:
    write_final(results / "one", "dice", 0.8, code="ffff0000")
    for words in (["one"], ["--run", "one"]):
        ended, output, _ = bench("compare", *words, "--code", "c0de", "ffff", "--margin", "dice=-0.2")
        assert (ended, "A: code c0de0000, B: code ffff0000" in output) == (7, True)
        assert "not compared: lung: unet + ce: not in B (not there)" in output


def test_compare_as_json(bench: Any, tmp_path: Path) -> None:
    ended, output, _ = bench(
        "compare", "one", "two", "--margin", "dice=-0.02", "--format", "json", "-o", str(tmp_path / "x.json")
    )
    assert (ended, output) == (1, "")
    found = json.loads((tmp_path / "x.json").read_text())
    assert (found["answer"], found["margins"]) == ("broken", {"dice": -0.02})
    first, second = found["rows"]
    assert (first["name"], first["kept"], first["verdict"]) == ("unet + ce", "broken", "worse")
    assert first["effect"]["mean"]["value"] == pytest.approx(-0.05, abs=0.003)
    assert second["kept"] == "kept"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["one"], 2, "expected A and B: two runs, or two entries of a run; got 1 of them"),
        (["one", "three"], 4, "results/one is a run, so three must be one, but there are no results"),
        (["one", "two", "--code", "a", "b"], 2, "--code compares within one run, got 'one', 'two'"),
        (["one", "two", "--margin", "dice"], 2, "--margin dice: expected METRIC=VALUE, e.g. dice=-0.01"),
        (["one", "two", "--metrics", "nsd"], 2, "no test values of metric 'nsd' (choices: dice)"),
        (["one", "two", "--margin", "dise=-0.1"], 2, "metric 'dise', did you mean 'dice'? (choices: dice)"),
        (["one", "two", "--margin", "dice=-5"], 2, "--margin dice=-5: values of dice differ by at most 1"),
        (["one", "one", "--margin", "dice=-0.1"], 2, "results/one is compared with itself: name two runs"),
        (["unet + ce", "unet + ce", "--run", "one"], 2, "'unet + ce' is compared with itself"),
        (["one", "--code", "c0de", "c0de0"], 2, "--code c0de and c0de0 are the same code"),
        (["one", "--code", "c0de", "beef"], 2, "--code beef: no final trial was made by code that begins so"),
        (["one", "two", "--task", "lugn"], 2, "no trials of task 'lugn', did you mean 'lung'?"),
        (
            ["unet + dice", "unet + c", "--run", "one"],
            2,
            "'unet + c': no such entry, did you mean 'unet + ce'?",
        ),
    ],
)
def test_what_cannot_be_compared_is_one_line(bench: Any, words: list[str], code: int, says: str) -> None:
    ended, output, error = bench("compare", *words)
    assert (ended, output) == (code, "")
    assert says in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("pairs", [["dice"], ["=1"], ["dice=x"], ["dice=nan"], ["dice=-inf"], ["a=0", "a=1"]])
def test_malformed_margins(pairs: list[str]) -> None:
    with pytest.raises(BenchError, match="--margin "):
        parse_margins(pairs)


def test_margins_are_read() -> None:
    assert parse_margins(["dice=-0.01", "hd95=+1"]) == {"dice": -0.01, "hd95": 1.0}


@pytest.mark.parametrize(
    ("change", "code", "answer"),
    [
        ({}, 0, "supported"),
        ({"margin": 0.2}, 1, "practically equivalent"),
        ({"better": {"loss": "ce"}, "than": {"loss": "dice"}}, 1, "refuted"),
        ({"than": {"loss": "focal"}}, 7, "undecided"),
    ],
)
def test_claims_are_answered_and_checked(
    bench: Any, results: Path, change: dict[str, Any], code: int, answer: str
) -> None:
    Store(results / "one").write_suite({"suite": "one", "plan": "abc", "claims": [CLAIM | change]})
    assert bench("claims", "one")[0] == 0
    ended, output, _ = bench("claims", "one", "--check", "--format", "json")
    found = json.loads(output)
    assert (ended, found["claims"][0]["answer"], found["plan"]) == (code, answer, "abc")
    assert code in EXIT_CODES


def test_claims_as_tables(bench: Any, results: Path) -> None:
    output = bench("claims", "one", "--format", "md")[1]
    assert "| dice-wins | supported | dice > ce + 0.01 in dice on lung |" in output
    assert "supported" in bench("claims", "two")[1]
    Store(results / "one").write_suite({"suite": "one"})
    assert bench("claims", "one")[0] == 0
    ended, output, _ = bench("claims", "one", "--check")
    assert (ended, "The suite claims nothing." in output) == (7, True)


@pytest.mark.parametrize("style", ["rich", "md", "json"])
def test_a_claim_that_came_late_is_marked_and_no_success(bench: Any, results: Path, style: str) -> None:
    suite = with_registered({"suite": "one", "claims": [CLAIM]}, None, DAY + timedelta(days=1))
    Store(results / "one").write_suite(suite)
    ended, output, _ = bench("claims", "one", "--check", "--format", style)
    assert (ended, ('"late": true' if style == "json" else "supported (late)") in output) == (1, True)
    assert "supported (late)" in bench("leaderboard", "one")[1]
    assert bench("claims", "one", "--check", "--allow-late")[0] == 0


def test_a_claim_that_was_dropped_comes_first_and_is_no_success(bench: Any, results: Path) -> None:
    early = DAY - timedelta(days=1)
    before = with_registered({"claims": [CLAIM, CLAIM | {"id": "gone"}]}, None, early)
    Store(results / "one").write_suite(with_registered({"suite": "one", "claims": [CLAIM]}, before, early))
    said = "Claims of earlier runs, changed or dropped since: gone."
    ended, output, _ = bench("claims", "one", "--check")
    assert (ended, output.startswith(said)) == (1, True)
    assert bench("leaderboard", "one")[1].startswith(said)
    assert json.loads(bench("claims", "one", "--format", "json")[1])["lines"][0] == said
    assert bench("claims", "one", "--check", "--allow-late")[0] == 0


def test_without_what_was_claimed_nothing_is_answered(bench: Any, results: Path) -> None:
    (results / "one" / "suite.json").unlink()
    ended, output, error = bench("claims", "one")
    assert (ended, output, error.count("\n")) == (4, "", 1)
    assert "results/one/suite.json: is missing, and with it what was claimed" in error
