"""Ejection fractions and volumes under a table: known numbers, who is left out, and every format."""

import io
import json
import math
from typing import Any

import pytest
from rich.console import Console

from bench.leaderboard import Leaderboard, TaskBoard, render
from bench.leaderboard.answer import answer
from bench.leaderboard.cavities import COLUMNS, cavity_lines
from bench.leaderboard.request import Request
from bench.leaderboard.table import CavityRow
from bench.stats.ejection import MISSED, UNMEASURED

# Reference 100 and 40 mL, EF 60%, of every patient.
REFERENCE = {"ED": 100.0, "ES": 40.0}


def volumes(
    world: Any, model: str, *measured: tuple[float, float], labels: tuple[str, ...] = ("LV",), **changes: Any
) -> None:
    """Writes a trial with Dice and the volumes (EDV, ESV) of a patient each, the same for all labels."""
    task = {"name": "heart", "cavities": ["LV", "RV"]}
    row = world.trial(model, task="heart", spec_json=json.dumps({"task": task}), **changes)
    cases = []
    for patient, pair in enumerate(measured):
        for phase, value in zip(("ED", "ES"), pair, strict=True):
            for label in labels:
                values = {
                    "volume_ml": value,
                    "reference_volume_ml": REFERENCE[phase],
                    "dice": 0.8 - 0.01 * patient,
                }
                for metric, number in values.items():
                    case = world.case(row["trial"], patient, metric, number)
                    unit = "" if metric == "dice" else "mL"
                    change = {"case": f"p{patient}-{phase}", "label": label, "phase": phase, "unit": unit}
                    cases.append(case | change)
    world.store.write(row, cases, [])


def cavity_cells(row: CavityRow) -> list[str]:
    return [column.text(row) for column in COLUMNS]


def board_of(world: Any) -> TaskBoard:
    return answer(world.store, Request(task="heart", resamples=200), "today").boards[0]


def test_known_numbers(world: Any) -> None:
    # EF 50, 60 and 70%: 10 points too low, right, 10 points too high.
    volumes(world, "unet", (100, 50), (110, 44), (90, 27))
    (row,) = board_of(world).cavities
    assert (row.entry, row.label, row.ef.n) == ("unet + dice", "LV", 3)
    assert (row.ef.bias, row.ef.sd) == (pytest.approx(0, abs=1e-9), pytest.approx(10))
    assert (row.ef.low, row.ef.high) == pytest.approx((-19.6, 19.6), abs=0.01)
    assert (row.edv.bias, row.esv.bias) == (pytest.approx(0), pytest.approx(121 / 3 - 40))
    assert (row.left_out, row.n_missed) == ({}, 0)


def test_entries_in_their_order_and_cavities_only(world: Any) -> None:
    for model in ("a", "b"):
        volumes(world, model, *[(100, 50)] * 4, labels=("RV", "MYO", "LV"))
    assert [(row.entry, row.label) for row in board_of(world).cavities] == [
        ("a + dice", "LV"), ("a + dice", "RV"), ("b + dice", "LV"), ("b + dice", "RV")
    ]  # fmt: skip


def test_seeds_are_averaged_within_the_patient(world: Any) -> None:
    volumes(world, "unet", *[(100, 50)] * 4)
    volumes(world, "unet", *[(100, 20)] * 4, seed=1)
    (row,) = board_of(world).cavities
    # 50 and 80%: four patients of 65%, not eight values. All alike, so the bias is sure; a single run's EF is not:
    # var(50, 80) = 450, of which half is added to the variance of the means, 0.
    assert (row.ef.n, row.ef.bias, row.ef.sd) == (4, pytest.approx(5), pytest.approx(15))
    assert row.ef.bias_interval == pytest.approx((5, 5))
    assert (row.ef.low, row.ef.high) == pytest.approx((5 - 29.4, 5 + 29.4), abs=0.01)
    assert row.esv.sd == pytest.approx(15)


