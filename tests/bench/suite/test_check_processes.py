"""Trials of several processes: what one takes, and batches that can be shared out."""

from pathlib import Path

import pytest

from bench.errors import SuiteError
from bench.suite import parse_suite
from bench.suite.schema import Resources

SUITE = """\
suite: s
tasks: [phantom-lung]
models:
  - unet
  - {name: resunet, resources: {cpus: 4, processes: 4}, MODEL}
losses: [dice]
train: {batch_size: 8, TRAIN}
tune: {budget: {trials: 2}, space: {train.learning_rate: {low: 1e-4, high: 1e-2}, SPACE}}
COMPARE
"""


def problems(model="", train="", space="", compare="", own=None):
    text = SUITE.replace("MODEL", model).replace("TRAIN", train).replace("SPACE", space)
    text = text.replace("COMPARE", compare)
    try:
        parse_suite(text.replace(*own) if own else text, Path("s.yaml"))
    except SuiteError as error:
        return [f"{place}: {text}" for place, text in error.problems]
    return []


def test_what_can_be_shared_out_is_taken():
    assert problems() == []
    assert problems(space="train.batch_size: {low: 8, high: 16, step: 4}") == []
    assert problems(space="train.batch_size: {choices: [8, 12]}") == []


def test_a_batch_that_cannot_be_shared_out_is_refused_where_it_was_written():
    assert problems(model="train: {batch_size: 6}") == [
        "s.yaml:5:77: train.batch_size must be a multiple of the 4 processes of a trial, got 6"
    ]
    (found,) = problems(own=("batch_size: 8", "batch_size: 10"))
    assert found.startswith("s.yaml:5:53: train.batch_size must be a multiple of the 4 processes")


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("{choices: [8, 10]}", "must be a multiple of the 4 processes of a trial, got 10"),
        ("{low: 6, high: 8, step: 2}", "must be a multiple of the 4 processes of a trial, got 6"),
        ("{low: 8, high: 16, step: 2}", "must be searched in steps of a multiple of the 4 processes"),
        ("{low: 8, high: 16}", "must be searched in steps of a multiple of the 4 processes"),
    ],
)
def test_every_batch_size_that_may_be_drawn_can_be_shared_out(space, message):
    (found,) = problems(space=f"train.batch_size: {space}")
    assert message in found


def test_a_study_among_models_has_the_processes_of_all_of_them():
    (found, *_) = problems(model="train: {batch_size: 4}", compare="compare: [loss]", own=("8,", "6,"))
    assert "must be a multiple of the 4 processes of a trial, got 6" in found


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"cpus": 3, "processes": 2}, "cpus must be a multiple of the 2 processes, got 3"),
        ({"cpus": 2, "processes": 2, "gpus": 1}, "gpus must be 0, or one for each of the 2 processes, got 1"),
        ({"cpus": 2, "processes": 2, "gpus": 4}, "gpus must be 0, or one for each of the 2 processes, got 4"),
    ],
)
def test_the_processes_of_a_trial_have_equal_parts(resources, message):
    with pytest.raises(ValueError, match=message):
        Resources(**resources)


def test_what_is_enough_for_several_kinds_of_trial_can_be_shared_out_too():
    found = Resources(cpus=3).largest([Resources(cpus=2, gpus=2, processes=2)])
    assert (found.cpus, found.gpus, found.processes) == (4, 2, 2)
    assert Resources(gpus=0.5).largest([Resources(cpus=2, processes=2)]).gpus == 2
