import math
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.plan.grid import count_settings
from bench.plan.parameter import default_setting
from bench.plan.study import Budget, Study
from bench.run.sampling import Asked, Outcome, Sampling, Tried

TRIALS = 24
SAMPLERS = [
    ("tpe", {"startup": 4}),
    ("random", {}),
    ("grid", {}),
    ("cmaes", {"population": 4}),
    ("nsga2", {"population": 4}),
]
STATUSES = ["complete"] * 6 + ["pruned", "diverged"]


def outcome(number: int, setting: dict) -> Outcome:
    """A score that depends on the setting; every so often a trial fails."""
    status = random.Random(number).choice(STATUSES)
    score = -abs(math.log10(setting["train.learning_rate"]) + 2.5) - abs(setting["model.depth"] - 4)
    cost = {"gmacs": float(setting["model.depth"]), "parameters": 1e6 * setting["model.depth"]}
    return Outcome(status, score if status == "complete" else None, cost)


def curve(number: int) -> dict[int, float]:
    return {epoch: random.Random(number * 100 + epoch).random() for epoch in range(1, 4)}


def new_study(make_study, name: str, options: dict) -> Study:
    study = make_study(name, options, window=3, constraints={"gmacs": 4.0})
    if name != "grid":
        return study
    space = tuple(p for p in study.space if p.name not in ("train.warmup", "train.momentum"))
    rates = (1e-4, 1e-3, 1e-2)
    space = tuple(
        p if p.low is None or p.name == "model.depth" else type(p)(p.name, p.path, 1e-3, choices=rates)
        for p in space
    )
    return make_study(
        name, options, window=3, space=space, most_settings=count_settings(space), constraints={"gmacs": 4.0}
    )


