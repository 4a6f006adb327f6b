from pathlib import Path

import pytest

from bench.errors import SuiteError
from bench.suite import parse_suite
from bench.suite.search import PrunerSpec, SamplerSpec, Tune

RATE = "train.learning_rate: {low: 1e-4, high: 1e-2, log: true}"
BATCH = "train.batch_size: {low: 8, high: 32, step: 8}"


def made(tune: str, space: str = RATE, train: str = "{epochs: 9}") -> str:
    return (
        f"suite: s\ntasks: [phantom-lung]\nmodels: [unet]\nlosses: [dice]\ntrain: {train}\n"
        f"tune:\n  {tune}\n  space: {{{space}}}\n"
    )


def tune(text: str, space: str = RATE) -> Tune:
    found = parse_suite(made(f"budget: {{trials: 20}}\n  {text}", space), Path("s.yaml")).suite.tune
    assert found is not None
    return found


REFUSED = [
    ("sampler: @bayes", "tune.sampler must be 'tpe', 'random', 'grid', 'cmaes' or 'nsga2', got 'bayes'"),
    ("sampler: {name: @bayes}", "tune.sampler.name must be 'tpe', 'random', 'grid', 'cmaes' or 'nsga2', got 'bayes'"),
    ("sampler: {name: tpe, @startups: 3}", "unknown key 'startups', did you mean 'startup'?"),
    ("sampler: {name: tpe, startup: @0}", "tune.sampler.startup must be greater than or equal to 1, got 0"),
    ("sampler: @{name: random, startup: 5}", "tune.sampler: startup is an option of tpe, not of random"),
    ("sampler: @{name: tpe, population: 5}", "tune.sampler: population is an option of cmaes and nsga2, not of tpe"),
    ("sampler: {name: nsga2, against: @speed}", "tune.sampler.against must be 'gmacs', 'parameters',"),
    ("sampler: {name: nsga2, population: @20}", "nsga2 draws its first 20 settings at random: population must be"),
    ("sampler: grid", "a grid needs choices or a step for train.learning_rate"),
    ("window: @0", "tune.window must be greater than or equal to 1, got 0"),
    ("pruner: @sha", "tune.pruner must be 'none', 'asha', 'median' or 'hyperband', got 'sha'"),
    ("pruner: @{name: median, reduction: 3}", "tune.pruner: reduction is an option of asha and hyperband, not"),
    ("pruner: {name: asha, reduction: @1}", "tune.pruner.reduction must be greater than or equal to 2, got 1"),
    ("pruner: {name: asha, min_epochs: @9}", "asha ends no trial before epoch 9: that must be less than the 9"),
    ("epochs: 1\n  pruner: @median", "median ends no trial before epoch 1: that must be less than the 1 epochs of a"),
    ("sampler: nsga2\n  pruner: @asha", "nsga2 leaves no place for a pruner"),
    ("constraints: {@gmac: 5}", "unknown key 'gmac', did you mean 'gmacs'?"),
    ("constraints: {gmacs: @0}", "tune.constraints.gmacs must be greater than 0, got 0"),
    ("constraints: {gmacs: @many}", "tune.constraints.gmacs must be a number, got 'many'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_a_wrong_search_is_refused_with_its_place(text: str, message: str) -> None:
    before, _, after = made(f"budget: {{trials: 20}}\n  {text}").partition("@")
    if not after:
        # The dimension that has no end.
        before, after = before[: before.index("{low")], before[before.index("{low") :]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    with pytest.raises(SuiteError) as caught:
        parse_suite(before + after, Path("s.yaml"))
    found = [f"{place}: {text}" for place, text in caught.value.problems]
    assert found[0].startswith(f"s.yaml:{line}:{column}: {message}"), found
    assert len(found) == 1, found


def test_a_name_stands_for_the_method_with_its_defaults() -> None:
    assert tune("seed: 0").sampler == SamplerSpec(name="tpe")
    assert tune("sampler: tpe").sampler == tune("sampler: {name: tpe}").sampler
    assert tune("sampler: tpe").sampler.resolved() == {"name": "tpe", "startup": 10}
    assert tune("sampler: {name: nsga2, population: 6}").sampler.resolved() == {
        "name": "nsga2",
        "population": 6,
        "against": "gmacs",
    }
    assert tune("pruner: asha").pruner.resolved() == {"name": "asha", "min_epochs": 1, "reduction": 4}
    assert tune("pruner: {name: median, min_epochs: 2}").pruner.resolved() == {
        "name": "median",
        "min_epochs": 2,
        "startup": 5,
    }
    assert tune("seed: 0").pruner == PrunerSpec() == PrunerSpec(name="none")


def test_limits_may_be_written_as_they_come() -> None:
    found = tune("constraints: {gmacs: 50, parameters: 3.0e7, peak_memory_mb: 8000, device_s: 60}")
    assert found.constraints.limits == {
        "gmacs": 50.0,
        "parameters": 3e7,
        "peak_memory_mb": 8000.0,
        "device_s": 60.0,
    }


def test_a_grid_takes_what_has_an_end() -> None:
    space = f"{BATCH}, train.optimizer: {{choices: [adam, sgd]}}, train.warmup: {{low: 0.0, high: 0.5, step: 0.1}}"
    assert tune("sampler: grid", space).sampler.blind
    assert not tune("sampler: cmaes").sampler.blind
