"""What empty masks count in a table: what the task declares, or what was asked for; and what the footer says."""

import json
import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from bench.errors import ResultsError
from bench.leaderboard import answer_claims, load_tasks
from bench.leaderboard.answer import answer
from bench.leaderboard.contract import Contract, read_contract
from bench.leaderboard.facts import metric_facts
from bench.leaderboard.notes import footer
from bench.leaderboard.request import Request
from bench.leaderboard.table import TaskBoard
from bench.stats.aggregate import POLICIES, Policy, counted_values
from medseg.metrics import METRICS
from medseg.training.averages import counted_value

Write = Callable[..., None]


@pytest.fixture
def emptied(world: Any) -> Write:
    """Writes trials of 8 patients, Dice 0.5, HD95 10 mm; patient 0 has the label in neither mask, 1 is missed."""

    def write(model: str, loss: str = "dice", **changes: Any) -> None:
        row = world.trial(model, loss, **changes)
        cases = []
        for patient in range(8):
            status = {0: "both_empty", 1: "prediction_empty"}.get(patient, "ok")
            dice = {0: math.nan, 1: 0.0}.get(patient, 0.5)
            hd95 = {0: math.nan, 1: math.inf}.get(patient, 10.0)
            cases += [
                world.case(row["trial"], patient, m, v, status) for m, v in (("dice", dice), ("hd95", hd95))
            ]
        world.store.write(row, cases, [])

    return write


def board_of(world: Any, **options: Any) -> TaskBoard:
    return answer(world.store, Request(**{"resamples": 200, "task": "lung"} | options), "today").boards[0]


def declare(world: Any, **fields: Any) -> None:
    world.store.write_suite({"tasks": [{"name": "lung", **fields}, {"name": "heart", "empty_policy": "one"}]})


EXPECTED = {
    "nnunet": (3 / 7, (6 * 10 + 100) / 7),
    "one": (4 / 8, (6 * 10 + 100) / 8),
    "brats": (4 / 8, (6 * 10 + 373.13) / 8),
}


@pytest.mark.parametrize("policy", POLICIES)
def test_the_task_s_policy_counts(world: Any, emptied: Write, policy: Policy) -> None:
    emptied("unet")
    declare(world, empty_policy=policy)
    board = board_of(world)
    row = board.rows[0]
    assert (row.metrics["dice"].mean, row.metrics["hd95"].mean) == pytest.approx(EXPECTED[policy])
    # What happened is counted alike, whatever it counts.
    assert (row.n_valid, row.n_empty_reference, row.n_missed, row.n_failed) == (6, 1, 1, 0)
    (line,) = [line for line in footer(board) if line.startswith("Empty masks")]
    assert line.startswith(f"Empty masks, policy {policy}: ")
    assert ("373.13" in line) == (policy == "brats")


def test_another_policy_may_be_asked_for_and_is_told(world: Any, emptied: Write) -> None:
    emptied("unet")
    declare(world, empty_policy="one")
    board = board_of(world, policy="nnunet")
    assert board.rows[0].metrics["dice"].mean == pytest.approx(3 / 7)
    assert any(
        "policy nnunet (asked for; the task's is one): a label in neither" in line for line in footer(board)
    )


def test_results_of_before_there_was_a_choice_count_as_nnunet(world: Any, emptied: Write) -> None:
    emptied("unet")
    world.store.write_suite({"tasks": [{"name": "lung"}]})
    assert board_of(world).policy == "nnunet"


def test_without_a_suite_the_newest_trial_tells(world: Any, emptied: Write) -> None:
    for model, policy in (("unet", "brats"), ("resunet", "one")):
        task = {"name": "lung", "labels": {"lung": 1}, "empty_policy": policy, "tolerance_mm": 2.0}
        emptied(model, spec_json=json.dumps({"task": task}))
    assert board_of(world).policy == "one"
    assert read_contract(world.store, world.store.trials(), "lung") == Contract("one", {"lung": 2.0})


def test_tolerances_are_read_by_label(world: Any) -> None:
    declare(world, tolerance_mm={"LV": 1.0, "RV": 1.5}, labels={"LV": 1, "RV": 2})
    assert read_contract(world.store, world.store.trials(), "lung").tolerances == {"LV": 1.0, "RV": 1.5}
    declare(world, tolerance_mm=None, labels={"LV": 1})
    assert read_contract(world.store, world.store.trials(), "lung").tolerances == {}


