"""Scored predictions as tables: what counts, how often, and what is not shown of predictions of unknown origin."""

import io
import math

import pytest
from rich.console import Console

from bench.leaderboard import scored
from bench.leaderboard.notes import footer, heading
from bench.leaderboard.render import render
from bench.leaderboard.scored import MEAN, label_rows, label_table, scored_board, scored_cells
from medseg.tasks import TASKS

NAN, INF = math.nan, math.inf
# By patient, image and label: Dice, HD95 and what happened. The second patient has two images.
VALUES = {
    ("p1", "p1-ed", "RV"): (0.8, 4.0, "ok"),
    ("p1", "p1-ed", "LV"): (0.9, 2.0, "ok"),
    ("p2", "p2-ed", "RV"): (0.6, 6.0, "ok"),
    ("p2", "p2-ed", "LV"): (0.0, INF, "prediction_empty"),
    ("p2", "p2-es", "RV"): (NAN, NAN, "both_empty"),
    ("p2", "p2-es", "LV"): (0.7, 8.0, "ok"),
    ("p3", "p3-ed", "RV"): (NAN, NAN, "failed"),
    ("p3", "p3-ed", "LV"): (NAN, NAN, "failed"),
}


def rows(system="mine", better=0.0):
    return [
        {
            "system": system,
            "case": case,
            "patient": patient,
            "subgroup": "",
            "phase": "",
            "label": label,
            "metric": metric,
            "definition": f"{metric}/v1",
            "value": value + (better if metric == "dice" and status == "ok" else 0),
            "status": status,
            "unit": unit,
            "diagonal": 100.0,
            "note": "",
        }
        for (patient, case, label), (dice, hd95, status) in VALUES.items()
        for metric, value, unit in (("dice", dice, ""), ("hd95", hd95, "mm"))
    ]


def test_label_rows_average_images_then_patients_and_count_what_happened():
    found = label_rows(scored_cells(rows(), ["mine"]), "mine", ["dice", "hd95"])
    assert [(row.facts.name, row.label) for row in found] == [
        (metric, label) for metric in ("dice", "hd95") for label in ("RV", "LV", MEAN)
    ]
    by_row = {(row.facts.name, row.label): row for row in found}
    # RV: p1 0.8, p2 0.6 (its second image has none), p3 0; LV: 0.9, mean of 0 and 0.7, 0.
    assert by_row["dice", "RV"].estimate.mean == pytest.approx((0.8 + 0.6 + 0) / 3)
    assert by_row["dice", "LV"].estimate.mean == pytest.approx((0.9 + 0.35 + 0) / 3)
    assert by_row["dice", MEAN].estimate.mean == pytest.approx((0.85 + 0.475 + 0) / 3)
    assert by_row["hd95", "LV"].estimate.mean == pytest.approx((2 + 54 + 100) / 3)
    assert by_row["dice", "RV"].median == 0.6
    for label, (valid, empty, missed, failed) in {"RV": (2, 1, 0, 1), "LV": (2, 0, 1, 1)}.items():
        assert by_row["dice", label].counts == {
            "n_valid": valid,
            "n_empty_reference": empty,
            "n_hallucinated": 0,
            "n_missed": missed,
            "n_failed": failed,
        }
    assert by_row["dice", MEAN].counts == {
        "n_hallucinated": 0,
        "n_valid": 4,
        "n_empty_reference": 1,
        "n_missed": 1,
        "n_failed": 2,
    }
    # Three patients give no interval.
    assert math.isnan(by_row["dice", "RV"].estimate.low)


def test_label_rows_have_intervals_from_six_patients_on():
    many = [
        row | {"case": f"{row['case']}-{copy}", "patient": f"{row['patient']}-{copy}"}
        for copy in range(2)
        for row in rows()
    ]
    estimate = label_rows(scored_cells(many, ["mine"]), "mine", ["dice"])[0].estimate
    assert estimate.low < estimate.mean < estimate.high


def test_the_policy_is_the_asked_one_else_the_tasks():
    def mean(cells):
        return label_rows(cells, "mine", ["dice"])[0].estimate.mean

    both_empty_counts = (0.8 + (0.6 + 1) / 2 + 0) / 3
    task = TASKS.load("acdc-multiclass").model_copy(update={"empty_policy": "one"})
    assert mean(scored_cells(rows(), ["mine"], policy="one")) == pytest.approx(both_empty_counts)
    assert mean(scored_cells(rows(), ["mine"], task)) == pytest.approx(both_empty_counts)
    assert mean(scored_cells(rows(), ["mine"], task, "nnunet")) == pytest.approx((0.8 + 0.6 + 0) / 3)


