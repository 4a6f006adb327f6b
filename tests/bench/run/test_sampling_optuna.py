"""Our samplers against Optuna's own, fed the same history."""

import warnings

import optuna
import pytest
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import CmaEsSampler, NSGAIISampler, TPESampler
from optuna.trial import TrialState, create_trial

from bench.run.sampling import Outcome, Sampling
from bench.run.sampling_optuna import make_method
from bench.run.sampling_source import seed_of
from bench.run.sampling_space import distribution, draw, encode

STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "oom": TrialState.FAIL}


def outcome(number, setting):
    status = "oom" if number % 7 == 5 else "pruned" if number % 5 == 4 else "complete"
    depth = setting["model.depth"]
    value = -abs(setting["train.learning_rate"] - 3e-3) * 100 - abs(depth - 4)
    return Outcome(status, value if status == "complete" else None, {"gmacs": float(depth)})


def frozen(study, number, setting, ended):
    """A trial in plain Optuna's words; one that has not ended is running."""
    params = encode(setting, study.space)
    found = outcome(number, setting)
    curve = {1: 0.1 * number, 2: 0.2} if ended and found.status == "pruned" else {}
    return create_trial(
        state=STATES[found.status] if ended else TrialState.RUNNING,
        value=found.value if ended else None,
        params=params,
        distributions={p.name: distribution(p) for p in study.space if p.name in params},
        intermediate_values=curve,
        constraints={"gmacs": found.cost["gmacs"] / 4 - 1} if ended else None,
    )


@pytest.mark.parametrize("window", [1, 4])
def test_tpe_is_optunas_with_the_trials_before_the_window_ended_and_the_others_running(make_study, window):
    study = make_study("tpe", {"startup": 5}, window=window, constraints={"gmacs": 4.0})
    sampling, settings = Sampling(study), []
    for number in range(20):
        asked = sampling.ask()
        assert asked.number == number
        settings.append(asked.setting)
        if number % 5 == 4:
            sampling.report(number, 1, 0.1 * number)
            sampling.report(number, 2, 0.2)
        sampling.tell(number, outcome(number, asked.setting))
    for number in (6, 9, 14, 19):
        plain = optuna.create_study(direction="maximize")
        told = number - window
        plain.add_trials([frozen(study, n, s, n <= told) for n, s in enumerate(settings[:number])])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            seed = seed_of(study, number)
            plain.sampler = TPESampler(seed=seed, multivariate=True, group=True, n_startup_trials=5)
        assert draw(plain.ask(), study.space) == settings[number], number


def numeric(space):
    return tuple(p for p in space if p.choices is None and not p.when)


def test_cmaes_is_optunas(make_study):
    space = make_study().space
    study = make_study("cmaes", {"population": 4}, window=1, space=numeric(space))
    plain = optuna.create_study(direction="maximize")
    plain.enqueue_trial(study.default_setting())
    sampling = Sampling(study)
    for number in range(24):
        plain.sampler = CmaEsSampler(seed=seed_of(study, number), popsize=4)
        trial = plain.ask()
        asked = sampling.ask()
        assert draw(trial, study.space) == asked.setting, number
        value = -abs(asked.setting["train.learning_rate"] - 3e-3)
        plain.tell(trial, value)
        sampling.tell(number, Outcome("complete", value))
    assert sampling.best().value > -1e-4


def test_nsga2_is_optunas(make_study):
    space = tuple(p for p in make_study().space if not p.when)
    options = {"population": 6, "against": "parameters"}
    study = make_study("nsga2", options, window=1, space=space, constraints={"gmacs": 4.0})
    plain = optuna.create_study(directions=["maximize", "minimize"])
    plain.enqueue_trial(encode(study.default_setting(), space))
    sampling = Sampling(study)
    for number in range(30):
        plain.sampler = NSGAIISampler(seed=seed_of(study, number), population_size=6)
        trial = plain.ask()
        # A first look, as at the start of a trial whose setting was given.
        _ = trial.relative_params
        asked = sampling.ask()
        assert draw(trial, space) == asked.setting, number
        depth = float(asked.setting["model.depth"])
        value = -abs(asked.setting["train.learning_rate"] - 3e-3) + depth
        trial.set_constraint("gmacs", depth / 4 - 1)
        plain.tell(trial, (value, depth))
        sampling.tell(number, Outcome("complete", value, {"gmacs": depth, "parameters": depth}))


def test_cmaes_and_nsga2_keep_to_what_is_always_active(make_study):
    study = make_study("cmaes", {"population": 4})
    assert list(make_method(study).make(0).dimensions) == [
        "model.depth",
        "train.learning_rate",
        "train.warmup",
    ]
    nsga2 = make_method(make_study("nsga2")).make(0)
    assert list(nsga2.dimensions) == [
        "model.depth",
        "model.features",
        "train.learning_rate",
        "train.optimizer",
        "train.warmup",
    ]


@pytest.mark.parametrize(
    ("found", "alone", "against_gmacs"),
    [
        (Outcome("complete", 0.5, {"gmacs": 2.0}), [0.5], [0.5, 2.0]),
        (Outcome("complete", 0.5), [0.5], None),
        (Outcome("complete", float("nan"), {"gmacs": 2.0}), None, None),
        (Outcome("complete", float("-inf"), {"gmacs": 2.0}), None, None),
        (Outcome("pruned", None, {"gmacs": 2.0}), None, None),
        (Outcome("crashed"), None, None),
    ],
)
def test_what_is_optimised(make_study, found, alone, against_gmacs):
    assert make_method(make_study("tpe")).values(found) == alone
    assert make_method(make_study("nsga2")).values(found) == against_gmacs


def test_lists_and_flags_survive_the_way_through_optuna(make_study):
    space = make_study().space
    setting = {parameter.name: parameter.default for parameter in space}
    setting |= {"model.features": [16, 32], "train.optimizer": "sgd"}
    study = optuna.create_study()
    study.enqueue_trial(encode(setting, space))
    assert draw(study.ask(), space) == setting


def test_a_pruned_setting_that_is_drawn_again_has_its_curve_again(make_study):
    sampling = Sampling(make_study("tpe", {"startup": 1}, window=1))
    sampling.tell(sampling.ask().number, Outcome("complete", 0.5))
    sampling.ask()
    for epoch, score in ((1, 0.4), (2, 0.3)):
        sampling.report(1, epoch, score)
    sampling.tell(1, Outcome("pruned"), 1)
    sampling.ask()
    sampling.tell(2, Outcome("pruned"), 1)
    sampling.ask()
    told = sampling._source._optuna.trials
    assert [told[number].intermediate_values for number in (1, 2)] == [{1: 0.4, 2: 0.3}] * 2
