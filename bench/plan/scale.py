"""Makes a suite small before it is planned."""

from dataclasses import replace
from math import prod
from pathlib import Path

from bench.plan.design import pairwise
from bench.plan.probe import Request, probe
from bench.suite.load import LoadedSuite
from bench.suite.scale import EPOCHS, STEPS, TRIALS, TinyOptions, smoke
from bench.suite.schema import Axis, Suite


def smoke_suite(loaded: LoadedSuite, cache_dir: Path) -> tuple[LoadedSuite, str]:
    """Returns the smoke version of a suite, and one line that says what it changes.

    Args:
        loaded: The suite.
        cache_dir: Folder of what can be made again: what models said of themselves.

    Raises:
        BenchError: If the subprocess that asks the models cannot start.
    """
    # The task plays no part in what a model declares of itself.
    requests = {
        model.title: Request("narrow", model.name, dict(model.options), 1, 1, (1, 1))
        for model in loaded.suite.models
    }
    answers = probe(requests.values(), cache_dir)
    tiny = {
        title: answers[request.key].options for title, request in requests.items() if answers[request.key].ok
    }
    return replace(loaded, suite=smoke(loaded.suite, tiny)), describe_smoke(loaded.suite, tiny)


def describe_smoke(suite: Suite, tiny: TinyOptions) -> str:
    """Returns one line that says what a smoke run changes about a suite."""
    kept = ", ".join(model.title for model in suite.models if model.title not in tiny)
    networks = [
        text for text in ("tiny networks" if tiny else "", f"{kept} as given" if kept else "") if text
    ]
    sizes = (_compared(suite, "model"), _compared(suite, "loss"), len(suite.tasks))
    studies, every = len(pairwise(*sizes)), prod(sizes)
    fewer = ", in which any two of a model, a loss and a task meet" if studies < every else ""
    trials = f"{TRIALS} tuning trials and 1 final" if suite.tune else "1 final trial"
    return (
        f"smoke: generated data; {', '.join(networks)}; {studies} of {every} studies{fewer}; {trials} each, of "
        f"{EPOCHS} epochs of {STEPS} steps; no claims"
    )


def _compared(suite: Suite, axis: Axis) -> int:
    """Returns how many entries of an axis make studies of their own."""
    return len(suite.models if axis == "model" else suite.losses) if axis in suite.compare else 1
