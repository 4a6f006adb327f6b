from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import optuna
import pytest

from bench.errors import ResultsError
from bench.plan.parameter import Parameter, default_setting
from bench.run.sampling import Sampling, decode, encode, open_storage

SPACE = (
    Parameter("train.optimizer", "train.optimizer", default="adam", choices=("adam", "sgd")),
    Parameter("train.learning_rate", "train.learning_rate", default=1e-3, low=1e-4, high=1e-2, log=True),
    Parameter(
        "train.momentum",
        "train.momentum",
        default=0.9,
        low=0.8,
        high=0.99,
        when=(("train.optimizer", ("sgd",)),),
    ),
    Parameter("model.depth", "model.depth", default=3, low=2, high=5),
    Parameter("model.features", "model.features", default=[8, 16], choices=([8, 16], [16, 32])),
)


@dataclass
class FakeStudy:
    seed: int = 0
    id: str = "0123456789abcdef"
    entry: str = "unet + ce"
    sampler: str = "tpe"
    space: tuple[Parameter, ...] = SPACE

    @property
    def task(self) -> Any:
        return SimpleNamespace(name="phantom-cardiac")

    def default_setting(self) -> dict[str, Any]:
        return default_setting(self.space)


def drawn(sampling: Sampling, count: int) -> list[dict[str, Any]]:
    settings = []
    for _ in range(count):
        asked = sampling.ask()
        settings.append(asked.setting)
        sampling.tell(asked.number, asked.setting["train.learning_rate"])
    return settings


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_default_comes_first_and_all_settings_lie_in_the_space(sampler):
    settings = drawn(Sampling(FakeStudy(sampler=sampler), open_storage(None)), 25)
    assert settings[0] == default_setting(SPACE)
    for setting in settings:
        assert 1e-4 <= setting["train.learning_rate"] <= 1e-2
        assert setting["model.depth"] in (2, 3, 4, 5)
        assert setting["model.features"] in ([8, 16], [16, 32])
    assert len({str(s) for s in settings}) > 20


def test_a_conditional_parameter_exists_only_with_its_parent():
    for setting in drawn(Sampling(FakeStudy(), open_storage(None)), 25):
        assert ("train.momentum" in setting) == (setting["train.optimizer"] == "sgd")


def test_what_is_tried_does_not_depend_on_interruptions(tmp_path):
    unbroken = drawn(Sampling(FakeStudy(), open_storage(None)), 9)
    broken = []
    for _ in range(3):
        broken += drawn(Sampling(FakeStudy(), open_storage(tmp_path / "journal")), 3)
    assert broken == unbroken


def test_studies_and_seeds_draw_differently():
    first, other_seed, other_study = (
        drawn(Sampling(study, open_storage(None)), 4)[1:]
        for study in (FakeStudy(), FakeStudy(seed=1), FakeStudy(id="fedcba9876543210"))
    )
    assert first != other_seed
    assert first != other_study


def test_an_open_trial_is_found_again_with_its_setting(tmp_path):
    asked = Sampling(FakeStudy(), open_storage(tmp_path / "journal")).ask()
    again = Sampling(FakeStudy(), open_storage(tmp_path / "journal"))
    assert again.trials() == [asked]
    again.tell(asked.number, 0.7)
    (found,) = Sampling(FakeStudy(), open_storage(tmp_path / "journal")).trials()
    assert (found.finished, found.value) == (True, 0.7)


def test_an_open_trial_whose_setting_was_half_drawn_is_completed(tmp_path):
    storage = open_storage(tmp_path / "journal")
    whole = Sampling(FakeStudy(), storage)
    drawn(whole, 1)
    expected = Sampling(FakeStudy(), open_storage(None))
    drawn(expected, 1)
    study = optuna.load_study(study_name=f"phantom-cardiac/unet + ce/{FakeStudy.id}", storage=storage)
    study.ask()
    (_, half) = Sampling(FakeStudy(), storage).trials()
    assert half.number == 1
    assert half.setting == expected.ask().setting


@pytest.mark.parametrize("value", [None, float("nan"), float("-inf")])
def test_a_failure_is_told_as_such_and_only_once(value):
    sampling = Sampling(FakeStudy(), open_storage(None))
    number = sampling.ask().number
    sampling.tell(number, value)
    sampling.tell(number, 0.5)
    assert [(t.finished, t.value) for t in sampling.trials()] == [(True, None)]


def test_a_lost_journal_is_rebuilt_from_the_results():
    first = Sampling(FakeStudy(), open_storage(None))
    settings = drawn(first, 4)
    rows = [(setting, setting["train.learning_rate"]) for setting in settings]
    rebuilt = Sampling(FakeStudy(), open_storage(None), rows)
    assert [t.setting for t in rebuilt.trials()] == settings
    assert rebuilt.ask().setting == first.ask().setting


def test_lists_survive_the_way_through_optuna():
    setting = {"model.features": [16, 32], "model.depth": 4, "train.optimizer": "sgd"}
    assert decode(encode(setting, SPACE), SPACE) == setting


def test_a_damaged_journal_is_one_clear_error(tmp_path):
    path = tmp_path / "journal"
    drawn(Sampling(FakeStudy(), open_storage(path)), 1)
    with path.open("a") as file:
        file.write("this is no journal\n")
    before = path.read_bytes()
    with pytest.raises(
        ResultsError, match=r"journal: not a readable Optuna journal \(line \d+ is not JSON\)"
    ):
        open_storage(path)
    assert path.read_bytes() == before


def test_half_a_line_of_a_killed_driver_is_dropped(tmp_path):
    path = tmp_path / "journal"
    drawn(Sampling(FakeStudy(), open_storage(path)), 2)
    with path.open("ab") as file:
        file.write(b'{"op_code": 4, "wor')
    path.with_name("journal.lock").touch()
    again = Sampling(FakeStudy(), open_storage(path))
    drawn(again, 2)
    assert len(Sampling(FakeStudy(), open_storage(path)).trials()) == 4
