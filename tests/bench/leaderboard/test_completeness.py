"""What is missing is listed, then refused, left out, or counted as something: never silently."""

from typing import Any

import pytest

from bench.errors import ResultsError
from bench.leaderboard.answer import answer
from bench.leaderboard.cells import TaskCells
from bench.leaderboard.completeness import SHOWN, completed, holes, listed, missing_cells
from bench.leaderboard.legend import legend
from bench.leaderboard.load import load_tasks
from bench.leaderboard.request import Request

BASE = "unet + dice"


def lung(world: Any, **options: Any) -> TaskCells:
    (cells,) = load_tasks(world.store, tasks=["lung"], code="today", **options)
    return cells


@pytest.fixture
def holey(world: Any) -> Any:
    """Two seeds: of resunet one run failed, the other lacks two patients; the baseline lacks one of these, too."""
    for seed in (0, 1):
        world.final("unet", seed=seed, quality=0.6, noise=0, drop=[1] if seed == 0 else [])
        world.final("whole", seed=seed, quality=0.8, noise=0)
    world.final("resunet", seed=0, quality=0.9, noise=0, drop=[1, 3])
    world.final("resunet", seed=1, status="oom")
    return world


def test_missing_cells_are_listed(holey: Any) -> None:
    found = missing_cells(lung(holey), "dice")
    mine = found[found["entry"] == "resunet + dice"]
    assert mine[["seed", "case"]].to_numpy().tolist() == [
        [0, "p1-img"], [0, "p3-img"], *([1, f"p{i}-img"] for i in range(8))
    ]  # fmt: skip
    assert set(found["status"]) == {"missing"}
    assert set(found["metric"]) == {"dice"}
    assert len(found) == 10 + 1
    assert found.columns[:3].tolist() == ["entry", "fold", "seed"]


def test_a_line_per_entry_says_where(holey: Any) -> None:
    assert holes(lung(holey), "dice") == [
        "lung: resunet + dice: 10 values of dice missing (fold 0, seed 0: p1-img, p3-img; fold 0, seed 1: all)",
        "lung: unet + dice: 1 value of dice missing (fold 0, seed 0: p1-img)",
    ]


def test_worst_is_marked_and_counted(holey: Any) -> None:
    (cells,) = completed([lung(holey)], "dice").tasks
    assert cells.imputed("dice") == {"resunet + dice": 10, BASE: 1}
    assert cells.patients("dice").loc["resunet + dice", "p1"] == 0


def test_fail_lists_all(holey: Any) -> None:
    with pytest.raises(
        ResultsError, match=r"incomplete: lung: resunet \+ dice: 10 .*; lung: unet \+ dice: 1 value "
    ):
        completed([lung(holey)], "dice", "fail")


def test_a_task_is_left_out_and_told(holey: Any) -> None:
    for model in ("unet", "resunet"):
        holey.final(model, task="heart")
    tasks = load_tasks(holey.store, code="today")
    found = completed(tasks, "dice", "exclude-task")
    assert [cells.task for cells in found.tasks] == ["heart"]
    assert [line[:21] for line in found.excluded["lung"]] == [
        "lung: resunet + dice:",
        "lung: unet + dice: 1 ",
    ]
    with pytest.raises(ResultsError, match="no task has complete results: lung: resunet"):
        completed(tasks[1:], "dice", "exclude-task")


def test_the_baseline_counts_where_it_has_something(holey: Any) -> None:
    (cells,) = completed([lung(holey)], "dice", "baseline", BASE).tasks
    base, other = (cells.cells[cells.cells["entry"] == name] for name in (BASE, "resunet + dice"))
    keys = ["seed", "case", "metric", "label"]
    both = other.merge(base, on=keys, suffixes=("", "_base"))
    imputed = both[both["imputed"]]
    assert len(imputed) == 4 * (1 + 8)
    assert (imputed["value"] == imputed["value_base"]).all()
    assert (both.loc[~both["imputed"] & (both["status"] == "ok"), "value"] != 0.6).all()
    # What the baseline lacks is the worst for both.
    lost = cells.cells[cells.cells["status"] == "missing"]
    assert set(zip(lost["entry"], lost["seed"], lost["case"], strict=True)) == {
        (BASE, 0, "p1-img"), ("resunet + dice", 0, "p1-img")
    }  # fmt: skip
    assert cells.imputed("dice") == {"resunet + dice": 10, BASE: 1}
    notes = {entry.name: entry.notes for entry in cells.entries}
    assert notes["resunet + dice"] == (
        f"incomplete: 1 of 2 final trials counted as those of {BASE} (1 oom)",
        f"incomplete: 8 values that others have counted as those of {BASE}",
        f"imputed: 10 values of dice, 9 of them those of {BASE}, 1 the worst: it lacks them, too",
    )
    assert notes["whole + dice"] == ()
    assert notes[BASE] == ("incomplete: 4 values that others have counted as worst",)