def test_a_single_label_has_no_mean_over_labels():
    only = [row for row in rows() if row["label"] == "RV"]
    assert [row.label for row in label_rows(scored_cells(only, ["mine"]), "mine", ["dice"])] == ["RV"]


def test_a_label_may_be_called_mean():
    renamed = [{**row, "label": {"RV": "mean", "LV": MEAN}[row["label"]]} for row in rows()]
    plain, odd = (
        label_rows(scored_cells(of, ["mine"]), "mine", ["dice", "hd95"]) for of in (rows(), renamed)
    )
    assert [row.label for row in odd] == ["mean", MEAN, MEAN] * 2
    assert [row.is_mean for row in odd] == [False, False, True] * 2
    assert [(row.estimate, row.counts) for row in odd] == [(row.estimate, row.counts) for row in plain]


def test_patients_are_resampled_once_for_all_metrics(monkeypatch):
    calls = []
    intervals = scored.mean_intervals
    monkeypatch.setattr(scored, "mean_intervals", lambda *given: calls.append(1) or intervals(*given))
    both = label_rows(scored_cells(rows(), ["mine"]), "mine", ["dice", "hd95"])
    assert len(calls) == 1
    # As each would be alone.
    assert both[3:] == label_rows(scored_cells(rows(), ["mine"]), "mine", ["hd95"])


def test_the_table_names_each_metric_once():
    page = Console(file=io.StringIO(), width=100)
    page.print(label_table(label_rows(scored_cells(rows(), ["mine"]), "mine", ["dice", "hd95"])))
    lines = [line.split() for line in page.file.getvalue().splitlines()]
    assert [line[0] for line in lines[2:]] == ["Dice", "LV", "mean", "HD95", "LV", "mean"]
    assert lines[4][:3] == ["mean", "of", "labels"]
    assert lines[2][-4:] == ["2", "1", "0", "1"]


def test_systems_are_ranked_without_the_columns_of_trials():
    cells = scored_cells([*rows("mine"), *rows("yours", 0.05)], ["mine", "yours"])
    board = scored_board(cells, "dice", ["dice", "hd95"])
    assert [row.entry for row in board.rows] == ["yours", "mine"]
    assert board.rows[1].difference.mean == pytest.approx(-(0.05 + 0.0375 + 0) / 3)
    assert heading(board) == "scores: 3 patients, 4 cases"
    text = render([board])
    for word in ("loss", "params", "train", "fold", "seed"):
        assert word not in text, word
    assert any(line.startswith("fail: cases without a value") for line in footer(board))


def test_ejection_fractions_are_told_of_a_task_with_cavities():
    task = TASKS.load("acdc-multiclass")
    volumes = [
        {
            **rows()[0],
            "case": f"p{number}-{phase}",
            "patient": f"p{number}",
            "phase": phase,
            "label": "LV",
            "metric": metric,
            "value": 100.0 + number - (40 if phase == "ES" else 0) + (3 if metric == "volume_ml" else 0),
            "status": "ok",
            "unit": "mL",
        }
        for number in range(5)
        for phase in ("ED", "ES")
        for metric in ("volume_ml", "reference_volume_ml", "dice")
    ]
    board = scored_board(scored_cells(volumes, ["mine"], task), "dice", ["dice"])
    (row,) = board.cavities
    assert (row.entry, row.label) == ("mine", "LV")
    assert row.edv.bias == pytest.approx(3.0)
    assert not scored_board(scored_cells(volumes, ["mine"]), "dice", ["dice"]).cavities


def test_a_tolerance_has_the_unit_of_lengths_also_where_no_length_is_shown() -> None:
    of_nsd = [
        row | {"metric": "nsd", "unit": "", "definition": "nsd/marching-cubes/tau=2/v1"} for row in rows()
    ]
    of_nsd = [row for number, row in enumerate(of_nsd) if rows()[number]["metric"] == "dice"]
    first = label_rows(scored_cells(of_nsd, ["mine"], unit="px"), "mine", ["nsd"])[0]
    assert first.facts.title == "NSD (2 px)"
