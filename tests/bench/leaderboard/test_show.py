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
from bench.errors import ResultsError
from bench.leaderboard import show
from bench.leaderboard.request import Request
from bench.results.store import Store

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
    show(results, results.parent, console=console, style="json", request=Request(**options))
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


def test_every_option_reaches_the_table(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Request] = []
    # The package has a function of the module's name.
    monkeypatch.setattr(
        sys.modules["bench.leaderboard.show"], "show", lambda *_, request, **__: asked.append(request)
    )
    groups = tmp_path / "groups.csv"
    groups.write_text("patient,site\np0,A\n")
    words = (
        "--suite quick --task heart --metric hd95 --metrics dice,iou --rank-by test --columns p,cost --policy one "
        f"--on-missing baseline --baseline x --per-label --by site --subgroups {groups} --dropped "
        "--definition dice=dice/v1 --definition nsd=nsd/tau=2/v1"
    )
    assert bench(monkeypatch, capsys, str(results), *words.split())[0] == 0
    assert asked == [
        Request(
            suite="quick",
            task="heart",
            metric="hd95",
            metrics=("dice", "iou"),
            rank_by="test",
            columns=("p", "cost"),
            policy="one",
            on_missing="baseline",
            baseline="x",
            per_label=True,
            by="site",
            subgroups=groups,
            dropped=True,
            definitions={"dice": "dice/v1", "nsd": "nsd/tau=2/v1"},
        )
    ]


def test_choices_are_those_of_the_library() -> None:
    from bench.cli import leaderboard
    from bench.leaderboard.completeness import ON_MISSING
    from bench.leaderboard.show import FORMATS
    from bench.stats.aggregate import POLICIES
    from bench.stats.ranking import SCHEMES

    found = (leaderboard.FORMATS, leaderboard.SCHEMES, leaderboard.ON_MISSING, leaderboard.POLICIES)
    assert found == (FORMATS, SCHEMES, ON_MISSING, POLICIES)


def test_asked_metrics_are_shown_whatever_the_preset(results: Path) -> None:
    console = Console(file=io.StringIO(), width=200)
    show(results, results.parent, console=console, request=Request(task="heart", metrics=("iou",)))
    assert " IoU " in console.file.getvalue()  # type: ignore[attr-defined]
    console = Console(file=io.StringIO(), width=200)
    show(results, results.parent, console=console, request=Request(task="heart"))
    assert " IoU " not in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_scheme_decides_the_rank_and_is_told(results: Path) -> None:
    (board,) = boards(results, task="heart", rank_by="test")["boards"]
    assert [row["rank"] for row in board["rows"]] == [1.0, 2.0]
    # Wins, not means.
    assert board["ranking"]["scores"] == [1.0, 0.0]
    assert any(
        "of the number of entries that it is significantly better than" in line for line in board["footer"]
    )


def test_tasks_together_have_a_table(results: Path) -> None:
    found = boards(results)["overall"]
    assert found["tasks"] == ["heart", "lung"]
    assert [row["mean_rank"]["mean"] for row in found["rows"]] == [1.0, 2.0]
    assert boards(results, task="heart")["overall"] is None


def test_a_suite_is_found_by_its_name(results: Path) -> None:
    console = Console(file=io.StringIO(), width=120)
    show(None, results.parent, console=console, request=Request(suite="quick", task="heart"))
    assert "heart: 8 test patients" in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_suite_asked_for_need_not_be_the_newest(world: Any) -> None:
    world.final("unet", task="heart")
    root = Path(world.store.root.folder).parent
    row = world.trial("unet", suite="newest")
    Store(root / "newest").write(row, [world.case(row["trial"], 0, "dice", 0.5)], [])
    for suite, task in ((None, "lung"), ("quick", "heart")):
        console = Console(file=io.StringIO(), width=120)
        show(None, root, console=console, request=Request(suite=suite))
        assert console.file.getvalue().startswith(f"{task}:")  # type: ignore[attr-defined]


def test_what_the_suite_dropped_is_ranked_where_asked_for(world: Any) -> None:
    world.final("unet", study="kept")
    world.final("gone", study="gone")
    world.store.write_suite({"studies": [{"id": "kept", "task": "lung", "entry": "unet + dice"}]})
    results = Path(world.store.root.folder)
    found = [boards(results, dropped=dropped)["boards"][0] for dropped in (False, True)]
    assert [sorted(row["model"] for row in board["rows"]) for board in found] == [["unet"], ["gone", "unet"]]
    assert found[0]["pending"] == {"gone + dice": "not in the suite any more"}


