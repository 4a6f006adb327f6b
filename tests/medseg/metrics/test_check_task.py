import pytest

from medseg.metrics.check_task import metric_problems
from medseg.tasks import TASKS

HEART, LUNG = TASKS.load("phantom-cardiac"), TASKS.load("phantom-lung")


def problems(task, **changes):
    return metric_problems(task.model_copy(update=changes))


@pytest.mark.parametrize("name", TASKS.names())
def test_shipped_tasks_have_none(name):
    assert metric_problems(TASKS.load(name)) == []


def test_volumes_need_millimetres_and_depth():
    ((field, position, message),) = problems(LUNG, metrics=("dice", "volume_ml"))
    assert (field, position) == ("metrics", 1)
    assert message == "volume_ml is a volume in mL and needs unit mm, but phantom-lung has unit px"
    (problem,) = problems(HEART, metrics=("volume_difference_ml", "dice"), file_spacing_mm=(0.2, 0.2))
    assert problem.position == 0
    assert problem.message.startswith("volume_difference_ml is a volume and needs 3D images")
    assert problems(HEART, metrics=("dice", "volume_ml"), file_spacing_mm=(8, 1, 1)) == []
    assert problems(LUNG, metrics=("dice", "rvd")) == []


def test_a_tolerance_must_be_declared():
    (problem,) = problems(LUNG, metrics=("dice", "nsd"), tolerance_mm=None)
    assert problem[:2] == ("tolerance_mm", None)
    assert "nsd needs tolerance_mm, the distance in px" in problem.message
    assert problems(LUNG, metrics=("dice", "nsd"), tolerance_mm=2.0) == []


def test_one_chooses_by_what_ranks():
    (problem,) = problems(HEART, metrics=("pixel_accuracy",), selection_metric="pixel_accuracy")
    assert problem[:2] == ("selection_metric", None)
    assert problem.message.startswith("pixel_accuracy is only reported")


def test_names_that_are_not_known_are_left_to_others():
    assert problems(HEART, metrics=("dcie", "no.such.module:METRIC"), selection_metric="dcie") == []


def test_a_penalty_in_millimetres_needs_millimetres():
    (problem,) = problems(LUNG, empty_policy="brats")
    assert problem[:2] == ("empty_policy", None)
    assert problem.message.startswith("brats counts 373.13 mm")
    assert problems(HEART, empty_policy="brats") == []
