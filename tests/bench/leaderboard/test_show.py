"""`bench leaderboard`: what may be ranked by and shown, and what is refused."""

import io
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.cli.main import main
from bench.leaderboard import show

CLAIM = {"id": "c", "task": "lung", "better": {"loss": "dice"}, "than": {"loss": "ce"}}


@pytest.fixture(scope="module")
def results(shared_world: Any) -> Path:
    """Two entries on two tasks; on `lung` a label is in neither mask of half of the patients."""
    for loss, quality in (("dice", 0.9), ("ce", 0.7)):
        shared_world.final("unet", loss, quality=quality, task="heart")
        row = shared_world.trial("unet", loss)
        cases = []
        for patient in range(12):
            value, status = (quality - 0.01 * patient, "ok") if patient % 2 else (math.nan, "both_empty")
            cases.append(shared_world.case(row["trial"], patient, "dice", value, status))
        shared_world.store.write(row, cases, [])
    shared_world.store.write_suite({"claims": [CLAIM], "tasks": [{"name": "lung", "empty_policy": "nnunet"}]})
    return Path(shared_world.store.root.folder)


def bench(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["bench", "leaderboard", *words])
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(SystemExit) as caught:
        main()
    assert isinstance(caught.value.code, int)
    return caught.value.code, *capsys.readouterr()


def boards(results: Path, **options: Any) -> dict[str, Any]:
    console = Console(file=io.StringIO(), width=120)
    show(results, results.parent, console=console, style="json", **options)
    found: dict[str, Any] = json.loads(console.file.getvalue())  # type: ignore[attr-defined]
    return found


def test_another_metric_ranks(results: Path) -> None:
    (board,) = boards(results, task="heart", metric="hd95")["boards"]
    assert board["metric"] == "hd95"
    assert [facts["name"] for facts in board["facts"]] == ["hd95", "dice", "iou", "pixel_accuracy"]


def test_shown_metrics_are_chosen_in_their_order(results: Path) -> None:
    (board,) = boards(results, task="heart", metrics=("hd95", "dice", "iou"))["boards"]
    assert [facts["name"] for facts in board["facts"]] == ["dice", "hd95", "iou"]
    # Where one task measures it and another does not, it is shown where it is.
    heart, lung = boards(results, metrics=("iou",))["boards"]
    assert ([f["name"] for f in heart["facts"]], [f["name"] for f in lung["facts"]]) == (
        ["dice", "iou"],
        ["dice"],
    )


def test_a_policy_changes_the_tables_and_no_claim(results: Path) -> None:
    declared, asked = (boards(results, task="lung", policy=policy) for policy in (None, "one"))
    means = [found["boards"][0]["rows"][0]["metrics"]["dice"]["mean"] for found in (declared, asked)]
    assert means == pytest.approx([0.84, (1 + 0.84) / 2])
    assert [found["boards"][0]["policy"] for found in (declared, asked)] == ["nnunet", "one"]
    assert any("asked for; the task's is nnunet" in line for line in asked["boards"][0]["footer"])
    assert declared["claims"] == asked["claims"]
    assert declared["claims"][0]["answer"] == "supported"


def test_the_command_passes_all_on(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "--task",
        "heart",
        "--metric",
        "iou",
        "--metrics",
        "hd95, dice",
        "--policy",
        "brats",
        "--format",
        "json",
    ]
    code, out, _ = bench(monkeypatch, capsys, str(results), *words)
    (board,) = json.loads(out)["boards"]
    assert (code, board["metric"], board["policy"]) == (0, "iou", "brats")
    assert [facts["name"] for facts in board["facts"]] == ["iou", "hd95", "dice"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (
            ["--task", "heart", "--metric", "pixel_accuracy"],
            2,
            "bench: pixel_accuracy is only reported, never ranked by: name another metric (dice, hd95, iou)\n",
        ),
        (
            ["--metric", "assd"],
            4,
            "bench: heart: no test values of metric 'assd' (there are: dice, hd95, iou, pixel_",
        ),
        (
            ["--metrics", "dice,hd59"],
            4,
            "bench: no test values of metric 'hd59', did you mean 'hd95'? (choices: dice,",
        ),
        (["--metrics", "dice,,hd95"], 2, "expected names joined by commas, e.g. dice,hd95, got 'dice,,hd95'"),
        (["--policy", "monai"], 2, "'monai' is not one of 'nnunet', 'brats', 'one'"),
    ],
)
def test_what_cannot_be_shown_is_one_line(
    results: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    message: str,
) -> None:
    found, out, err = bench(monkeypatch, capsys, str(results), *words)
    assert (found, out) == (code, "")
    assert message in err