def test_a_missed_cavity_is_seen(world: Any) -> None:
    volumes(world, "unet", *[(100, 40)] * 4, (0, 0))
    board = board_of(world)
    (row,) = board.cavities
    assert (row.ef.n, row.left_out, row.n_missed) == (4, {MISSED: 1}, 1)
    # Its volumes are wrong by all there is.
    assert (row.edv.n, row.edv.bias, row.esv.bias) == (5, -20, -8)
    assert cavity_cells(row)[-2:] == ["1", "1"]
    assert f"unet + dice, LV: without EF 1 ({MISSED})" in cavity_lines(board.cavities)


def test_a_failed_trial_leaves_all_its_patients_out(world: Any) -> None:
    volumes(world, "unet", *[(100, 40)] * 4)
    volumes(world, "resunet", *[(100, 40)] * 4)
    for model in ("unet", "resunet"):
        volumes(world, model, *[(100, 40)] * 4, seed=1, status="oom" if model == "unet" else "complete")
    rows = {row.entry: row for row in board_of(world).cavities}
    lost = rows["unet + dice"]
    assert (lost.ef.n, lost.left_out) == (0, {UNMEASURED: 4})
    assert cavity_cells(lost)[2:] == ["0", "–", "cannot tell", "–", "–", "4", "0"]
    assert rows["resunet + dice"].ef.n == 4


@pytest.mark.parametrize("patients", [1, 2])
def test_few_patients_cannot_tell(world: Any, patients: int) -> None:
    volumes(world, "unet", *[(100, 50)] * patients)
    board = board_of(world)
    assert cavity_cells(board.cavities[0])[2:5] == [str(patients), "-10.0", "cannot tell"]
    assert "cannot tell: fewer than 3 patients." in cavity_lines(board.cavities)


def test_nothing_is_shown_without_volumes_phases_or_cavities(world: Any) -> None:
    world.final("unet", task="heart")
    assert not board_of(world).cavities
    volumes(world, "resunet", (100, 50), labels=("lung",))
    assert not board_of(world).cavities
    row = world.trial("transunet", task="heart")
    cases = [
        world.case(row["trial"], p, metric, 5.0) | {"label": "LV", "unit": "mL"}
        for p in range(4)
        for metric in ("volume_ml", "reference_volume_ml")
    ]
    world.store.write(row, cases, [])
    # Measured, but not said at which phase.
    assert not board_of(world).cavities


@pytest.fixture
def board(world: Any) -> TaskBoard:
    volumes(world, "unet", (100, 50), (110, 44), (90, 27), (0, 0))
    volumes(world, "resunet", *[(100, 40)] * 4)
    return board_of(world)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_terminal(board: TaskBoard, width: int) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(Leaderboard([board]))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width
    assert (
        "of a single run; the SD holds the variance between patients and, over seeds and folds, within them"
        in " ".join(text.split())
    )
    # No number is cut off or broken; what does not fit is named.
    assert "…" not in text
    assert "+0.0 [-24.8, +24.8]" in text
    assert ("Not shown at this width: patients, limits of agreement, EDV" in text) == (width < 80)
    assert ("-19.6 to +19.6" in text) == (width >= 80)


def test_markdown_has_a_second_table(board: TaskBoard) -> None:
    text = render([board], style="md")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    start = lines.index("| " + " | ".join(column.title for column in COLUMNS) + " |")
    assert len(lines[start:]) == 2 + 2
    assert len({line.count("|") for line in lines[start:]}) == 1


def test_json_holds_all_and_csv_leaves_it_out(board: TaskBoard) -> None:
    first, second = json.loads(render([board], style="json"), parse_constant=pytest.fail)["boards"][0][
        "cavities"
    ]
    unet = first if first["entry"] == "unet + dice" else second
    assert unet["left_out"] == {MISSED: 1}
    assert unet["ef"]["n"] == 3
    assert unet["ef"]["low_interval"][0] < unet["ef"]["low"] < unet["ef"]["low_interval"][1]
    assert "EF" not in render([board], style="csv")


def test_agreement_of_too_few_is_null_in_json(world: Any) -> None:
    volumes(world, "unet", (100, 50))
    (row,) = json.loads(render([board_of(world)], style="json"))["boards"][0]["cavities"]
    assert row["ef"]["low"] is None
    assert not math.isnan(row["ef"]["bias"])
