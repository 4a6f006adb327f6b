"""Which trials count: best of tuning, finals of the best setting, and the ledger of test looks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from bench.results.select import best_trials, current_finals, newest_per_trial, test_looks
from bench.results.store import Store

Rows = Callable[..., dict[str, Any]]


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(list(rows))


def tune(make: Rows, number: int, value: float, **changes: Any) -> dict[str, Any]:
    fields = {
        "trial": f"t{number}",
        "phase": "tune",
        "number": number,
        "setting": f"s{number}",
        "value": value,
    }
    return make(**fields | changes)


def test_best_has_the_highest_value_and_ties_go_to_the_lowest_number(trial_row: Rows) -> None:
    rows = [tune(trial_row, n, v) for n, v in [(3, 0.7), (2, 0.9), (1, 0.9), (0, 0.5)]]
    best = best_trials(frame(*rows))
    assert list(best["number"]) == [1]
    assert best.iloc[0]["setting"] == "s1"


def test_only_complete_tuning_trials_can_win(trial_row: Rows) -> None:
    rows = [
        tune(trial_row, 0, 0.5),
        tune(trial_row, 1, 0.9, status="interrupted"),
        tune(trial_row, 2, float("nan")),
        trial_row(value=0.99),
    ]
    assert list(best_trials(frame(*rows))["number"]) == [0]
    assert best_trials(frame(*rows[1:])).empty


def test_direction(trial_row: Rows) -> None:
    rows = [
        tune(trial_row, 0, 3.0, metric="hd95", study="a"),
        tune(trial_row, 1, 2.0, metric="hd95", study="a"),
        tune(trial_row, 2, 0.4, study="b"),
        tune(trial_row, 3, 0.6, study="b"),
    ]
    best = best_trials(frame(*rows), higher_is_better={"hd95": False, "dice": True})
    assert list(best["number"]) == [1, 3]
    assert list(best_trials(frame(*rows[:2]), higher_is_better=False)["number"]) == [1]


def test_today_s_code_speaks_for_a_trial_before_other_code(trial_row: Rows) -> None:
    rows = [
        tune(trial_row, 0, 0.9, code="old", minutes=9),
        tune(trial_row, 0, 0.3, code="new"),
        tune(trial_row, 1, 0.6, code="old"),
    ]
    best = best_trials(frame(*rows), code="new").iloc[0]
    assert (best["number"], best["stale"]) == (1, True)
    assert list(newest_per_trial(frame(*rows), "new")["code"]) == ["old", "new"]
    assert list(newest_per_trial(frame(*rows))["stale"]) == [False, False]


def test_an_interrupted_rerun_does_not_hide_a_result(trial_row: Rows) -> None:
    rows = [
        trial_row(trial="f0", code="old"),
        trial_row(trial="f0", code="new", status="interrupted", minutes=9),
        trial_row(trial="f1", seed=1, code="new", status="infra_lost"),
    ]
    finals = current_finals(frame(*rows), code="new")
    assert list(finals["status"]) == ["complete", "infra_lost"]
    assert list(finals["stale"]) == [True, False]


def test_finals_follow_the_best_setting(trial_row: Rows) -> None:
    rows = [
        tune(trial_row, 0, 0.5),
        tune(trial_row, 1, 0.8),
        trial_row(trial="f0", setting="s0", minutes=9),
        trial_row(trial="f1", setting="s1", seed=0),
        trial_row(trial="f2", setting="s1", seed=1, status="diverged"),
    ]
    finals = current_finals(frame(*rows))
    assert list(finals["trial"]) == ["f1", "f2"]
    assert not finals["outdated"].any()


def test_finals_of_a_setting_that_lost_since_are_outdated(trial_row: Rows) -> None:
    rows = [tune(trial_row, 0, 0.5), tune(trial_row, 1, 0.8), trial_row(trial="f0", setting="s0")]
    finals = current_finals(frame(*rows))
    assert list(finals["trial"]) == ["f0"]
    assert finals["outdated"].all()


def test_finals_without_tuning_and_stale_ones(trial_row: Rows) -> None:
    rows = [
        trial_row(trial="f0", code="old", minutes=9),
        trial_row(trial="f0", code="new"),
        trial_row(trial="f1", seed=1, code="old"),
    ]
    finals = current_finals(frame(*rows), code="new")
    assert list(finals["code"]) == ["new", "old"]
    assert list(finals["stale"]) == [False, True]


def test_looks_count_settings_that_met_the_test(trial_row: Rows) -> None:
    rows = [
        tune(trial_row, 0, 0.5),
        trial_row(trial="f0", setting="s0", seed=0),
        trial_row(trial="f1", setting="s0", seed=1),
        trial_row(trial="f2", setting="s1"),
        trial_row(trial="f3", setting="s1", study="other"),
        trial_row(trial="f4", setting="s2", status="diverged"),
        trial_row(trial="f5", setting="s3", data="data1"),
        trial_row(trial="f6", entry="resunet + dice", study="r"),
    ]
    looks = test_looks(frame(*rows)).set_index(["entry", "data"])["looks"]
    assert looks.to_dict() == {
        ("unet + dice", "data0"): 3,
        ("unet + dice", "data1"): 1,
        ("resunet + dice", "data0"): 1,
    }


def test_empty_frames(tmp_path: Path) -> None:
    nothing = Store(tmp_path).trials()
    assert best_trials(nothing).empty
    assert current_finals(nothing, code="x").empty
    assert {"stale", "outdated"} <= set(current_finals(nothing).columns)
    assert test_looks(nothing).empty