def test_a_definition_is_chosen(world: Any) -> None:
    for model in ("unet", "resunet"):
        world.final(model, definitions={"dice": {"dice/v1": 0.0, "dice/v0": -0.1}}, noise=0)
    results = Path(world.store.root.folder)
    found = [boards(results, definitions=asked)["boards"][0] for asked in ({}, {"dice": "dice/v0"})]
    assert [board["facts"][0]["definitions"]["lung"] for board in found] == ["dice/v1", "dice/v0"]
    means = [board["rows"][0]["metrics"]["dice"]["mean"] for board in found]
    assert means[0] - means[1] == pytest.approx(0.1)


def test_what_tuning_gained_is_shown_where_asked_for(world: Any) -> None:
    world.tune("unet", value=0.70)
    world.tune("unet", value=0.72, number=1, setting="s1")
    world.final("unet", setting="s1")
    results = Path(world.store.root.folder)
    texts = []
    for columns in (None, ("gain",)):
        console = Console(file=io.StringIO(), width=120)
        show(results, results.parent, console=console, request=Request(columns=columns))
        texts.append(console.file.getvalue())  # type: ignore[attr-defined]
    assert "+0.020" not in texts[0]
    assert "+0.020" in texts[1]


@pytest.fixture
def holed(world: Any) -> Any:
    """Two tasks; on `lung` resunet lacks a seed, of which unet has 0.1 less."""
    for task in ("heart", "lung"):
        for seed in (0, 1):
            world.final("unet", quality=0.8 - 0.1 * seed, noise=0, task=task, seed=seed)
            if task == "heart" or not seed:
                world.final("resunet", quality=0.9, noise=0, task=task, seed=seed)
    return world


def test_incomplete_results_are_refused_left_out_or_filled(holed: Any) -> None:
    results = Path(holed.store.root.folder)
    with pytest.raises(ResultsError, match=r"incomplete: lung: resunet \+ dice: .* values of dice missing"):
        boards(results, on_missing="fail")
    found = boards(results, on_missing="exclude-task")
    assert [board["task"] for board in found["boards"]] == ["heart"]
    lung = boards(results, task="lung", on_missing="baseline", baseline="unet + dice")["boards"][0]
    rows = {row["model"]: row for row in lung["rows"]}
    # Patients lose 0.07 on average: 0.9 of its own, 0.7 of the other's second seed.
    assert rows["resunet"]["metrics"]["dice"]["mean"] == pytest.approx((0.9 + 0.7) / 2 - 0.07)
    assert (rows["resunet"]["n_imputed"], rows["unet"]["n_imputed"]) == (8, 0)
    assert lung["on_missing"] == "baseline"


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
            2,
            "bench: heart: no test values of metric 'assd' (choices: dice, hd95, iou, pixel_",
        ),
        (
            ["--metrics", "dice,hd59"],
            2,
            "bench: no test values of metric 'hd59', did you mean 'hd95'? (choices: dice,",
        ),
        (["--metrics", "dice,,hd95"], 2, "expected names joined by commas, e.g. dice,hd95, got 'dice,,hd95'"),
        (
            ["--columns", "median,prams"],
            2,
            "bench: no column 'prams', did you mean 'parameters'? (choices: default, quality",
        ),
        (["--columns", "p,,q"], 2, "expected names joined by commas"),
        (["--rank-by", "median"], 2, "'median' is not one of 'mean', 'rank', 'test'"),
        (["--format", "pdf"], 2, "'pdf' is not one of 'rich', 'md', 'html', 'csv', 'latex', 'json'"),
        (["--definition", "nsd"], 2, "expected METRIC=ID, e.g. nsd=nsd/marching-cubes/tau=2/v1, got 'nsd'"),
        (["--on-missing", "baseline"], 2, "bench: --on-missing baseline and --baseline ENTRY go together"),
        (["--baseline", "unet + ce"], 2, "bench: --on-missing baseline and --baseline ENTRY go together"),
        (
            ["--on-missing", "baseline", "--baseline", "unet + c"],
            2,
            "bench: no entry 'unet + c' to count for what is missing, did you mean 'unet + ce'?",
        ),
        (["--subgroups", __file__], 2, "bench: --subgroups FILE needs --by COLUMN"),
        (["--by", "site"], 4, "bench: heart: no subgroups by 'site' (there are: pathology, size"),
        (["--by", "site", "--subgroups", __file__], 3, f"bench: --subgroups {__file__}: "),
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
