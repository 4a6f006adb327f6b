import pandas as pd
import pytest

from bench.errors import ResultsError
from bench.leaderboard.planned import PlannedStudy, read_planned, relabel, within_plan
from bench.results.counting import Limits
from bench.results.store import Store

STUDY = PlannedStudy(
    "s1", "lung", "U-Net + dice", {"model": "U-Net"}, runs=((0, 0), (0, 1)), limits=Limits(numbers=2)
)


def trials(*rows) -> pd.DataFrame:
    columns = ["study", "phase", "number", "fold", "seed", "entry", "model", "loss"]
    return pd.DataFrame([[*row, "unet + dice", "unet", "dice"] for row in rows], columns=columns)


def test_trials_take_the_names_that_the_suite_has_today():
    found = relabel(trials(("s1", "final", -1, 0, 0), ("s2", "final", -1, 0, 0)), [STUDY])
    assert found["entry"].tolist() == ["U-Net + dice", "unet + dice"]
    assert found["model"].tolist() == ["U-Net", "unet"]
    assert found["loss"].tolist() == ["dice", "dice"]


def test_what_a_smaller_plan_does_not_ask_for_is_left_out():
    rows = trials(
        ("s1", "tune", 0, 0, 0),
        ("s1", "tune", 2, 0, 0),
        ("s1", "final", -1, 0, 1),
        ("s1", "final", -1, 0, 2),
        ("s1", "final", -1, 1, 0),
        ("s2", "final", -1, 7, 7),
    )
    assert within_plan(rows, [STUDY]).index.tolist() == [0, 2, 5]


def test_an_unknown_plan_leaves_everything():
    rows = trials(("s1", "tune", 9, 0, 0), ("s1", "final", -1, 3, 3))
    unknown = PlannedStudy("s1", "lung", "e", {}, runs=())
    assert len(within_plan(rows, [unknown])) == 2


def test_limits_are_read_from_suites_of_any_version(tmp_path):
    study = {"id": "s", "task": "lung", "entry": "e"}
    counts = {"numbers": 3, "epochs": None, "most": {"gmacs": 4.0}, "of a later version": 1}
    Store(tmp_path).write_suite({"studies": [study | {"counts": counts}, study | {"tune_total": 2}, study]})
    found = [planned.limits for planned in read_planned(Store(tmp_path))]
    assert found == [Limits(numbers=3, most={"gmacs": 4.0}), Limits(numbers=2), Limits()]


@pytest.mark.parametrize(
    ("studies", "what"),
    [
        ([{"id": "x"}], "a study has no 'task'"),
        ([1], "another form"),
        (7, "another form"),
        ({"a": 1}, "another form"),
    ],
)
def test_a_suite_that_lacks_keys_is_said(tmp_path, studies, what):
    store = Store(tmp_path)
    store.write_suite({"studies": studies})
    with pytest.raises(ResultsError, match=rf"suite.json: .*{what}.*; run the suite again"):
        read_planned(store)