def test_a_policy_of_the_future_is_refused(world: Any) -> None:
    world.final("unet")
    declare(world, empty_policy="panoptic")
    with pytest.raises(
        ResultsError, match="task lung has the policy 'panoptic' for empty masks; this medseg-bench"
    ):
        answer(world.store, Request(), "today")


CLAIM = {"id": "c", "task": "lung", "better": {"loss": "dice"}, "than": {"loss": "ce"}}


@pytest.mark.parametrize(("policy", "n"), [("nnunet", 7), ("one", 8), ("brats", 8)])
def test_claims_keep_to_the_task_s_policy(world: Any, emptied: Write, policy: Policy, n: int) -> None:
    for loss in ("dice", "ce"):
        emptied("unet", loss=loss)
    declare(world, empty_policy=policy)
    (answered,) = answer_claims([CLAIM], load_tasks(world.store), resamples=300)
    # Patient 0 has the label in neither mask, by both entries.
    assert answered.comparisons[0].n_patients == n


def test_claims_of_what_is_only_reported_are_undecided(world: Any) -> None:
    for loss in ("dice", "ce"):
        world.final("unet", loss, patients=12, quality=0.9 if loss == "dice" else 0.8)
    (reported,) = answer_claims(
        [CLAIM | {"metric": "pixel_accuracy"}], load_tasks(world.store), resamples=300
    )
    # Refused in a suite today; results of before may hold one.
    assert reported.answer == "undecided"
    assert reported.comparisons[0].why.startswith("pixel_accuracy is only reported, never ranked by")


@pytest.mark.parametrize(
    ("name", "unit", "title", "decimals", "worst", "agreed", "ranked", "higher"),
    [
        ("dice", "", "Dice", 3, 0.0, 1.0, True, True),
        ("hd95", "mm", "HD95 (mm)", 2, "diagonal", 0.0, True, False),
        ("hd95", "px", "HD95 (px)", 2, "diagonal", 0.0, True, False),
        ("pixel_accuracy", "", "Pixel accuracy", 3, 0.0, None, False, True),
        ("theirs", "mm", "theirs (mm)", 2, "diagonal", None, True, False),
        ("theirs", "mL", "theirs (mL)", 1, None, None, False, False),
        ("theirs", "", "theirs", 3, 0.0, None, True, True),
    ],
)
def test_facts(
    name: str, unit: str, title: str, decimals: int, worst: Any, agreed: Any, ranked: bool, higher: bool
) -> None:
    facts = metric_facts(name, unit)
    assert (facts.title, facts.decimals, facts.ranked, facts.higher_is_better) == (
        title,
        decimals,
        ranked,
        higher,
    )
    for found, expected in ((facts.worst, worst), (facts.agreed, agreed)):
        assert found == expected or (expected is None and math.isnan(found))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", METRICS.names())
def test_nothing_is_ranked_by_what_leaves_failures_out(name: str) -> None:
    spec = METRICS.load(name)
    facts = metric_facts(name, spec.unit("mm"))
    assert facts.ranked == (spec.ranked and not spec.left_out_if_failed)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", METRICS.names())
def test_training_chooses_by_what_the_leaderboard_counts(name: str, policy: Policy) -> None:
    spec = METRICS.load(name)
    facts = metric_facts(name, spec.unit("mm"))
    values = {"ok": 0.5, "failed": math.nan, "missing": math.nan}
    if spec.empty is not None:
        parts = {"both_empty": "both", "reference_empty": "reference", "prediction_empty": "prediction"}
        values |= {status: getattr(spec.empty, part) for status, part in parts.items()}
    rows = [{"value": value, "status": status, "diagonal": 80.0} for status, value in values.items()]
    rows.append({"value": math.nan, "status": "ok", "diagonal": 80.0})
    ours = counted_values(pd.DataFrame(rows), facts.worst, policy, facts.agreed)
    theirs = [counted_value(row, spec, policy) for row in rows]
    assert ours.tolist() == pytest.approx(theirs, nan_ok=True)


def test_volumes_are_shown_in_millilitres_and_not_ranked_by() -> None:
    facts = metric_facts("volume_ml", "mL")
    assert (facts.decimals, facts.ranked, facts.quantity) == (1, False, "volume")
    assert facts.title.endswith("(mL)")
    assert facts.text(123.456) == "123.5"