def test_only_what_the_ranked_metric_lacks_is_missed(world: Any) -> None:
    world.final("unet")
    row = world.trial("resunet")
    lost = {"value": float("nan"), "status": "failed"}
    cases = [
        world.case(row["trial"], patient, metric, 0.7) | (lost if (patient, metric) == (3, "hd95") else {})
        for patient in range(8)
        for metric in ("dice", "iou", "hd95", "pixel_accuracy")
    ]
    world.store.write(row, cases, [])
    cells = lung(world)
    for ways in ("fail", "exclude-task"):
        assert completed([cells], "dice", ways).tasks == [cells]
    assert holes(cells, "hd95") == ["lung: resunet + dice: 1 value of hd95 missing (fold 0, seed 0: p3-img)"]
    (filled,) = completed([cells], "dice", "baseline", BASE).tasks
    assert filled.imputed("dice") == {}
    assert filled.entries[0].notes[-1] == f"imputed: values of other metrics than dice are those of {BASE}"


def test_what_the_baseline_stands_for_is_not_the_entry_s_own(world: Any) -> None:
    for seed in (0, 1):
        world.final("unet", seed=seed, quality=0.8)
    world.final("resunet", seed=0, quality=0.7)
    world.final("resunet", seed=1, status="oom")
    said = []
    for way, baseline in (("worst", None), ("baseline", BASE)):
        request = Request(resamples=50, on_missing=way, baseline=baseline)
        (board,) = answer(world.store, request, "today").boards
        own = next(row for row in board.rows if row.model == "resunet")
        assert (own.n_valid, own.n_failed, own.n_imputed) == (8, 8, 8)
        said.append((own.notes[-1], " ".join(legend([board]))))
    (_, worst), (note, filled) = said
    assert note == f"imputed: 8 values of dice are those of {BASE}"
    assert "fail: trials x cases without a value, counted as the worst." in worst
    assert "counted as those of the baseline, or as the worst where it lacks them, too." in filled


def test_nothing_changes_where_nothing_is_missing(world: Any) -> None:
    world.final("unet")
    world.final("resunet")
    cells = lung(world)
    for ways in (("worst", None), ("fail", None), ("exclude-task", None), ("baseline", "not there")):
        found = completed([cells], "dice", *ways)
        assert (found.tasks, found.excluded) == ([cells], {})
    assert cells.imputed("dice") == {}


def test_an_entry_without_finals_is_missing_and_a_dropped_one_is_not(world: Any) -> None:
    world.final("unet")
    world.final("gone")
    studies = [{"id": f"lung-{m}-dice", "task": "lung", "entry": f"{m} + dice"} for m in ("unet", "late")]
    world.store.write_suite({"studies": studies})
    assert holes(lung(world), "dice") == ["lung: late + dice: no trials yet"]
    assert lung(world).pending["gone + dice"] == "not in the suite any more"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            ("baseline", "vnet"),
            ResultsError,
            r"lung: no entry 'vnet' to count .* \(there are: resunet \+ dice, unet",
        ),
        (("baseline", None), ValueError, "goes with a baseline"),
        (("worst", BASE), ValueError, "goes with a baseline"),
        (
            ("zero", None),
            ValueError,
            "on_missing must be one of worst, fail, exclude-task, baseline, got 'zero'",
        ),
    ],
)
def test_errors(holey: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        completed([lung(holey)], "dice", *options)


def test_long_lists_are_cut() -> None:
    assert listed(["a"] * (SHOWN + 2)).endswith("a, and 2 more")
    assert listed(["a"] * SHOWN) == ", ".join(["a"] * SHOWN)
