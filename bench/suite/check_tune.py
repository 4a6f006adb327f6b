"""Checks of how settings are searched: whether sampler, pruner and budget can work together."""

from collections.abc import Iterator

from pydantic import ValidationError

from bench.suite import resolve
from bench.suite.findings import Finding
from bench.suite.schema import Suite
from bench.suite.search import Tune


def check_tune(suite: Suite) -> Iterator[Finding]:
    """Yields what is wrong with sampler and pruner."""
    tune = suite.tune
    if tune is None:
        return
    yield from _generation(tune)
    yield from _pruner(suite, tune)
    if tune.sampler.name == "grid":
        yield from _endless(suite)


def _generation(tune: Tune) -> Iterator[Finding]:
    population, trials = tune.sampler.option("population"), tune.budget.trials
    if tune.sampler.name == "nsga2" and trials is not None and trials <= population:
        yield Finding(
            ("tune", "sampler", "population"),
            f"nsga2 draws its first {population} settings at random: population must be less than the budget's "
            f"{trials} trials",
        )


def _pruner(suite: Suite, tune: Tune) -> Iterator[Finding]:
    pruner = tune.pruner
    if pruner.name == "none":
        return
    if tune.sampler.name == "nsga2":
        yield Finding(
            ("tune", "pruner"), "nsga2 leaves no place for a pruner: what is cheaper may well score less"
        )
    try:
        epochs = tune.epochs or max(resolve.train_config(suite, model).epochs for model in suite.models)
    except ValidationError:
        return
    first = pruner.option("min_epochs")
    if first >= epochs:
        yield Finding(
            ("tune", "pruner", "min_epochs"),
            f"{pruner.name} ends no trial before epoch {first}: that must be less than the {epochs} epochs of a "
            "tuning trial",
        )


def _endless(suite: Suite) -> Iterator[Finding]:
    for model in suite.models:
        for loss in suite.losses:
            for name, placed in resolve.effective_space(suite, model, loss).items():
                if not placed.spec.finite:
                    yield Finding(placed.path, f"a grid needs choices or a step for {name}")