@dataclass
class Lab:
    """Runs the trials of a study; remembers what a results store would."""

    study: Study
    rows: dict[int, Tried] = field(default_factory=dict)
    running: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begins anew from the store, after whatever happened."""
        self.sampling = Sampling(self.study, list(self.rows.values()))
        self.running = [asked for asked in self.sampling.trials() if not asked.finished]

    def begin(self) -> bool:
        if len(self.sampling.trials()) >= TRIALS:
            return False
        asked = self.sampling.ask()
        if asked is not None:
            self.running.append(asked)
        return asked is not None

    def end(self, index: int) -> None:
        asked = self.running.pop(index)
        for epoch, score in curve(asked.number).items():
            self.sampling.report(asked.number, epoch, score)
        found = outcome(asked.number, asked.setting)
        self.sampling.tell(asked.number, found)
        self.rows[asked.number] = Tried(asked.number, asked.setting, found, curve(asked.number))

    def interrupt(self, index: int) -> None:
        """A trial is stopped; its row has its setting, but no result."""
        asked = self.running[index]
        self.rows[asked.number] = Tried(asked.number, asked.setting)

    def settings(self) -> list[dict]:
        return [asked.setting for asked in self.sampling.trials()]


def one_by_one(study: Study) -> list[dict]:
    lab = Lab(study)
    while lab.begin():
        lab.end(0)
    return lab.settings()


@pytest.fixture(scope="session")
def expected(make_study):
    """The settings of each sampler when one trial follows the other."""
    return {name: one_by_one(new_study(make_study, name, options)) for name, options in SAMPLERS}


@pytest.mark.parametrize(("name", "options"), SAMPLERS)
def test_the_default_comes_first_and_all_settings_lie_in_the_space(make_study, expected, name, options):
    study = new_study(make_study, name, options)
    found = expected[name]
    assert len(found) == TRIALS
    assert found[0] == default_setting(study.space)
    space = {parameter.name: parameter for parameter in study.space}
    for setting in found:
        assert ("train.momentum" in setting) == (
            setting["train.optimizer"] == "sgd" and "train.momentum" in space
        )
        assert setting["model.depth"] in (2, 3, 4, 5)
        assert setting["model.features"] in ([8, 16], [16, 32])
        assert 1e-4 <= setting["train.learning_rate"] <= 1e-2
    assert len({str(setting) for setting in found}) > TRIALS - 4


@pytest.mark.parametrize(("name", "options"), SAMPLERS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_settings_depend_neither_on_the_order_of_ends_nor_on_interruptions(
    make_study, expected, name, options, data
):
    lab = Lab(new_study(make_study, name, options))
    choose = data.draw(st.randoms(use_true_random=False))
    slots = data.draw(st.integers(1, 6))
    while True:
        able = len(lab.running) < slots and choose.random() < 0.7 and lab.begin()
        if not able and not lab.running and not lab.begin():
            break
        if lab.running and choose.random() < 0.5:
            lab.end(choose.randrange(len(lab.running)))
        if choose.random() < 0.1:
            for index in range(len(lab.running)):
                if choose.random() < 0.5:
                    lab.interrupt(index)
            lab.start()
    assert lab.settings() == expected[name]


@pytest.mark.parametrize(
    ("name", "options"), [entry for entry in SAMPLERS if entry[0] not in ("random", "grid")]
)
def test_a_setting_waits_for_the_scores_up_to_a_window_before_it(make_study, name, options):
    lab = Lab(new_study(make_study, name, options))
    while lab.begin():
        pass
    # Start-up trials wait for nobody.
    free = {"tpe": 4, "cmaes": 3, "nsga2": 4}[name]
    assert len(lab.running) == free
    for index in range(1, free):
        lab.end(1)
        assert not lab.begin(), f"number 0 is still open, {index} others have ended"
    lab.end(0)
    assert lab.begin()


@pytest.mark.parametrize("name", ["random", "grid"])
def test_what_asks_nobody_never_waits(make_study, name):
    lab = Lab(new_study(make_study, name, {}))
    while lab.begin():
        pass
    assert len(lab.running) == TRIALS


def test_studies_and_seeds_draw_differently(make_study):
    first, seed, study = (
        one_by_one(make_study(**changes)) for changes in ({}, {"seed": 1}, {"id": "fedcba9876543210"})
    )
    assert first[0] == seed[0] == study[0]
    assert first[1:] != seed[1:]
    assert first[1:] != study[1:]


def test_numbers_without_a_row_are_asked_for_before_new_ones(make_study):
    study = make_study("random")
    lab = Lab(study)
    while lab.begin():
        lab.end(0)
    whole = lab.settings()
    kept = [row for number, row in lab.rows.items() if number not in (0, 3, 7)]
    again = Sampling(study, kept)
    assert [again.ask().number for _ in range(4)] == [0, 3, 7, TRIALS]
    assert [asked.setting for asked in again.trials()][:TRIALS] == whole


def test_a_stored_setting_wins_over_what_would_be_suggested(make_study):
    study = make_study("tpe")
    stored = {**study.default_setting(), "train.learning_rate": 5e-3}
    sampling = Sampling(study, [Tried(1, stored, Outcome("complete", 0.5))])
    assert sampling.ask().number == 0
    assert sampling.trials()[1] == Asked(1, stored, finished=True, value=0.5)
    assert sampling.ask().number == 2


def test_a_grid_ends(make_study):
    study = new_study(make_study, "grid", {})
    sampling = Sampling(study)
    found = []
    while (asked := sampling.ask()) is not None:
        assert not sampling.exhausted or len(found) == study.most_settings - 1
        found.append(asked.setting)
    assert sampling.exhausted
    assert len(found) == study.most_settings == 2 * 3 * 4 * 2
    assert len({str(setting) for setting in found}) == len(found)
    assert sampling.ask() is None
    assert Sampling(study, [Tried(n, setting) for n, setting in enumerate(found)]).exhausted


def test_the_best_is_the_highest_within_the_constraints_and_the_earliest_of_equals(make_study):
    study = make_study("random", constraints={"gmacs": 4.0, "parameters": 1e6}, budget=Budget(trials=6))
    sampling = Sampling(study)
    assert sampling.best() is None
    told = [
        Outcome("complete", 0.5, {"gmacs": 4.0, "parameters": 1e6}),
        Outcome("complete", 0.9, {"gmacs": 4.1, "parameters": 1e5}),
        Outcome("complete", 0.7, {"gmacs": 1.0, "parameters": 1e5}),
        Outcome("complete", 0.7, {"gmacs": 0.5, "parameters": 1e5}),
        Outcome("pruned", None, {"gmacs": 0.5}),
        Outcome("diverged"),
        Outcome("complete", 0.99, {"gmacs": 0.5, "parameters": 1e5}),
    ]
    for found in told:
        sampling.tell(sampling.ask().number, found)
    assert sampling.best().number == 2
    larger = make_study("random", constraints={}, budget=Budget(trials=7))
    rows = [
        Tried(asked.number, asked.setting, found)
        for asked, found in zip(sampling.trials(), told, strict=True)
    ]
    assert Sampling(larger, rows).best().number == 6


def test_nothing_is_best_if_all_cost_too_much(make_study):
    sampling = Sampling(make_study("random", constraints={"peak_memory_mb": 100.0}))
    sampling.tell(sampling.ask().number, Outcome("complete", 0.5, {"peak_memory_mb": 101.0}))
    assert sampling.best() is None


def test_what_was_never_asked_for_cannot_be_told(make_study):
    with pytest.raises(ValueError, match=r"trial 3 of unet \+ ce was never asked for"):
        Sampling(make_study()).tell(3, Outcome("complete", 0.5))


def test_an_outcome_told_again_replaces_the_first(make_study):
    sampling = Sampling(make_study())
    number = sampling.ask().number
    for value in (0.9, 0.4):
        sampling.tell(number, Outcome("complete", value))
    assert sampling.best() == Asked(0, sampling.trials()[0].setting, finished=True, value=0.4)
