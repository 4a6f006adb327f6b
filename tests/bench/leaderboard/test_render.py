"""Tables as text: what stands in them, in every format."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.errors import ResultsError
from bench.leaderboard import (
    ClaimResult,
    Leaderboard,
    TaskBoard,
    answer_claims,
    build,
    load_tasks,
    render,
    show,
)
from bench.leaderboard.columns import columns, count_text, duration, p_text
from bench.leaderboard.notes import notice

CLAIMS = [
    {
        "id": "dice-wins",
        "task": "lung",
        "better": {"loss": "dice"},
        "than": {"loss": ["ce", "bce"]},
        "margin": 0.005,
    }
]


Answered = tuple[list[TaskBoard], list[ClaimResult]]


@pytest.fixture(scope="module")
def full(shared_world: Any) -> Any:
    world = shared_world
    world.final("unet", "dice", quality=0.9, patients=12)
    world.final("resunet", "dice", quality=0.9, patients=12, noise=0.05)
    world.final("unet", "ce", quality=0.7, patients=12, missed=[3])
    world.final("unet", "bce", quality=0.6, patients=12, code="old")
    world.tune("resunet", "ce")
    world.store.write_suite({"claims": CLAIMS})
    return world


@pytest.fixture(scope="module")
def answered(full: Any) -> Answered:
    return answer(full)


def answer(world: Any) -> Answered:
    cells = load_tasks(world.store, code="today")
    boards = build(world.store, code="today", resamples=300)
    return boards, answer_claims(CLAIMS, cells, resamples=300)


def terminal(answered: Answered, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(Leaderboard(*answered))
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_terminal_fits_and_cuts_nothing_off(answered: Answered, width: int) -> None:
    text = terminal(answered, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text.split("Claims")[0]
    assert "lung: 12 test patients, 12 cases, 1 fold x 1 seed" in text
    for name in ("unet", "resunet", "dice", "bce"):
        assert name in text


def test_terminal_says_what_it_leaves_out(answered: Answered) -> None:
    assert "Not shown at this width" not in terminal(answered, 200)
    narrow = " ".join(terminal(answered, 80).split())
    assert "Not shown at this width: to best" in narrow
    wide = terminal(answered, 200)
    for heading in (
        "to best",
        "IoU",
        "HD95 (mm)",
        "accuracy",
        "params",
        "train",
        "cases",
        "valid",
        "empty",
        "fail",
        "miss",
    ):
        assert all(word in wide for word in heading.split())


def test_what_happened_stays_longer_than_redundant_metrics_and_costs(answered: Answered) -> None:
    """The policy wants the counts beside every mean."""
    keep = {column.key: column.keep for column in columns(answered[0][0])}
    for count in ("n_valid", "n_empty_reference", "n_failed", "n_missed"):
        for other in ("iou", "hd95", "pixel_accuracy", "parameters", "train_s", "n_hallucinated"):
            assert keep[count] > keep[other]
    head = terminal(answered, 80).split("Not shown")[0]
    for word in ("valid", "empty", "fail", "miss"):
        assert word in head
    assert "IoU" not in head


def test_footer_says_what_the_numbers_cannot(answered: Answered) -> None:
    text = " ".join(terminal(answered, 200).split())
    assert "[1] stale: 1 of 1 final trials were made by other code" in text
    assert "not ranked: resunet + ce (no final trials yet)" in text
    assert "Wilcoxon signed-rank test over patients, two-sided, Holm over 3 comparisons" in text
    assert "=: not separable from the best (p >= 0.05)" in text
    assert "With 12 patients an interval tends to be too narrow" in text
    assert "?: cannot tell" not in text


def test_cannot_tell_is_said(world: Any) -> None:
    world.final("unet", patients=4)
    world.final("resunet", patients=4, quality=0.1)
    text = " ".join(terminal(answer(world), 200).split())
    assert (
        "?: cannot tell; 4 patients and 1 comparison give no p below 0.125, whatever the difference" in text
    )


def test_markdown(answered: Answered) -> None:
    text = render(answered[0], style="md")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert lines[0].startswith("| # | model | loss | Dice [95% CI] | to best | p | IoU | HD95 (mm) |")
    assert len({line.count("|") for line in lines}) == 1
    assert len(lines) == 2 + 4
    assert "| best |" in lines[2]


def test_csv_has_plain_numbers(answered: Answered) -> None:
    text = render(answered[0], style="csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["verdict"] for row in rows] == ["best", "tied", "worse", "worse"]
    assert all(row["task"] == "lung" for row in rows)
    worst = rows[-1]
    assert float(worst["dice_low"]) < float(worst["dice"]) < float(worst["dice_high"])
    assert float(worst["difference"]) == pytest.approx(float(worst["dice"]) - float(rows[0]["dice"]))
    assert (rows[0]["p"], worst["parameters"], worst["cases"]) == ("", "482000", "12")
    assert [rows[2][name] for name in ("n_valid", "n_empty_reference", "n_missed", "n_failed")] == [
        "11",
        "0",
        "1",
        "0",
    ]


def test_json_is_strict_and_complete(answered: Answered) -> None:
    boards, claims = answered
    found = json.loads(render(boards, claims, "json"), parse_constant=pytest.fail)
    (board,) = found["boards"]
    assert board["rows"][0]["p"] is None
    assert board["rows"][0]["metrics"]["dice"]["mean"] == boards[0].rows[0].metrics["dice"].mean
    assert board["pending"] == {"resunet + ce": "no final trials yet"}
    assert found["claims"][0]["answer"] == "supported"
    assert [board["facts"][0][key] for key in ("quantity", "worst", "agreed", "ranked")] == [
        "ratio",
        0.0,
        1.0,
        True,
    ]


def test_a_notice_stands_above_everything_in_every_format(answered: Answered) -> None:
    assert notice({"suite": "full"}) == ""
    above = notice({"suite": "full-smoke", "scale": "smoke"})
    assert above.startswith("Smoke run: generated data")
    assert render(*answered, "md", above).startswith(f"**{above}**")
    rows = csv.DictReader(io.StringIO(render(*answered, "csv", above)))
    assert {row["notice"] for row in rows} == {above}
    assert json.loads(render(*answered, "json", above))["notice"] == above
    page = Console(file=io.StringIO(), width=200, no_color=True)
    page.print(Leaderboard(*answered, above))
    assert page.file.getvalue().startswith("Smoke run: generated data")  # type: ignore[attr-defined]


def test_claims_are_under_the_tables(answered: Answered) -> None:
    text = terminal(answered, 200)
    assert "dice > ce + 0.005 in dice on lung" in text
    assert "dice-wins: supported, since each of its 2 comparisons must hold" in text
    assert "Claims were written down before the run" in text


def test_empty_boards_render(world: Any) -> None:
    world.tune("unet")
    boards = build(world.store)
    assert "lung: nothing to rank" in terminal(answer(world), 100)
    assert "not ranked: unet + dice (no final trials yet)" in render(boards, style="md")
    assert render(boards, style="csv") == "task,entry\n"
    assert json.loads(render(boards, style="json"))["boards"][0]["rows"] == []


def test_show_writes_files_and_prints(full: Any, tmp_path: Path) -> None:
    root = full.store.root.folder.parent
    console = Console(file=io.StringIO(), width=120)
    show(None, root, console=console)
    assert "dice-wins" in console.file.getvalue()  # type: ignore[attr-defined]
    for style, start in (("md", "## lung"), ("csv", "task,entry"), ("json", "{"), ("rich", "lung: 12")):
        path = tmp_path / "out" / f"board.{style}"
        show(Path("quick"), root, console=console, style=style, output=path)
        assert path.read_text(encoding="utf-8").startswith(start)
    with pytest.raises(ValueError, match="style must be one of md, csv, json, got 'html'"):
        show(None, root, console=console, style="html")
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match=r"x\.md: cannot be written"):
        show(None, root, console=console, style="md", output=tmp_path / "file" / "x.md")


@pytest.mark.parametrize(
    ("number", "text"), [(7, "7"), (4_500, "4.5k"), (482_000, "482k"), (31_042_564, "31.0M"), (2.5e9, "2.5G")]
)
def test_counts(number: float, text: str) -> None:
    assert count_text(int(number)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0s"), (9.94, "9.9s"), (9.96, "10s"), (59.4, "59s"), (59.6, "1m00s"), (92, "1m32s"), (3600, "1h00m"),
     (7265, "2h01m"), (float("nan"), "–")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [(1.0, "1.00"), (0.0625, "0.062"), (0.00002, "<0.0001"), (0.3, "0.30"), (float("nan"), "–")],
)
def test_p_values(p: float, text: str) -> None:
    assert p_text(p) == text
